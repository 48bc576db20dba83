"""Schedulers of torch as schedules: a scale for each epoch, read off an optimizer of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from torch.optim import lr_scheduler

from expkit.errors import UserError
from expkit.optim.torch_schedule import TorchSchedule, is_scheduler


def scales(make: Any, max_epochs: int, lr: float = 0.1) -> list[float]:
    schedule = TorchSchedule(make, lr, "target")
    return [schedule.scale(epoch + 0.5, max_epochs) for epoch in range(max_epochs)]


def test_a_scheduler_is_stepped_once_an_epoch() -> None:
    """Halved after every second epoch, and constant within each."""
    halved = partial(lr_scheduler.StepLR, step_size=2, gamma=0.5)
    assert scales(halved, 5) == [1, 1, 0.5, 0.5, 0.25]
    schedule = TorchSchedule(halved, 0.1, "target")
    assert [schedule.scale(epochs, 5) for epochs in (1.99, 2.0, 2.5)] == [1, 0.5, 0.5]


def test_an_absolute_rate_is_a_share_of_the_optimizers() -> None:
    """eta_min=0.01 of lr=0.1 is a tenth; half-way of the cosine lies the middle of both."""
    cosine = partial(lr_scheduler.CosineAnnealingLR, T_max=2, eta_min=0.01)
    assert scales(cosine, 3) == pytest.approx([1, 0.55, 0.1])


def test_the_scales_do_not_hang_on_what_was_asked_before() -> None:
    """A resumed run asks for the middle first."""
    make = partial(lr_scheduler.ExponentialLR, gamma=0.9)
    resumed = TorchSchedule(make, 0.1, "target")
    assert resumed.scale(3.2, 5) == pytest.approx(0.9**3)
    assert resumed.scale(0.2, 5) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (partial(lr_scheduler.ReduceLROnPlateau), "follows a metric"),
        (partial(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=4), "momentum would cycle"),
        (partial(lr_scheduler.StepLR), "missing 1 required positional argument: 'step_size'"),
        (lambda optimizer: optimizer, "makes a SGD, and no scheduler"),
    ],
)
def test_what_is_no_such_schedule_is_refused(make: Any, said: str) -> None:
    """When it is built, and not at the second epoch."""
    with pytest.raises(UserError, match=said):
        TorchSchedule(make, 0.1, "target")


def test_only_classes_of_schedulers_are_taken_for_such() -> None:
    """Partial or not; ReduceLROnPlateau is one, too, which is then refused with its own words."""
    assert is_scheduler(partial(lr_scheduler.StepLR, step_size=2))
    assert is_scheduler(lr_scheduler.ConstantLR)
    assert is_scheduler(lr_scheduler.ReduceLROnPlateau)
    assert not is_scheduler(partial(dict))
