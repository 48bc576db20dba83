"""Trials of proposed changes, as far as they need no training."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_runs import classes_run, config_of

from expkit.diagnosis.finding import Finding
from expkit.errors import UserError
from expkit.records.find_runs import find_runs
from expkit.records.run.reader import Run
from expkit.runner.remedy_trials import TRAINING, later_phase, shorten, try_remedies


def test_the_advice_on_a_run_that_lies_elsewhere_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`expkit diagnose PATH --try` advised by the bare name, which is found in outputs/ alone."""
    run = classes_run(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="proposes a change") as caught:
        try_remedies(run, [], None, ())
    words = str(caught.value.details["do"]).split()
    assert words[:2] == ["expkit", "diagnose"]
    assert [each.path.resolve() for each in find_runs(words[2:])] == [run.path]


TRAIN = {"_target_": TRAINING, "batch_size": 8, "max_epochs": 40, "start_from": None}
PHASES = {
    "warmup": {**TRAIN, "max_epochs": 3},
    "sam": {
        **TRAIN, "start_from": "warmup", "unfreeze": {1: ["head"], 5: ["blocks"], 30: "all"},
        "swa_epochs": 20,
    },
    "sgd": {**TRAIN, "start_from": "sam"},
}  # fmt: skip


def phased_run(parent: Path, **stages: object) -> Run:
    """A run of three phases, of which the first has kept its weights."""
    run = classes_run(parent, config=config_of(procedure={**PHASES, **stages}))
    kept = run.checkpoint("warmup", "best")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    return run


def test_changes_of_a_later_phase_are_tried_from_the_weights_that_it_began_with(
    tmp_path: Path,
) -> None:
    """By that phase alone, shortened with all that is of its later epochs."""
    run = phased_run(tmp_path)
    changes = [("procedure.sam.optimizer.lr=0.1",), ("procedure.sam.max_gradient_norm=1",)]
    assert later_phase(run, changes) == "sam"
    trial = shorten(run, 10, "sam")["procedure"]
    assert list(trial) == ["sam"]
    assert trial["sam"]["start_from"] == "warmup"
    assert trial["sam"]["start_from_run"] == str(run.path.resolve())
    assert trial["sam"]["max_epochs"] == 10
    assert trial["sam"]["unfreeze"] == {1: ["head"], 5: ["blocks"]}
    assert trial["sam"]["swa_epochs"] is None


@pytest.mark.parametrize(
    "changes",
    [
        [("procedure.sam.optimizer.lr=0.1",), ("optimizer.lr=0.1",)],  # the second is of the run
        [("procedure.sam.optimizer.lr=0.1",), ("procedure.sgd.optimizer.lr=0.1",)],
        [("procedure.sgd.optimizer.lr=0.1",)],  # sam has kept no weights
        [("procedure.warmup.optimizer.lr=0.1",)],
        [],
    ],
)
def test_other_changes_are_tried_from_the_beginning(
    tmp_path: Path, changes: list[tuple[str, ...]]
) -> None:
    run = phased_run(tmp_path)
    assert later_phase(run, changes) is None
    trial = shorten(run, 10)["procedure"]
    assert list(trial) == ["warmup"]
    assert (trial["warmup"]["start_from"], trial["warmup"]["start_from_run"]) == (None, None)


def test_a_phase_that_cannot_be_tried_is_said_to_be(tmp_path: Path) -> None:
    """Not that no change was proposed."""
    run = phased_run(tmp_path, sgd={**PHASES["sgd"], "labels_from": "collect"})
    words = ["procedure.sgd.optimizer.lr=0.1"]
    finding = Finding("warning", "a sentence", {"a": 1}, "a cause", [words], stage="sgd")
    with pytest.raises(UserError, match="of a stage that no short trial begins with") as caught:
        try_remedies(run, [finding], None, ())
    assert caught.value.details["where"] == words[0]
