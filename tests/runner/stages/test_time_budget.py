"""Minutes that end a stage, and a schedule that ends with them, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_evidence, make_history

from expkit.config.targets.check import check_part
from expkit.diagnosis.curves import all_curves
from expkit.errors import UserError
from expkit.optim.schedule import Cosine
from expkit.records.run.metadata import StageResult
from expkit.records.run.time_budget import TimeBudget
from expkit.runner.early_stopping import EarlyStopping
from expkit.runner.stages.training import Training

TARGET = "expkit.runner.stages.training.Training"


def records_of(*seconds: float) -> list[dict[str, Any]]:
    return [
        {"epoch": i, "wall_seconds": each, "train/loss": 1.0 / i}
        for i, each in enumerate(seconds, start=1)
    ]


def test_epochs_that_fit_are_counted_by_the_last_ones() -> None:
    """Two minutes: 30 s of start-up, then 20 s an epoch; 50 s are left after three: two fit."""
    budget = TimeBudget(2, max_epochs=100)
    assert budget.epochs_left([]) == 100
    records = records_of(30, 20, 20)
    assert budget.minutes_used(records) == pytest.approx(70 / 60)
    assert budget.epochs_left(records) == 2
    assert budget.planned_epochs(records) == 5
    assert TimeBudget(2, max_epochs=4).planned_epochs(records) == 4


def test_training_ends_before_the_epoch_that_would_be_too_long() -> None:
    """After five epochs 10 s are left; a resumed run has the same records, and ends there too."""
    budget = TimeBudget(2, max_epochs=100)
    stopping = EarlyStopping(100, "loss", "train", budget=budget)
    assert stopping.reason(records_of(30, 20, 20, 20)) is None
    reason = stopping.reason(records_of(30, 20, 20, 20, 20))
    assert reason is not None
    assert reason.startswith("1.83 of 2 minutes used after epoch 5 of 100")
    assert reason.endswith("best epoch 5")


def test_a_first_epoch_beyond_the_time_is_the_last() -> None:
    """One is trained whatever it takes: a stage without any would have nothing to keep."""
    stopping = EarlyStopping(9, "loss", "train", budget=TimeBudget(0.1, max_epochs=9))
    assert stopping.reason([]) is None
    assert stopping.reason(records_of(60)) is not None


def test_the_schedule_ends_with_the_time() -> None:
    """Cosine over the five epochs that fit: half of the third is its middle, a half."""
    training = Training(100, 1, max_minutes=2, fit_schedule_to_time=True)
    planned = training._schedule_epochs(records_of(30, 20, 20))
    assert planned == 5
    assert Cosine().scale(2.5, planned) == pytest.approx(0.5)
    assert training._schedule_epochs([]) == 100
    assert Training(100, 1, max_minutes=2)._schedule_epochs(records_of(30)) is None


def test_rules_go_by_the_epochs_that_fit() -> None:
    """A net still getting better when its minutes ran out is given more minutes, not epochs."""
    config = {**CONFIG["procedure"]["train"], "max_epochs": 1000, "max_minutes": 2.0}
    losses = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    history = [
        {**line, "wall_seconds": 14.0}
        for line in make_history(train__loss=losses, val__loss=losses)
    ]
    result = StageResult(stage="train", kind="Training", passed=True, reason="")
    evidence = make_evidence(history=history, procedure={"train": config}, stages=[result])
    (curves,) = all_curves(evidence)
    assert curves.max_epochs == 8
    found = found_by("best_epoch_last", evidence)
    assert found is not None
    assert found.remedies == [["procedure.train.max_minutes=4"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit_schedule_to_time": True}, "no time to fit"),
        ({"swa_epochs": 2, "max_minutes": 1.0}, "where time ends"),
        ({"swa_epochs": 2, "patience": 3}, "where patience ends"),
        ({"swa_epochs": 2, "stop_at": {"accuracy": "> 0.99"}}, "where a target ends"),
        ({"swa_epochs": 2, "patience": 3, "stop_at": {"loss": "< 1"}}, "where patience ends"),
        ({"swa_epochs": 2, "ema_decay": 0.9}, "two averages"),
        ({"swa_epochs": 10}, "more epochs would be averaged"),
    ],
)
def test_what_contradicts_itself_is_refused_and_the_advice_is_taken(
    options: dict[str, Any], message: str
) -> None:
    """Before torch is loaded, by the stage's own key; each way out is one."""
    plain: dict[str, object] = {"_target_": TARGET, "max_epochs": 9, "batch_size": 1}
    with pytest.raises(UserError, match=message) as caught:
        check_part(plain | options, "procedure.train", import_others=False)
    for line in str(caught.value.details["do"]).splitlines():
        words = line.partition("expkit train ... ")[2].split()
        assert all(word.startswith("procedure.train.") for word in words)
        advised = {key.rpartition(".")[2]: yaml.safe_load(v) for key, v in map(split_word, words)}
        assert advised
        check_part(plain | options | advised, "procedure.train", import_others=False)


def split_word(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value
