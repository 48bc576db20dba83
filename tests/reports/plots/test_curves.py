"""The words beside the curves: of which samples a training figure is, and of which classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from synthetic_runs import classes_run, config_of, train_history

from expkit.records.run.labels import Labels
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.reports.plots import style
from expkit.reports.plots.curves import draw_curves
from expkit.reports.run.curve_lines import train_label

TRAINING = "expkit.runner.stages.training.Training"


def balanced_run(parent: Path, *, weighted: bool) -> Run:
    procedure = {"train": {"_target_": TRAINING, "max_epochs": 30, "balanced_sampling": True}}
    run = classes_run(parent, config=config_of(procedure=procedure))
    folder = RunFolder.reopen(run.path)
    mark = {"weighted_to_class_fractions": True} if weighted else {}
    folder.append_signal({"stage": "train", "kind": "epoch", "epoch": 1, **mark})
    folder.close()
    return run


def test_a_plain_training_figure_is_a_mean_while_training(tmp_path: Path) -> None:
    """Nothing else stands between it and a held-out one."""
    run = classes_run(tmp_path)
    assert train_label(run, "train", "accuracy") == "train (mean while training)"


def test_balanced_draws_are_said_to_be_weighted_back_where_they_are(tmp_path: Path) -> None:
    """The accuracy is; the loss is of the classes as they were drawn, and so is an older run's."""
    run, older = (balanced_run(tmp_path / name, weighted=name == "new") for name in ("new", "old"))
    assert "weighted back" in train_label(run, "train", "accuracy")
    assert "of classes drawn equally often" in train_label(run, "train", "loss")
    assert "of classes drawn equally often" in train_label(older, "train", "accuracy")


def test_mixed_pictures_are_said(tmp_path: Path) -> None:
    """Their accuracy is of other images than those held out."""
    run = classes_run(tmp_path, config=config_of(augment={"mixup_alpha": 0.2}))
    assert "of mixed images" in train_label(run, "train", "accuracy")


def test_chance_is_of_the_classes_that_the_stage_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two classes before one is added, three after: ln 2 and ln 3."""
    procedure = {
        "binary": {"_target_": TRAINING, "max_epochs": 5},
        "three_way": {"_target_": TRAINING, "max_epochs": 5, "labels_from": "collect"},
    }
    history: list[dict[str, Any]] = [
        {**record, "stage": stage}
        for stage in procedure
        for record in train_history(5, math.log(2), held_out=True)
    ]
    run = classes_run(
        tmp_path, ["clean", "pit"], config=config_of(procedure=procedure), history=history
    )
    Labels(["clean", "pit", "maybe"], [0, 1, 2] * 66 + [0, 1]).write(run.path)
    told: dict[str, str] = {}

    def keep(figure: Figure, path: Path) -> Path:
        texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        told[path.stem] = next(text for text in texts if text.startswith("chance"))
        return path

    monkeypatch.setattr(style, "save", keep)
    with style.styled():
        draw_curves(Run(run.path), tmp_path)
    assert told == {
        "curves_binary": "chance: ln(2) = 0.693",
        "curves_three_way": "chance: ln(3) = 1.099",
    }


def test_models_of_folds_on_one_axis_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five trainings one after another looked like one whose rate went up and down."""
    stage = {"_target_": "expkit.runner.stages.collect_mistakes.MistakeCollection", "num_folds": 5}
    titles: list[str] = []

    def keep(figure: Figure, path: Path) -> Path:
        titles.append(figure.get_suptitle())
        return path

    monkeypatch.setattr(style, "save", keep)
    with style.styled():
        draw_curves(classes_run(tmp_path, config=config_of(procedure={"train": stage})), tmp_path)
    (title,) = titles
    assert "epochs of 5 models, a fold each" in title
