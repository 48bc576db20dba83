"""What the step_stats reads of an epoch, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from line_learner import DEVICE, TWO_POINTS, learner_of, line, numbers, points
from torch import Tensor, nn

from expkit.probes.nan_origin import find_origin
from expkit.training.loop import EpochPlan, train_epochs
from expkit.training.step_stats import probe_epochs


def test_looks_are_dense_first_and_end_with_the_last() -> None:
    """The first four epochs, then each half as late again as the one before, and the last."""
    assert sorted(probe_epochs(20)) == [1, 2, 3, 4, 6, 10, 15, 20]
    assert probe_epochs(1) == {1}
    assert len(probe_epochs(200)) < 20


def test_a_step_is_read_by_hand() -> None:
    """From (0, 0) the gradient (-2, -3) at rate 0.1 moves weights that were zero."""
    learner = learner_of(line())
    (epoch,) = train_epochs(
        learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0, probe_epochs={1})
    )
    signals = epoch.signals
    weight, bias = signals["parameters"]
    assert (weight["name"], weight["gradient_rms"], bias["gradient_rms"]) == ("1.weight", 2, 3)
    assert weight["update_ratio"] is None  # of nothing
    assert signals["gradient_norm"] == pytest.approx(math.sqrt(13))
    assert signals["gradients_left"] is False
    (step,) = epoch.first_steps
    assert step == pytest.approx({"step": 1, "loss": 2.5, "gradient_norm": 13**0.5, "lr": 0.1})


def test_a_change_is_told_as_a_share_of_the_weight() -> None:
    """A weight of 2 that goes to 1.8 has changed by a tenth."""
    model = line()
    with torch.no_grad():
        model[1].weight.fill_(2.0)
    # x = 1, y = 1: the error is 1, its gradient 2 for both, and a step of 0.1 takes 0.2
    learner = learner_of(model)
    split = points([1], torch.tensor([[1.0]]))
    (epoch,) = train_epochs(
        learner, EpochPlan(split, batch_size=1, max_epochs=1, seed=0, probe_epochs={1})
    )
    assert epoch.signals["parameters"][0]["update_ratio"] == pytest.approx(0.1)
    assert numbers(model)[0] == pytest.approx(1.8)


def test_an_epoch_without_a_look_reads_no_parameters() -> None:
    """Weights are copied at looks alone."""
    learner = learner_of(line())
    (epoch,) = train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0))
    assert "parameters" not in epoch.signals
    assert epoch.signals["step_loss"]["mean"] == pytest.approx(2.5)


def test_clipping_is_counted() -> None:
    """A norm of sqrt(13) is over a bound of 0.5 at every step, and under one of 10 at none."""
    for bound, share in ((0.5, 1.0), (10.0, 0.0)):
        learner = learner_of(line(), lr=1e-9, max_gradient_norm=bound)
        (epoch,) = train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0))
        assert epoch.signals["clipped_fraction"] == share


def test_gradients_that_stay_are_seen() -> None:
    """An optimizer that forgets to clear them is found out at the look."""

    class Forgetful(torch.optim.SGD):
        def zero_grad(self, set_to_none: bool = True) -> None:
            pass

    model = line()
    learner = learner_of(model, optimizer=Forgetful(model.parameters(), lr=0.1))
    (epoch,) = train_epochs(
        learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0, probe_epochs={1})
    )
    assert epoch.signals["gradients_left"] is True


def test_the_first_steps_are_told_across_epochs() -> None:
    """Twenty steps and no more, numbered through the epochs that they fall into."""
    learner = learner_of(line())
    split = points([0, 0, 1, 1] * 4, torch.zeros(16, 1))
    epochs = list(train_epochs(learner, EpochPlan(split, batch_size=2, max_epochs=4, seed=0)))
    steps = [step["step"] for epoch in epochs for step in epoch.first_steps]
    assert steps == list(range(1, 21))


class Blows(nn.Module):
    """Lets two batches through and then divides by zero."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, values: Tensor) -> Tensor:
        self.calls += 1
        return values / (0.0 if self.calls == 3 else 1.0)


def test_the_layer_that_broke_is_named() -> None:
    """The third batch comes out of the second layer infinite; the layers after it are innocent."""
    model = nn.Sequential(nn.Flatten(), Blows(), nn.Linear(1, 1))
    split = points([1] * 8, torch.zeros(8, 1))
    learner = learner_of(model, device=DEVICE)
    epochs = train_epochs(learner, EpochPlan(split, batch_size=2, max_epochs=1, seed=0))
    origin = find_origin(learner, lambda: next(epochs))
    assert origin is not None
    named = {key: origin[key] for key in ("layer", "type", "where", "batch")}
    assert named == {"layer": "1", "type": "Blows", "where": "output", "batch": 3}
    assert 0 <= origin["loss_before"] < 10
    assert 0 < origin["largest_weight"] < 10


def test_an_epoch_that_goes_well_has_no_origin() -> None:
    """Nothing is named where nothing breaks."""
    learner = learner_of(line())
    epochs = train_epochs(learner, EpochPlan(TWO_POINTS, batch_size=2, max_epochs=1, seed=0))
    assert find_origin(learner, lambda: next(epochs)) is None
