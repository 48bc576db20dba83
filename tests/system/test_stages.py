"""Procedures whose stages build on one another, as a user runs them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from running_expkit import Expkit, only_run
from safetensors.torch import load_file
from torch import Tensor, nn

DIGITS = (
    "dataset=digits",
    "dataset.limit=12",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
    "model.norm=batch",
    "optimizer.lr=0.01",
)


def stages_of(run: Path) -> dict[str, dict[str, object]]:
    lines = (run / "stages.jsonl").read_text().splitlines()
    return {record["stage"]: record for record in map(json.loads, lines)}


@pytest.mark.slow
def test_the_head_is_trained_first_and_then_all(run_here: Expkit, tmp_path: Path) -> None:
    """The first stage leaves the backbone and its statistics as they were drawn."""
    done = run_here(
        "train",
        *DIGITS,
        "procedure=frozen_then_full",
        "procedure.head.max_epochs=2",
        "procedure.full.max_epochs=2",
        "~procedure.overfit_1",
        "~procedure.overfit_10",
    )
    assert done.code == 0, done.out
    run = only_run(tmp_path)
    head = load_file(run / "checkpoints" / "head" / "last.safetensors")
    best = load_file(run / "checkpoints" / "head" / "best.safetensors")
    full = load_file(run / "checkpoints" / "full" / "last.safetensors")
    backbone = [name for name in best if name.startswith("backbone")]
    assert any("running_mean" in name for name in backbone)
    for name in backbone:
        assert head[name].equal(best[name]), f"{name} moved while it was frozen"
    assert not all(full[name].equal(head[name]) for name in backbone)
    rates = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert {record["stage"] for record in rates} == {"head", "full"}


@pytest.mark.draws
@pytest.mark.slow
def test_mistakes_on_unseen_folds_become_a_class(run_here: Expkit, tmp_path: Path) -> None:
    """Log 4's two stages: every figure of the end is of one class more."""
    done = run_here(
        "train",
        *DIGITS,
        "procedure=two_stage",
        "procedure.binary.max_epochs=2",
        "procedure.three_way.max_epochs=2",
        "procedure.collect.num_folds=3",
        "~procedure.overfit_1",
        "~procedure.overfit_10",
    )
    assert done.code == 0, done.out
    run = only_run(tmp_path)
    labels = json.loads((run / "labels.json").read_text())
    assert labels["class_names"] == [*map(str, range(10)), "maybe"]
    said = re.match(r"(\d+) of 120 training samples", str(stages_of(run)["collect"]["reason"]))
    assert said is not None
    assert labels["targets"].count(10) == int(said[1]) > 0
    header = (run / "predictions.csv").read_text().splitlines()[0].split(",")
    assert header[-11:] == [*map(str, range(10)), "maybe"]
    summary = json.loads((run / "summary.json").read_text())
    sure, accuracy = summary["sure"]["test"], summary["metrics"]["test"]["accuracy"]
    assert sure["coverage"] * (sure["accuracy"] or 0) == pytest.approx(accuracy)
    assert "train" not in summary["sure"]
    assert "are predicted surely: coverage" in " ".join(done.out.split())
    assert "are predicted surely: coverage" in (run / "report.md").read_text()
    assert run_here("show", "last").code == 0
    assert run_here("plot", "last").code == 0
    assert run_here("evaluate", run.name, "--name", "again").code == 0
    (again,) = run.parent.glob("*_again")
    assert json.loads((again / "summary.json").read_text())["sure"]["test"] == sure
    # the training samples' new labels are the run's alone; the answers to all are the same
    columns = [
        [row.split(",")[3:4] + row.split(",")[5:] for row in text.splitlines()]
        for text in ((path / "predictions.csv").read_text() for path in (run, again))
    ]
    assert columns[0] == columns[1]


@pytest.mark.slow
def test_each_fold_has_the_minutes_of_the_stage_that_it_is_like(
    run_here: Expkit, tmp_path: Path
) -> None:
    """No time at all: one epoch each, as the stage itself; its 500 would be trained to the end."""
    done = run_here(
        "train",
        *DIGITS,
        "procedure=two_stage",
        "procedure.binary.max_epochs=500",
        "procedure.binary.max_minutes=1e-6",
        "procedure.three_way.max_epochs=1",
        "procedure.collect.num_folds=3",
        "~procedure.overfit_1",
        "~procedure.overfit_10",
    )
    assert done.code == 0, done.out
    stages = stages_of(only_run(tmp_path))
    assert (stages["binary"]["num_epochs"], stages["collect"]["num_epochs"]) == (1, 3)
    assert "minutes ended a fold after 1 of 500 epochs" in str(stages["collect"]["reason"])


@pytest.mark.slow
def test_a_fold_that_diverges_labels_nothing(
    run_here: Expkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that answers with NaN would call every sample of its fold a maybe."""

    def answer_nan(model: nn.Module, batches: Iterable[Tensor], device: object) -> Tensor:
        return torch.full((sum(map(len, batches)), 10), torch.nan)

    monkeypatch.setattr("expkit.runner.stages.collect_mistakes.compute_outputs", answer_nan)
    done = run_here(
        "train",
        *DIGITS,
        "procedure=two_stage",
        "procedure.binary.max_epochs=1",
        "procedure.collect.num_folds=2",
        "~procedure.overfit_1",
        "~procedure.overfit_10",
    )
    assert done.code == 1
    assert "it has diverged" in str(stages_of(only_run(tmp_path))["collect"]["reason"])
    assert not list(tmp_path.glob("outputs/2*/labels.json"))


@pytest.mark.broad(2)
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("procedure.full.start_from=haed", "nearest  head"),
        ("procedure.full.start_from=evaluate", "no stage before this one trains"),
        ("procedure.full.labels_from=head", "gives labels"),
        ("procedure.head.groups={blocks.*: {lr: 0.1}}", "matches no parameter"),
        ("procedure.head.groups={head.0.bias: {}}", "no group covers the parameter"),
        ("procedure.full.layer_decay=0.5", "layer_decay"),
        ("procedure.head.frozen_up_to=layer9", "no module 'layer9'"),
        ("procedure.evaluate.of=overfit_1", "no stage before this one trains"),
    ],
)
def test_stages_that_cannot_work_are_refused_before_anything_runs(
    run_here: Expkit, tmp_path: Path, override: str, message: str
) -> None:
    """One screen, exit code 2, no folder: although the fault lies in a late stage."""
    done = run_here("train", *DIGITS, "procedure=frozen_then_full", override)
    assert done.code == 2
    assert message in done.err
    assert not list(tmp_path.glob("outputs/2*"))


@pytest.mark.slow
def test_averaged_weights_accumulation_and_balance_resume_to_the_same_numbers(
    run_here: Expkit, tmp_path: Path
) -> None:
    """A run cut after its second epoch ends with the bytes of one that was not."""
    words = (
        "train",
        *DIGITS,
        "procedure=full",
        "procedure.train.ema_decay=0.9",
        "procedure.train.batches_per_step=3",
        "procedure.train.batch_size=8",
        "procedure.train.balanced_sampling=true",
        "augment=light",
        "schedule=plateau",
        "schedule.patience=1",
    )
    assert run_here(*words, "procedure.train.max_epochs=4").code == 0
    whole = only_run(tmp_path)
    kept = tmp_path / "whole"
    whole.rename(kept)
    assert run_here(*words, "procedure.train.max_epochs=2").code == 0
    cut = only_run(tmp_path)
    for name in ("config.yaml", "environment.json"):
        (cut / name).write_text((kept / name).read_text())
    for name in ("stages.jsonl", "summary.json", "predictions.csv"):
        (cut / name).unlink()
    assert run_here("resume", cut.name).code == 0
    assert (cut / "predictions.csv").read_bytes() == (kept / "predictions.csv").read_bytes()
    ours = load_file(cut / "checkpoints" / "train" / "last.safetensors")
    theirs = load_file(kept / "checkpoints" / "train" / "last.safetensors")
    assert ours.keys() == theirs.keys()
    assert any(name.startswith("average:") for name in ours)
    for name, value in ours.items():
        assert value.equal(theirs[name]), name
