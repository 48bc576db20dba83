"""Progressive unfreezing: what learns when, at which rate, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from expkit.errors import UserError
from expkit.optim.groups import parameter_groups
from expkit.optim.unfreezing import split_by_thaw, thaw, thaw_epochs, thaw_scale
from expkit.training.checkpoint import load_learner, save_learner
from expkit.training.device import Device
from expkit.training.learner import Learner

CPU = Device(torch.device("cpu"), "fp32", channels_last=False, compile=False, reason="")
INPUTS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


class Net(nn.Module):
    """Two blocks, the first with a norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5))
        self.second = nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.second(self.first(images)))
        return outputs


UNFREEZE = {1: ["head"], 3: ["second.*"], 4: "all"}


def epochs_of(unfreeze: Any, trainable: Any = "all", model: nn.Module | None = None) -> Any:
    return thaw_epochs(model or Net(), unfreeze, trainable, max_epochs=6, key="procedure.train")


def learner_of(warmup: float = 0.0, **groups: Any) -> Learner:
    torch.manual_seed(0)
    model = Net()
    epochs = epochs_of(UNFREEZE, model=model)
    made = parameter_groups(model, trainable=list(epochs), lr=0.1, key="procedure.train", **groups)
    made = split_by_thaw(model, made, epochs)
    thaw(made, epoch=1)
    optimizer = torch.optim.Adam(made, lr=0.1)
    return Learner(
        model,
        optimizer,
        nn.CrossEntropyLoss(),
        CPU,
        scale=lambda epochs, most: 1.0,
        thaw_warmup_epochs=warmup,
    )


def step(learner: Learner) -> None:
    learner.forward_backward(INPUTS, TARGETS)
    learner.step()


def test_the_mapping_says_when_each_parameter_begins() -> None:
    """What an earlier epoch names stays there; text for a number is what JSON makes of one."""
    epochs = epochs_of({"1": ["head"], 3: ["second.*", "head"], 4: "all"})
    assert {name.partition(".")[0]: epoch for name, epoch in epochs.items()} == {
        "head": 1,
        "second": 3,
        "first": 4,
    }
    assert set(epochs_of({2: "second.*"}, trainable="head").values()) == {1, 2}


@pytest.mark.parametrize(
    ("unfreeze", "message"),
    [
        ({1: ["head"], 3: ["secnod.*"]}, "matches no parameter"),
        ({1: ["head"], 7: "all"}, "no epoch 7"),
        ({0: ["head"]}, "no epoch 0"),
        ({1: "all", 3: ["second.*"]}, "nothing would thaw in epoch 3"),
        ({2: ["head"]}, "nothing would learn in the first epoch"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(unfreeze: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        epochs_of(unfreeze)
    if "secnod" in str(unfreeze):
        assert refused.value.details["nearest"] == "second.*"


def test_layers_move_once_they_have_thawed_and_norms_with_them() -> None:
    """The frozen norm keeps its statistics until its own parameters learn."""
    learner = learner_of()
    model = learner.model
    for epoch in range(1, 5):
        before = copy.deepcopy(model.state_dict())
        learner.start_epoch(epoch)
        step(learner)
        moved = {
            n.partition(".")[0] for n, v in model.state_dict().items() if not v.equal(before[n])
        }
        assert moved == {1: {"head"}, 2: {"head"}, 3: {"head", "second"}}.get(
            epoch, {"head", "second", "first"}
        )
        assert model.first[1].training == (epoch == 4)  # type: ignore[index]


def test_what_thaws_warms_up_by_hand() -> None:
    """Frozen 0; half an epoch into a warm-up of two a quarter; the first group in full."""
    learner = learner_of(warmup=2.0, groups={"first.*": {"lr": 0.01}, "*": {}})
    learner.set_lr(1.0, 2.5)
    assert [group["lr"] for group in learner.optimizer.param_groups] == [0.1, 0.025, 0.0]
    learner.set_lr(0.5, 4.5)
    assert [group["lr"] for group in learner.optimizer.param_groups] == pytest.approx(
        [0.05, 0.05, 0.00375]
    )
    assert thaw_scale({"thaws_at": 3}, 2.0, 0.0) == 1.0
    assert thaw_scale({"thaws_at": 3}, 1.9, 0.0) == 0.0


def test_a_run_that_is_resumed_thaws_as_the_whole_one(tmp_path: Path) -> None:
    """The optimizer's state of what learnt before is kept; what thaws begins with none."""

    def train(learner: Learner, epochs: range) -> None:
        for epoch in epochs:
            learner.start_epoch(epoch)
            learner.set_lr(1.0, epoch - 0.5)
            step(learner)

    path = tmp_path / "checkpoints" / "last.safetensors"
    whole, first, second = (learner_of(warmup=2.0) for _ in range(3))
    train(whole, range(1, 6))
    train(first, range(1, 4))
    counts = [len(group["params"]) for group in first.optimizer.param_groups]
    assert counts == [2, 2, 4]
    assert len(first.optimizer.state) == 4  # the first block has no state yet
    save_learner(path, first, {"epoch": 3})
    load_learner(path, second)
    train(second, range(4, 6))
    for name, value in whole.model.state_dict().items():
        assert second.model.state_dict()[name].equal(value), name
