"""Every optimizer and schedule that can be chosen by name does what its YAML says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from running_expkit import TINY, Expkit
from torch import nn

from expkit.config.instantiate import build_part
from expkit.config.paths import builtin_conf
from expkit.config.stage_parts import read_choice, write_out
from expkit.config.targets.check import check_part
from expkit.optim.schedule import Schedule
from expkit.training.checkpoint import load_learner, save_learner
from expkit.training.device import Device
from expkit.training.learner import Learner

INPUTS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (builtin_conf() / group).glob("*.yaml"))


def chosen(group: str, name: str, **changes: Any) -> Any:
    """The part that a YAML makes, checked as a run's would be."""
    node = write_out({group: read_choice(group, name, group)})[group] | changes
    check_part(node, group)
    return build_part(node, group)


def new_learner(optimizer: str) -> Learner:
    device = Device(torch.device("cpu"), "fp32", channels_last=False, compile=False, reason="")
    model = nn.Linear(5, 3)
    nn.init.eye_(model.weight)
    nn.init.zeros_(model.bias)
    made = chosen("optimizer", optimizer, lr=0.01)(model.parameters())
    return Learner(model, made, nn.CrossEntropyLoss(), device, scale=lambda epochs, most: 1.0)


def losses(learner: Learner, num_steps: int) -> list[float]:
    losses = []
    for _ in range(num_steps):
        losses.append(learner.forward_backward(INPUTS, TARGETS)[0].item())
        learner.step()
    return losses


@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_every_optimizer_learns_and_is_resumed(optimizer: str, tmp_path: Path) -> None:
    """The loss falls; eight steps, a checkpoint and eight more are sixteen steps to the bit."""
    path = tmp_path / "checkpoints" / "last.safetensors"
    whole = losses(new_learner(optimizer), 16)
    assert whole[-1] < whole[0]
    first, second = new_learner(optimizer), new_learner(optimizer)
    losses(first, 8)
    save_learner(path, first, {"epoch": 8})
    load_learner(path, second)
    assert losses(second, 8) == whole[8:]


@pytest.mark.parametrize("name", choices("schedule"))
def test_every_schedule_warms_up(name: str) -> None:
    """From a hundredth of the rate to where the schedule itself begins."""
    schedule: Schedule = chosen("schedule", name, warmup_epochs=2, warmup_start_scale=0.01)
    start = 0.04 if name == "one_cycle" else 1.0
    scales = [schedule.scale(epochs, 10) for epochs in (0, 1, 2)]
    assert scales == pytest.approx([0.01, (0.01 + start) / 2, start])


@pytest.mark.slow
def test_an_optimizer_of_another_library_is_yaml_alone(run_here: Expkit) -> None:
    """A whole run, with a schedule and a loss of its own."""
    words = ["optimizer=ranger", "schedule=step", "loss=focal", "loss.class_weights=balanced"]
    done = run_here("train", *TINY, "procedure=full", *words)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (("loss=focal", "loss.gamma=-1"), "loss.gamma cannot be -1", ">= 0"),
        (("loss=focal", "loss.gama=1"), "no key 'loss.gama'", "loss.gamma"),
        (("schedule=plateau", "schedule.patience=0"), "patience cannot be 0", ">= 1"),
        (("schedule=step", "schedule.factor=1"), "factor cannot be 1", "< 1"),
        (("schedule.warmup_start_scale=2",), "warmup_start_scale cannot be 2", "<= 1"),
        (("optimizer=lion", "optimizer.betas=3"), "betas cannot be 3", "a list of 2 numbers"),
    ],
)
def test_wrong_values_are_refused(
    words: tuple[str, ...], what: str, hint: str, run_here: Expkit
) -> None:
    """With what is allowed instead."""
    done = run_here("train", *words)
    assert done.code == 2
    assert what in done.err
    assert hint in done.err
