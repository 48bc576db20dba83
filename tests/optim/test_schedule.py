"""Learning-rate schedules against values worked out by hand."""

from __future__ import annotations

from math import sqrt

import pytest

from expkit.optim.schedule import Constant, Cosine, Linear, OneCycle, Schedule, Step


def test_constant_stays() -> None:
    """The scale is 1 at the start, within and at the end."""
    assert [Constant().scale(epochs, 10) for epochs in (0, 0.5, 3, 10)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("epochs", "scale"), [(0, 1), (2.5, 0.1 + 0.45 * (1 + sqrt(0.5))), (5, 0.55), (10, 0.1)]
)
def test_cosine_by_hand(epochs: float, scale: float) -> None:
    """From 1 to 0.1: half-way in the middle, and flat at both ends."""
    assert Cosine(final_scale=0.1).scale(epochs, 10) == pytest.approx(scale)


@pytest.mark.parametrize(("epochs", "scale"), [(0, 0.5), (1, 1.25), (2, 2), (5, 1.05), (8, 0.1)])
def test_one_cycle_by_hand(epochs: float, scale: float) -> None:
    """From 0.5 up to 2 in a quarter of 8 epochs, and down to 0.1 in the rest."""
    cycle = OneCycle(peak_scale=2, rise_fraction=0.25, initial_scale=0.5, final_scale=0.1)
    assert cycle.scale(epochs, 8) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("epochs", "scale"), [(0, 0), (0.5, 0.25), (1, 0.5), (2, 1), (6, 0.5), (10, 0)]
)
def test_warm_up_stands_before_the_rest(epochs: float, scale: float) -> None:
    """Two epochs rise linearly from 0; the cosine then fills the eight that are left."""
    assert Cosine(warmup_epochs=2).scale(epochs, 10) == pytest.approx(scale)


@pytest.mark.parametrize(("epochs", "scale"), [(0, 0), (1, 0.1), (2, 0.2), (4, 3)])
def test_one_cycle_warms_up_to_its_own_start(epochs: float, scale: float) -> None:
    """A warm-up of 2 in 10 epochs ends at 0.2 and not at 1; the peak of 8 x 0.25 is at epoch 4."""
    cycle = OneCycle(warmup_epochs=2, peak_scale=3, rise_fraction=0.25, initial_scale=0.2)
    assert cycle.scale(epochs, 10) == pytest.approx(scale)


@pytest.mark.parametrize(("epochs", "rate"), [(0, 1e-6), (2.5, 5.05e-5), (5, 1e-4), (50, 1e-4)])
def test_a_warm_up_may_start_above_zero(epochs: float, rate: float) -> None:
    """From 1e-6 to 1e-4 over 5 epochs, then constant: half-way lies the mean of the two."""
    warm = Constant(warmup_epochs=5, warmup_start_scale=0.01)
    assert 1e-4 * warm.scale(epochs, 50) == pytest.approx(rate)


@pytest.mark.parametrize(("epochs", "scale"), [(1, 0.5), (2, 1), (4, 0.8), (10, 0.2)])
def test_linear_by_hand(epochs: float, scale: float) -> None:
    """After 2 epochs of warm-up, from 1 to 0.2 in 8: 0.1 an epoch."""
    assert Linear(warmup_epochs=2, final_scale=0.2).scale(epochs, 10) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("epochs", "scale"), [(0, 1), (2.99, 1), (3, 0.5), (5.99, 0.5), (6, 0.25), (9.5, 0.125)]
)
def test_step_by_hand(epochs: float, scale: float) -> None:
    """Half the rate after every three epochs, the same within them."""
    assert Step(every_epochs=3, factor=0.5).scale(epochs, 10) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("epochs", "scale"), [(1.25, 0.5), (2.5, 1), (5.99, 1), (6, 0.5), (8.99, 0.5), (9, 0.25)]
)
def test_no_step_falls_within_an_epoch(epochs: float, scale: float) -> None:
    """A warm-up of 2.5 epochs: the first whole one after it is the fourth, and 3 + 3 = 6."""
    warm = Step(warmup_epochs=2.5, every_epochs=3, factor=0.5)
    assert warm.scale(epochs, 10) == pytest.approx(scale)


def test_only_a_schedule_that_follows_a_metric_names_one() -> None:
    """A stage has nothing to check for the others."""
    assert [kind().watched_metric for kind in (Constant, Cosine, OneCycle, Step)] == [None] * 4


def test_defaults_of_one_cycle() -> None:
    """Peak 1 after 30 %, start 0.04, end 0.0001."""
    values = [OneCycle().scale(epochs, 10) for epochs in (0, 3, 10)]
    assert values == pytest.approx([0.04, 1, 0.0001])


@pytest.mark.parametrize(
    "schedule",
    [Cosine(final_scale=0.2), Linear(final_scale=0.2), OneCycle(final_scale=0.2)],
    ids=str,
)
def test_past_the_end_the_last_scale_stays(schedule: Schedule) -> None:
    """A run prolonged by a resume does not climb the cosine again."""
    assert schedule.scale(12, 10) == pytest.approx(0.2)


@pytest.mark.parametrize("warmup", [3, 5])
def test_warm_up_as_long_as_the_training(warmup: float) -> None:
    """It ends where the training ends, without a division by zero."""
    cosine = Cosine(warmup_epochs=warmup)
    assert cosine.scale(1.5, 3) == pytest.approx(1.5 / warmup)
    assert 0 <= cosine.scale(3, 3) <= 1
