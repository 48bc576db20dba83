"""When training ends and which epoch was best, read off records written by hand."""

from __future__ import annotations

import math

import pytest

from expkit.runner.early_stopping import EarlyStopping, parse_targets


def records(*val_losses: float, accuracy: float = 0.5) -> list[dict[str, float]]:
    return [
        {"epoch": number, "train/loss": 1.0, "val/loss": loss, "val/accuracy": accuracy}
        for number, loss in enumerate(val_losses, start=1)
    ]


def test_the_best_epoch_is_the_first_with_the_lowest_loss() -> None:
    """A tie goes to the earlier epoch, and a NaN is never best."""
    stopping = EarlyStopping(9, "loss", "val")
    assert stopping.best_epoch(records(3.0, 1.0, math.nan, 1.0)) == 2
    assert stopping.best_epoch(records(math.nan)) is None


def test_another_metric_is_best_where_it_is_highest() -> None:
    """Only losses are better when lower."""
    rising = [*records(1.0, accuracy=0.2), {**records(1.0, 1.0, accuracy=0.9)[1]}]
    assert EarlyStopping(9, "accuracy", "val").best_epoch(rising) == 2


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
    assert EarlyStopping(5, "loss", "val", patience=2).reason(records(*losses)) == reason


def test_training_ends_when_all_targets_are_met() -> None:
    """One of two is not enough."""
    targets = parse_targets({"accuracy": ">= 0.5", "val/loss": "< 1"}, "stop_at")
    stopping = EarlyStopping(9, "loss", "val", targets=targets)
    assert stopping.reason(records(2.0)) is None
    assert "reached" in str(stopping.reason(records(0.5)))


def test_a_loss_that_is_no_number_ends_training() -> None:
    """Whatever else is said of the epoch."""
    last = {**records(1.0)[0], "train/loss": math.inf}
    assert "became inf in epoch 1" in str(EarlyStopping(9, "loss", "val").reason([last]))
