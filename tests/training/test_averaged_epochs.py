"""The mean of the weights over the last epochs: by hand, with norms that suit it, resumed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from expkit.training.checkpoint import load_learner, load_weights, save_learner
from expkit.training.device import Device
from expkit.training.learner import Learner

CPU = Device(torch.device("cpu"), "fp32", channels_last=False, compile=False, reason="")
INPUTS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def batches() -> Iterable[tuple[Tensor, Tensor]]:
    return [(INPUTS[:4], TARGETS[:4]), (INPUTS[4:], TARGETS[4:])]


def learner_of(*, frozen: bool = False) -> Learner:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    return Learner(
        model,
        torch.optim.Adam(model.parameters(), lr=0.1),
        nn.CrossEntropyLoss(),
        CPU,
        scale=lambda epochs, most: 1.0,
        swa_start=3,
        frozen=[model[2]] if frozen else [],
    )


def train(learner: Learner, epochs: range) -> list[Tensor]:
    weights = []
    for epoch in epochs:
        torch.manual_seed(epoch)
        learner.start_epoch(epoch)
        learner.forward_backward(INPUTS, TARGETS)
        learner.step()
        learner.finish_epoch(epoch, batches)
        weights.append(learner.model[0].weight.detach().clone())  # type: ignore[index]
    return weights


def test_what_is_evaluated_is_the_mean_of_the_last_epochs() -> None:
    """Before these it is the model itself; the model goes on training from its own weights."""
    learner = learner_of()
    weights = train(learner, range(1, 3))
    assert learner.eval_model is learner.model
    weights += train(learner, range(3, 6))
    mean = learner.eval_model[0].weight  # type: ignore[index]
    torch.testing.assert_close(mean, torch.stack(weights[2:]).mean(0))
    assert learner.model[0].weight.equal(weights[-1])  # type: ignore[index]


def test_norms_get_the_statistics_of_what_the_mean_sees() -> None:
    """The means over both batches of what the averaged layer before makes, without dropout."""
    learner = learner_of()
    train(learner, range(1, 5))
    linear, _, norm = learner.eval_model  # type: ignore[misc]
    with torch.no_grad():
        halves = [linear(INPUTS[:4]), linear(INPUTS[4:])]
    torch.testing.assert_close(norm.running_mean, torch.stack([h.mean(0) for h in halves]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([h.var(0) for h in halves]).mean(0))
    assert norm.momentum == 0.1
    assert not norm.training


def test_norms_that_stand_still_keep_their_statistics() -> None:
    learner = learner_of(frozen=True)
    before = learner.model[2].running_mean.clone()  # type: ignore[index]
    train(learner, range(1, 5))
    assert learner.eval_model[2].running_mean.equal(before)  # type: ignore[index]


def test_nothing_is_drawn_for_the_statistics() -> None:
    """A run with the mean trains on as one without it would."""
    learner = learner_of()
    train(learner, range(1, 3))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    learner.finish_epoch(3, batches)
    assert torch.rand(1).equal(expected)


@pytest.mark.parametrize("cut", [2, 4])
def test_a_resumed_run_comes_to_the_same_mean(cut: int, tmp_path: Path) -> None:
    """Cut before the first averaged epoch, and between two of them."""
    path = tmp_path / "checkpoints" / "last.safetensors"
    whole, first, second = (learner_of() for _ in range(3))
    train(whole, range(1, 6))
    train(first, range(1, cut + 1))
    save_learner(path, first, {"epoch": cut})
    load_learner(path, second)
    train(second, range(cut + 1, 6))
    for ours, theirs in ((second.model, whole.model), (second.eval_model, whole.eval_model)):
        for name, value in theirs.state_dict().items():
            assert ours.state_dict()[name].equal(value), name


def test_the_last_checkpoint_gives_the_mean_where_there_is_one(tmp_path: Path) -> None:
    """Before that it gives the model's own weights."""
    path = tmp_path / "checkpoints" / "last.safetensors"
    for last in (2, 5):
        learner, fresh = learner_of(), learner_of().model
        train(learner, range(1, last + 1))
        save_learner(path, learner, {"epoch": last})
        load_weights(path, fresh)
        for name, value in learner.eval_model.state_dict().items():
            assert fresh.state_dict()[name].equal(value), name
