"""The plateau schedule against values worked out by hand, and against torch's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from expkit.optim.plateau import Plateau

HALVING = Plateau(factor=0.5, patience=2, threshold=0.0)


def history(*figures: float, key: str = "val/loss") -> list[dict[str, Any]]:
    return [
        {"stage": "train", "epoch": number, "train/loss": 9.0, key: figure}
        for number, figure in enumerate(figures, start=1)
    ]


def scale_after(schedule: Plateau, records: list[dict[str, Any]]) -> float:
    return schedule.scale(len(records) + 0.5, 100, records)


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ((), 1),
        ((3.0, 2.0, 1.0), 1),
        ((1.0, 2.0), 1),
        ((1.0, 2.0, 2.0), 0.5),
        ((1.0, 2.0, 2.0, 2.0), 0.5),
        ((1.0, 2.0, 2.0, 2.0, 2.0), 0.25),
        ((1.0, 2.0, 0.5, 2.0, 0.4), 1),
        ((1.0, 2.0, 2.0, 0.9, 2.0, 2.0), 0.25),
    ],
)
def test_halves_after_two_epochs_without_a_better_one(
    losses: tuple[float, ...], scale: float
) -> None:
    """Two more are waited for after each cut, and the best figure is never forgotten."""
    assert scale_after(HALVING, history(*losses)) == scale


def test_other_metrics_are_better_higher() -> None:
    """A rising accuracy keeps the rate, a falling one halves it."""
    rising, falling = (0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2)
    follow = Plateau(metric="val/accuracy", factor=0.5, patience=2)
    assert scale_after(follow, history(*rising, key="val/accuracy")) == 1
    assert scale_after(follow, history(*falling, key="val/accuracy")) == 0.5


def test_a_metric_without_a_split_is_the_held_out_one() -> None:
    """val/loss falls while train/loss stands still; without a val it is train's that counts."""
    falling = history(3.0, 2.0, 1.0, 0.5)
    assert scale_after(HALVING, falling) == 1
    assert scale_after(Plateau(metric="train/loss", factor=0.5, patience=2), falling) == 0.5
    alone = [{"epoch": number, "train/loss": 1.0} for number in (1, 2, 3)]
    assert scale_after(HALVING, alone) == 0.5


def test_better_is_by_more_than_the_threshold() -> None:
    """Of a best loss of 1, 0.95 is better by less than a tenth and 0.85 by more."""
    strict = Plateau(factor=0.5, patience=2, threshold=0.1)
    assert scale_after(strict, history(1.0, 0.95, 0.95)) == 0.5
    assert scale_after(strict, history(1.0, 0.95, 0.85)) == 1


def test_the_scale_never_falls_below_its_least() -> None:
    """Three cuts to a tenth would be 0.001."""
    floored = Plateau(patience=1, min_scale=0.05)
    assert scale_after(floored, history(1.0, 2.0, 2.0, 2.0)) == 0.05


def test_a_loss_that_is_no_number_is_never_better() -> None:
    """Two of them are two epochs without a better one, at the start too."""
    assert scale_after(HALVING, history(1.0, math.nan, math.nan)) == 0.5
    assert scale_after(HALVING, history(math.nan, math.nan)) == 0.5
    assert scale_after(HALVING, history(math.nan, 5.0, 4.0)) == 1


def test_epochs_of_the_warm_up_do_not_count() -> None:
    """With 1.5 epochs of warm-up the third is the first that counts, whatever stood before."""
    warm = Plateau(warmup_epochs=1.5, factor=0.5, patience=2)
    assert warm.scale(0.75, 100, []) == pytest.approx(0.5)
    assert scale_after(warm, history(0.1, 0.2, 1.0, 2.0)) == 1
    assert scale_after(warm, history(0.1, 0.2, 1.0, 2.0, 2.0)) == 0.5


def test_later_records_do_not_reach_back() -> None:
    """The scale of epoch 3 is the same when it is asked again after epoch 9."""
    records = history(1.0, *[2.0] * 8)
    assert HALVING.scale(2.5, 100, records) == 1
    assert HALVING.scale(3.5, 100, records) == 0.5


def test_agrees_with_torch_on_a_noisy_fall() -> None:
    """Whose patience is the number of epochs still allowed: one less than ours."""
    noise = torch.randn(60, generator=torch.Generator().manual_seed(0))
    losses = (torch.linspace(2, 1, 60) + 0.2 * noise).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=3, threshold=0.01, eps=0
    )
    ours = Plateau(factor=0.5, patience=4, threshold=0.01)
    for number, loss in enumerate(losses, start=1):
        theirs.step(loss)
        scale = scale_after(ours, history(*losses[:number]))
        assert scale == pytest.approx(optimizer.param_groups[0]["lr"])
    assert scale < 0.5, "the losses have cut nothing"


def test_names_the_metric_that_it_follows() -> None:
    """So that a stage can refuse one that no epoch records."""
    assert Plateau(metric="val/accuracy").watched_metric == "val/accuracy"
