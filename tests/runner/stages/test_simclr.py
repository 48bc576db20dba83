"""Pre-training as a user runs it: kept, resumed, refused, and watched while it collapses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_once import made_once
from PIL import Image
from rule_findings import findings
from running_expkit import Expkit, only_run, train_quietly
from safetensors.torch import load_file
from synthetic_evidence import make_evidence, make_signal

from expkit.errors import UserError
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run
from expkit.reports.plots.curves import draw_curves
from expkit.runner.remedy_trials import shorten
from expkit.runner.stages import simclr

DIGITS = (
    "dataset=digits",
    "dataset.limit=12",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
    "model.norm=batch",
    "procedure=simclr",
    "~procedure.preflight",
    "procedure.pretrain.batch_size=32",
    "procedure.pretrain.probe_every=2",
)
THEN_TRAIN = ("+stage@procedure.train=train", "procedure.train.max_epochs=2")
TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")


def records(run: Path, name: str) -> list[dict[str, Any]]:
    """The lines of a record without what a clock says."""
    lines = [json.loads(line) for line in (run / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def backbone(run: Path, stage: str, which: str) -> dict[str, torch.Tensor]:
    tensors = load_file(run / "checkpoints" / stage / f"{which}.safetensors")
    return {name: value for name, value in tensors.items() if name.startswith("backbone.")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-training of four epochs and a linear probe on its backbone, uninterrupted."""

    def train(_: Path) -> None:
        train_quietly(
            *DIGITS,
            *THEN_TRAIN,
            "procedure.pretrain.max_epochs=4",
            "procedure.train.start_from=pretrain",
            "procedure.train.trainable=head",
            "name=whole",
        )

    (run,) = made_once(tmp_path_factory, "simclr", train).glob("outputs/2*")
    return run


def test_a_training_starts_from_the_backbone(whole: Path) -> None:
    """Tensor for tensor, with a head of its own: the pre-trained file has none."""
    kept = load_file(whole / "checkpoints" / "pretrain" / "best.safetensors")
    assert kept
    assert all(name.startswith("backbone.") for name in kept)
    probed = backbone(whole, "train", "last")
    assert probed.keys() == kept.keys()
    for name, tensor in kept.items():
        assert probed[name].equal(tensor), name
    assert "the head drawn anew" in (whole / "log.txt").read_text()


def test_every_epoch_is_recorded_and_some_are_probed(
    whole: Path, tmp_path: Path, unrendered: None
) -> None:
    """The untrained net too, so that a gain can be told."""
    history = [each for each in records(whole, "history.jsonl") if each["stage"] == "pretrain"]
    assert [each["epoch"] for each in history] == [1, 2, 3, 4]
    assert all(
        {"pretrain/loss", "pretrain/alignment", "pretrain/uniformity"} <= each.keys()
        for each in history
    )
    assert ["val/knn_accuracy" in each for each in history] == [True, True, False, True]
    looks = [each for each in records(whole, "signals.jsonl") if each["kind"] == "representation"]
    assert [each["epoch"] for each in looks] == [0, 1, 2, 4]
    assert looks[0]["knn_accuracy_against_untrained"] == {
        "only_now": 0,
        "only_untrained": 0,
        "untrained": looks[0]["knn_accuracy"],
    }
    gain = looks[-1]["knn_accuracy_against_untrained"]
    count = looks[-1]["num_samples"]
    assert gain["only_now"] - gain["only_untrained"] == pytest.approx(
        count * (looks[-1]["knn_accuracy"] - gain["untrained"])
    )
    drawn = [path.name for path in draw_curves(Run(whole), tmp_path)]
    assert drawn == ["curves_pretrain.png", "curves_train.png"]


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Epochs of pre-training before which the user presses Ctrl-C."""
    epochs: list[int] = []
    plain = simclr.contrastive_epoch

    def train(learner: Any, plan: Any, views: Any, temperature: float, number: int) -> Any:
        if number in epochs:
            epochs.remove(number)
            raise KeyboardInterrupt
        return plain(learner, plan, views, temperature, number)

    monkeypatch.setattr(simclr, "contrastive_epoch", train)
    return epochs


def test_a_resumed_pretraining_is_equal_to_the_bit(
    run_here: Expkit, tmp_path: Path, whole: Path, cut_at: list[int]
) -> None:
    """History, looks at the features, weights and optimizer: those of the uninterrupted run."""
    cut_at += [1, 3]
    words = ("procedure.pretrain.max_epochs=4", "procedure.train.start_from=pretrain")
    assert run_here("train", *DIGITS, *THEN_TRAIN, *words, "procedure.train.trainable=head").code
    run = only_run(tmp_path)
    assert run_here("resume", "last").code == 130
    assert run_here("resume", "last").code == 0
    assert records(run, "history.jsonl") == records(whole, "history.jsonl")
    ours, theirs = (
        [each for each in records(path, "signals.jsonl") if each["stage"] == "pretrain"]
        for path in (run, whole)
    )
    assert ours == theirs
    for stage in ("pretrain", "train"):
        for which in ("best", "last"):
            here, there = (
                load_file(each / "checkpoints" / stage / f"{which}.safetensors")
                for each in (run, whole)
            )
            assert here.keys() == there.keys()
            assert all(here[name].equal(there[name]) for name in here)


def test_a_backbone_alone_predicts_nothing(run_here: Expkit, tmp_path: Path, whole: Path) -> None:
    """Without a classifier there are no predictions: the run says that it has no weights."""
    run = shutil.copytree(whole, tmp_path / "outputs" / whole.name)
    shutil.rmtree(run / "checkpoints" / "train")
    with pytest.raises(UserError, match="has no trained weights"):
        _ = Run(run).weights


def test_its_curves_are_analyzed_and_trials_leave_it_out(
    run_here: Expkit, tmp_path: Path, whole: Path
) -> None:
    """No gap of a split that is not there; what has no stage with labels has nothing to try."""
    run = shutil.copytree(whole, tmp_path / "outputs" / whole.name)
    done = run_here("analyze", "last")
    assert done.code == 0
    assert "Best knn_accuracy" in done.out
    assert "pretrain is" not in done.out
    base = shorten(Run(run), 1)
    assert list(base["procedure"]) == ["train"]
    assert base["procedure"]["train"]["start_from"] is None
    recorded = Run(run)
    recorded.config["procedure"].pop("train")
    with pytest.raises(UserError, match="nothing to try"):
        shorten(recorded, 1)


def test_several_heads_are_recorded_each(run_here: Expkit, tmp_path: Path) -> None:
    """Their losses average to the loss, and each has a std of its own."""
    done = run_here(
        "train",
        *DIGITS,
        "procedure.pretrain.max_epochs=1",
        "~procedure.pretrain.heads.views",
        "+augment@procedure.pretrain.heads.geometric=geometric",
        "+augment@procedure.pretrain.heads.texture=texture",
    )
    assert done.code == 0, done.out
    (epoch,) = records(only_run(tmp_path), "history.jsonl")
    losses = [epoch["pretrain/loss_geometric"], epoch["pretrain/loss_texture"]]
    assert losses[0] != losses[1]
    assert epoch["pretrain/loss"] == pytest.approx(sum(losses) / 2, rel=1e-6)
    (*_, look) = records(only_run(tmp_path), "signals.jsonl")
    assert look["heads"].keys() == {"geometric", "texture"}


@pytest.mark.broad(6)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["procedure.pretrain.batch_size=1"], "batch_size"),
        (["procedure.pretrain.temperature=0"], "temperature"),
        (["schedule=plateau"], "a schedule that follows a metric"),
        (["schedule=cosine", "schedule.warmup_epochs=50"], "the warm-up is as long"),
        (["procedure.pretrain.schedule=plateau"], "procedure.pretrain.schedule.metric"),
        (["procedure.pretrain.optimizer=sam"], "procedure.pretrain.optimizer=adam"),
        (["augment@procedure.pretrain.heads.views=none"], "would be equal"),
        (["augment@procedure.pretrain.heads.views=mixup"], "views of two images at once"),
        (["augment@procedure.pretrain.heads.views=colour"], "heads.views.transforms.jitter"),
        (["+procedure.pretrain.heads.keys={}"], "a head cannot be called 'keys'"),
        (["+procedure.pretrain.heads.other={}"], "'other' is no augmentation"),
        (["procedure.pretrain.images=nowhere"], "'nowhere' is not there"),
        (["dataset=puzzle", "~dataset.limit", "procedure.pretrain.monitor=knn_accuracy"], "no val"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(
    run_here: Expkit, tmp_path: Path, words: list[str], said: str
) -> None:
    """On one screen, before there is a folder."""
    given = [word for word in DIGITS if "~dataset.limit" not in words or "limit" not in word]
    done = run_here("train", *given, *(word for word in words if word != "~dataset.limit"))
    assert done.code == 2, done.out
    assert said in " ".join(done.err.split())
    assert not list(tmp_path.glob("outputs/*"))


@pytest.mark.slow
def test_a_collapse_is_named_and_its_advice_cures_it(run_here: Expkit, tmp_path: Path) -> None:
    """Steps of SGD at a rate of 30 give all images one embedding; at 0.03 they do not."""
    words = ("procedure.pretrain.max_epochs=3", "optimizer=sgd", "model.norm=none")
    fatal = "diagnosis.stop_on=fatal"
    done = run_here("train", *DIGITS, *words, fatal, "optimizer.lr=30", "name=collapsed")
    assert done.code == 1
    (run,) = tmp_path.glob("outputs/*_collapsed")
    (found, *_) = json.loads((run / "summary.json").read_text())["findings"]
    assert (found["rule"], found["severity"]) == ("collapsed_embeddings", "fatal")
    assert found["remedies"] == [["optimizer.lr=0.03"]]
    assert run_here("train", *DIGITS, *words, *found["remedies"][0], "name=cured").code == 0
    (cured,) = tmp_path.glob("outputs/*_cured")
    findings = json.loads((cured / "summary.json").read_text())["findings"]
    assert "collapsed_embeddings" not in {each["rule"] for each in findings}


def test_embeddings_along_a_line_are_told() -> None:
    """One direction of twelve: a warning, from the fourth epoch on; two directions are none."""
    stage = {"_target_": "expkit.runner.stages.simclr.SimCLR", "max_epochs": 9}

    def found(epoch: int, std: float, rank: float) -> list[str]:
        looks = [
            make_signal(
                "representation", "pretrain", number, heads={"a": {"std": s, "effective_rank": r}}
            )
            for number, s, r in ((0, 0.05, 12.0), (epoch, std, rank))
        ]
        evidence = make_evidence(signals=looks, procedure={"pretrain": stage})
        return [each.severity for each in findings("collapsed_embeddings", evidence)]

    assert found(4, 0.06, 1.1) == ["warning"]
    assert found(4, 0.06, 2.1) == []
    assert found(3, 0.06, 1.1) == []
    assert found(1, 0.001, 1.1) == ["fatal"]
    assert found(1, 0.03, 5.0) == []


@pytest.mark.parametrize(
    ("knn", "probe", "expected"),
    [
        ((15, 3), (5, 5), None),  # 15 of 18 discordant samples: p = 0.0075
        ((9, 3), (8, 4), "gained nothing"),  # p = 0.15 and 0.39
        ((3, 15), (2, 14), "made the features worse"),
        ((3, 15), (15, 3), None),
    ],
)
def test_a_gain_is_told_by_mcnemars_test(
    knn: tuple[int, int], probe: tuple[int, int], expected: str | None
) -> None:
    """Either method may show it; nothing is said before the stage has ended."""
    stage = {"_target_": "expkit.runner.stages.simclr.SimCLR", "max_epochs": 9}
    content = {
        "heads": {"a": {"std": 0.5, "effective_rank": 9.0}},
        "num_samples": 100,
        "knn_accuracy": 0.5,
        "linear_probe_accuracy": 0.5,
    }
    for name, (now, before) in (("knn_accuracy", knn), ("linear_probe_accuracy", probe)):
        content[f"{name}_against_untrained"] = {
            "only_now": now,
            "only_untrained": before,
            "untrained": 0.4,
        }
    looks = [make_signal("representation", "pretrain", 9, **content)]
    ended = StageResult(stage="pretrain", kind="SimCLR", passed=True, reason="")
    given = {"signals": looks, "procedure": {"pretrain": stage}}
    assert not findings("pretraining_gained_nothing", make_evidence(**given))
    found = findings("pretraining_gained_nothing", make_evidence(**given, stages=[ended]))
    assert [expected in each.sentence for each in found if expected] == [True] * bool(expected)
    assert len(found) == bool(expected)


def test_numbers_to_predict_are_no_hindrance(run_here: Expkit, tmp_path: Path) -> None:
    """No labels are needed; neighbours and probes are left out, and that is said."""
    done = run_here(
        "train",
        *DIGITS[2:],
        "dataset=puzzle",
        "dataset.rows=2",
        "dataset.columns=3",
        "dataset.piece_size=16",
        "dataset.target=position",
        "loss=mse",
        "procedure.pretrain.max_epochs=2",
    )
    assert done.code == 0, done.err
    assert "no nearest neighbours and linear probes" in done.out
    history = records(only_run(tmp_path), "history.jsonl")
    assert not any("val/knn_accuracy" in each for each in history)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def digit_files(folder: Path, count: int = 30) -> None:
    """Images of 8 x 8 like digits in folders of any depth, without labels."""
    draws = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"deep_{number % 3}" / "er" / f"image_{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 256, (8, 8), np.uint8)).save(path)


def held_out_digit() -> Image.Image:
    """A sample of val as a file would hold it."""
    from expkit.data.datasets.digits import Digits
    from expkit.data.store.progress import silent

    return Image.fromarray(Digits(limit=12).read(silent).splits["val"].settle().images[5, :, :, 0])


def test_images_of_a_folder_are_trained_on_but_those_held_out(
    run_here: Expkit, tmp_path: Path, own_cache: None
) -> None:
    """A copy of a val sample is left out, and said; the rest stand beside the training split."""
    digit_files(tmp_path / "images")
    held_out_digit().save(tmp_path / "images" / "stolen.png")
    (tmp_path / "images" / "notes.txt").write_text("x")
    words = ("procedure.pretrain.images=images", "procedure.pretrain.max_epochs=1")
    done = run_here("train", *DIGITS, *words)
    assert done.code == 0, done.out + done.err
    said = " ".join(done.out.split())
    assert "30 images without labels from images" in said
    assert "1 images left out, copies of held-out samples (1 equal, 0 nearly): stolen.png" in said
    run = Run(only_run(tmp_path))
    assert run.stages[0].num_samples == run.dataset.splits["train"].num_samples + 30
    assert run.environment["unlabelled"]["pretrain"]["num_images"] == 30


def test_broken_files_and_other_images_are_refused(
    run_here: Expkit, tmp_path: Path, cut_at: list[int], own_cache: None
) -> None:
    """Unreadable ones by name, or left out where asked; a resumed run wants the same images."""
    digit_files(tmp_path / "images")
    (tmp_path / "images" / "broken.png").write_text("x")
    words = (*DIGITS, "procedure.pretrain.images=images", "procedure.pretrain.max_epochs=2")
    done = run_here("train", *words)
    assert done.code == 2
    assert "broken.png" in done.err
    cut_at.append(2)
    alone = ("procedure.pretrain.on_error=skip", "procedure.pretrain.with_train=false")
    assert run_here("train", *words, *alone).code == 130
    (tmp_path / "images" / "broken.png").unlink()
    (tmp_path / "images" / "deep_0" / "er" / "image_00.png").unlink()
    run = only_run(tmp_path)
    other = shutil.copytree(run, tmp_path / "other" / run.name)
    done = run_here("resume", str(other))
    assert done.code == 2
    assert "are not what they were when the run began" in " ".join(done.err.split())
    digit_files(tmp_path / "images")
    assert run_here("resume", "last").code == 0
    assert Run(only_run(tmp_path)).stages[0].num_samples == 30


def test_one_image_has_no_other(run_here: Expkit, tmp_path: Path, own_cache: None) -> None:
    digit_files(tmp_path / "images", 1)
    words = ("procedure.pretrain.images=images", "procedure.pretrain.with_train=false")
    done = run_here("train", *DIGITS, *words)
    assert done.code == 2
    assert "one image has no other" in done.err


def test_a_stage_that_is_null_is_left_out(run_here: Expkit, tmp_path: Path) -> None:
    """An ablation takes pre-training away so; who starts from it must be told of it, too."""
    left_out = "procedure.pretrain=null"
    refused = run_here("train", *DIGITS, "procedure=simclr_then_full", left_out)
    assert refused.code == 2
    assert "procedure.train.start_from=pretrain" in refused.err
    assert not list(tmp_path.glob("outputs/*"))

    words = ("procedure=simclr_then_full", left_out, "procedure.train.start_from=null")
    short = (
        "procedure.train.max_epochs=1",
        "procedure.overfit_1=null",
        "procedure.overfit_10=null",
    )
    assert run_here("train", *DIGITS, *words, *short).code == 0
    (run,) = tmp_path.glob("outputs/2*")
    stages = [json.loads(line)["stage"] for line in (run / "stages.jsonl").read_text().splitlines()]
    assert stages == ["train", "evaluate"]
