"""When training ends and which epoch was best, read off records written by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from expkit.errors import UserError
from expkit.optim.schedule import Constant
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.runner.stages.training import Training

FACTS = DatasetMetadata(
    name="Made",
    task="classification",
    class_names=("a", "b"),
    target_names=None,
    image_shape=(1, 2, 2),
    splits={"train": SplitMetadata(4, (2, 2), "x"), "val": SplitMetadata(4, (2, 2), "y")},
    layouts={},
)


PARTS = SimpleNamespace(metadata=FACTS, schedule=Constant())


def records(*val_losses: float, accuracy: float = 0.5) -> list[dict[str, float]]:
    return [
        {"epoch": number, "train/loss": 1.0, "val/loss": loss, "val/accuracy": accuracy}
        for number, loss in enumerate(val_losses, start=1)
    ]


def test_the_best_epoch_is_the_first_with_the_lowest_loss() -> None:
    """A tie goes to the earlier epoch, and a NaN is never best."""
    stage = Training(max_epochs=9, batch_size=1)
    assert stage.best_epoch(records(3.0, 1.0, math.nan, 1.0), "val") == 2
    assert stage.best_epoch(records(math.nan), "val") is None


def test_another_metric_is_best_where_it_is_highest() -> None:
    """Only losses are better when lower."""
    stage = Training(max_epochs=9, batch_size=1, monitor="accuracy")
    rising = [*records(1.0, accuracy=0.2), {**records(1.0, 1.0, accuracy=0.9)[1]}]
    assert stage.best_epoch(rising, "val") == 2


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ((3.0, 2.0), None),
        ((3.0, 2.0, 2.5), None),
        ((3.0, 2.0, 2.5, 2.2), "no better loss for 2 epochs; best epoch 2"),
        ((5.0, 4.0, 3.0, 2.0, 1.0), "5 of 5 epochs; best epoch 5"),
    ],
)
def test_training_ends_by_patience_or_at_the_last_epoch(
    losses: tuple[float, ...], reason: str | None
) -> None:
    """Patience counts epochs since the best one."""
    stage = Training(max_epochs=5, batch_size=1, patience=2)
    assert stage.why_stop(records(*losses), "val") == reason


def test_training_ends_when_all_targets_are_met() -> None:
    """One of two is not enough."""
    wanted = {"accuracy": ">= 0.5", "val/loss": "< 1"}
    stage = Training(max_epochs=9, batch_size=1, stop_at=wanted)
    assert stage.why_stop(records(2.0), "val") is None
    assert "reached" in str(stage.why_stop(records(0.5), "val"))


def test_a_loss_that_is_no_number_ends_training() -> None:
    """Whatever else is said of the epoch."""
    last = {**records(1.0)[0], "train/loss": math.inf}
    assert "became inf in epoch 1" in str(Training(9, 1).why_stop([last], "val"))


@pytest.mark.parametrize("options", [{"monitor": "f1"}, {"stop_at": {"top5_accuracy": "> 0.9"}}])
def test_metrics_that_no_epoch_records_are_refused(options: dict[str, object]) -> None:
    """Before anything runs: two classes have no right-in-five."""
    with pytest.raises(UserError, match="no epoch records"):
        Training(9, 1, **options).check("procedure.train", PARTS, [])  # type: ignore[arg-type]


def test_a_warm_up_as_long_as_the_training_is_refused() -> None:
    """The rate that was asked for would never be reached."""
    parts = SimpleNamespace(metadata=FACTS, schedule=Constant(warmup_epochs=9))
    with pytest.raises(UserError, match="warm-up"):
        Training(9, 1).check("procedure.train", parts, [])  # type: ignore[arg-type]
