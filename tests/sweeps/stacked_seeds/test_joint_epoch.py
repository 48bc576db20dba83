"""Learners side by side against each of them alone: the same numbers, epoch by epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.losses.focal_module import FocalLoss
from expkit.models.conv import ConvNet
from expkit.optim.schedule import Cosine
from expkit.sweeps.stacked_seeds.joint_epoch import pays, train_side_by_side
from expkit.sweeps.stacked_seeds.stacked_learner import Stack
from expkit.training.checkpoint import load_learner, save_learner
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan, evaluate, train_epoch

DEVICE = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
UNIT = Normalizer(torch.ones(3) / 255, torch.zeros(3))
NUM_CLASSES, NUM_SEEDS = 6, 3
Make = Callable[[nn.Module], optim.Optimizer]


def pictures(count: int = 23, side: int = 8) -> Split:
    """Noise with a class each: the last of the batches of 5 has 3 samples."""
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, side, side, 3), generator=draws, dtype=torch.uint8)
    targets = torch.randint(0, NUM_CLASSES, (count,), generator=draws)
    names = [str(index) for index in range(count)]
    return Split("train", images, targets, names, [*"abcdef"], UNIT)


def adam(model: nn.Module) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=0.003, fused=True)


def four_convs(**options: Any) -> nn.Module:
    given = {"widths": (4, 6, 8, 8), "image_shape": (3, 8, 8), "num_outputs": NUM_CLASSES}
    return ConvNet(**{**given, **options})


def learner_of(
    seed: int,
    optimizer: Make = adam,
    net: Callable[[], nn.Module] = four_convs,
    device: Device = DEVICE,
    loss: nn.Module | None = None,
    **options: Any,
) -> Learner:
    torch.manual_seed(seed)
    model = device.place(net())
    loss = loss or nn.CrossEntropyLoss()
    return Learner(
        model, optimizer(model), copy.deepcopy(loss), device, **{"scale": Cosine().scale, **options}
    )


def plans(split: Split, max_epochs: int = 3, **options: Any) -> list[EpochPlan]:
    given = {"batch_size": 5, "max_epochs": max_epochs, "probe_epochs": {1, 3}, **options}
    return [EpochPlan(split, seed=seed, **given) for seed in range(NUM_SEEDS)]


def train_alone(learners: Sequence[Learner], lessons: Sequence[EpochPlan]) -> list[list[Epoch]]:
    """By epochs, then seeds."""
    numbers = range(1, lessons[0].max_epochs + 1)
    return [
        [train_epoch(*both, number) for both in zip(learners, lessons, strict=True)]
        for number in numbers
    ]


def train_as_one(stack: Stack, lessons: Sequence[EpochPlan]) -> list[list[Epoch]]:
    numbers = range(1, lessons[0].max_epochs + 1)
    return [train_side_by_side(stack, lessons, number) for number in numbers]


def plain(value: Any) -> Any:
    """All numbers of an epoch but its times, by where they stand."""
    if isinstance(value, dict):
        found = {k: plain(v) for k, v in value.items() if k != "seconds"}
        return {f"{k}/{j}": w for k, v in found.items() for j, w in v.items()}
    if isinstance(value, list | tuple):
        return plain(dict(enumerate(value)))
    if isinstance(value, str):
        return {value: True}
    return {"": math.nan if value is None else value}


def told(epoch: Epoch) -> dict[str, Any]:
    return plain(
        {
            **epoch.metrics,
            "lr": epoch.lr,
            "step": epoch.step,
            "number": epoch.number,
            "signals": dict(epoch.signals),
            "first": list(epoch.first_steps),
        }
    )


def assert_same(one: Sequence[Sequence[Epoch]], other: Sequence[Sequence[Epoch]]) -> None:
    for theirs, ours in zip(one, other, strict=True):
        for expected, found in zip(theirs, ours, strict=True):
            assert told(found) == pytest.approx(told(expected), rel=2e-3, abs=2e-5, nan_ok=True)
            assert found.metrics == pytest.approx(expected.metrics, rel=1e-4)


def assert_same_state(one: Sequence[Learner], other: Sequence[Learner]) -> None:
    for expected, found in zip(one, other, strict=True):
        for name, value in expected.model.state_dict().items():
            torch.testing.assert_close(found.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)
        theirs, ours = (each.optimizer.state_dict() for each in (expected, found))
        assert ours["param_groups"] == theirs["param_groups"]
        assert ours["state"].keys() == theirs["state"].keys()
        for index, state in theirs["state"].items():
            torch.testing.assert_close(ours["state"][index], state, rtol=1e-3, atol=1e-4)


OPTIMIZERS: dict[str, Make] = {
    "adam": adam,
    "sgd": lambda model: optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True),
    "adamw": lambda model: optim.AdamW(model.parameters(), 0.003, weight_decay=0.1, fused=True),
    "radam": lambda model: optim.RAdam(model.parameters(), 0.003),
    "rmsprop": lambda model: optim.RMSprop(model.parameters(), 0.001, momentum=0.5, eps=1e-4),
    "adagrad": lambda model: optim.Adagrad(model.parameters(), 0.01),
    "adadelta": lambda model: optim.Adadelta(model.parameters(), 0.5),
    "adamax": lambda model: optim.Adamax(model.parameters(), 0.003),
    "two rates": lambda model: optim.SGD(
        [{"params": model.backbone.parameters(), "lr": 0.01}, {"params": model.head.parameters()}],
        lr=0.1,
        weight_decay=0.01,
    ),
}


@pytest.mark.broad(3)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_stack_learns_what_each_learns_alone(name: str) -> None:
    """Three epochs of a net of four convolutions: every figure and signal, weight and moment."""
    lessons = plans(pictures())
    alone, stacked = ([learner_of(s, OPTIMIZERS[name]) for s in range(NUM_SEEDS)] for _ in "ab")
    assert_same(train_alone(alone, lessons), train_as_one(Stack(stacked), lessons))
    assert_same_state(alone, stacked)


SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "batch norm": ({"net": lambda: four_convs(widths=(4, 6), norm="batch")}, {}),
    "group norm": ({"net": lambda: four_convs(widths=(8, 8), norm="group")}, {}),
    "clipped": ({"max_gradient_norm": 0.05, "optimizer": OPTIMIZERS["sgd"]}, {}),
    "several batches a step": ({"optimizer": OPTIMIZERS["sgd"]}, {"batches_per_step": 2}),
    "balanced": ({}, {"balanced": True}),
    "weighted": ({"loss": nn.CrossEntropyLoss(torch.arange(1.0, 7.0))}, {}),
    "smoothed": ({"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, {}),
    "focal": ({"loss": FocalLoss(2.0, 0.1, torch.arange(1.0, 7.0))}, {}),
    "rows of pixels": ({"device": replace(DEVICE, channels_last=False)}, {}),
}


@pytest.mark.broad(5)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_stack_keeps_to_the_settings(name: str) -> None:
    """Running statistics, bounds of gradients, weights of classes: each seed has its own."""
    made, taught = SETTINGS[name]
    lessons = plans(pictures(), **taught)
    alone, stacked = ([learner_of(s, **made) for s in range(NUM_SEEDS)] for _ in "ab")
    assert_same(train_alone(alone, lessons), train_as_one(Stack(stacked), lessons))
    assert_same_state(alone, stacked)
    for expected, found in zip(alone, stacked, strict=True):
        figures = evaluate(expected, lessons[0].split, 23)
        assert evaluate(found, lessons[0].split, 23) == pytest.approx(figures, rel=1e-3)


def test_clipping_is_by_each_seeds_own_norm() -> None:
    """Of gradients 3, 4 and 0.3, 0.4 under a bound of 1, only the first are cut: to 0.6, 0.8."""

    def net() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(2, 1, bias=False))

    learners = [
        learner_of(0, lambda m: optim.SGD(m.parameters(), 1.0), net, max_gradient_norm=1.0)
        for _ in range(2)
    ]
    stack = Stack(learners)
    (stacked,) = stack._weights.values()
    before = stacked.detach().clone()
    stacked.grad = torch.tensor([[[3.0, 4.0]], [[0.3, 0.4]]])
    norms = stack.step()
    assert [float(norm) for norm in norms if norm is not None] == pytest.approx([5.0, 0.5])
    moved = (before - stacked.detach()).flatten().tolist()
    assert moved == pytest.approx([0.6, 0.8, 0.3, 0.4], rel=1e-5)


def test_numbers_are_predicted_as_alone() -> None:
    """Targets that are numbers: N x 2 of them, squared error, no classes to count."""
    draws = torch.Generator().manual_seed(1)
    split = replace(pictures(), targets=torch.rand(23, 2, generator=draws), class_names=None)
    lessons = plans(split)
    made: dict[str, Any] = {"net": lambda: four_convs(num_outputs=2), "loss": nn.MSELoss()}
    alone, stacked = ([learner_of(s, **made) for s in range(NUM_SEEDS)] for _ in "ab")
    expected = train_alone(alone, lessons)
    assert set(expected[0][0].metrics) == {"loss"}
    assert_same(expected, train_as_one(Stack(stacked), lessons))


def test_frozen_parameters_and_norms_stay() -> None:
    """What has no gradient is in the program, and in no step."""

    def made(seed: int) -> Learner:
        learner = learner_of(seed, net=lambda: four_convs(widths=(4, 6), norm="batch"))
        backbone = learner.model.get_submodule("backbone").requires_grad_(False)
        head = learner.model.get_submodule("head")
        learner.optimizer = optim.Adam(head.parameters(), 0.01)
        learner.optimizer.param_groups[0]["initial_lr"] = 0.01
        learner.frozen = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
        return learner

    lessons = plans(pictures())
    alone, stacked = ([made(seed) for seed in range(NUM_SEEDS)] for _ in "ab")
    start = copy.deepcopy(stacked[1].model.get_submodule("backbone").state_dict())
    assert_same(train_alone(alone, lessons), train_as_one(Stack(stacked), lessons))
    assert_same_state(alone, stacked)
    now = stacked[1].model.get_submodule("backbone").state_dict()
    assert all(torch.equal(now[name], value) for name, value in start.items())


def test_a_seed_that_breaks_breaks_no_other() -> None:
    """One learner's weights are NaN; the others' numbers are those they have alone."""
    lessons = plans(pictures())
    alone, stacked = ([learner_of(seed) for seed in range(NUM_SEEDS)] for _ in "ab")
    for broken in (alone[1], stacked[1]):
        next(broken.model.parameters()).data.fill_(math.nan)
    expected, found = train_alone(alone, lessons), train_as_one(Stack(stacked), lessons)
    assert math.isnan(found[-1][1].metrics["loss"])
    for theirs, ours in zip(expected, found, strict=True):
        assert_same([[theirs[0], theirs[2]]], [[ours[0], ours[2]]])


def test_who_stays_goes_on_as_alone() -> None:
    """After an epoch of three, two go on together, then one by its own optimizer."""
    lessons = plans(pictures())
    alone, stacked = ([learner_of(seed) for seed in range(NUM_SEEDS)] for _ in "ab")
    expected = train_alone(alone, lessons)
    first = train_side_by_side(Stack(stacked), lessons, 1)
    left = {name: value.clone() for name, value in stacked[2].model.state_dict().items()}
    second = train_side_by_side(Stack(stacked[:2]), lessons[:2], 2)
    third = train_epoch(stacked[0], lessons[0], 3)
    assert_same([expected[0], expected[1][:2], expected[2][:1]], [first, second, [third]])
    assert all(left[name].equal(value) for name, value in stacked[2].model.state_dict().items())


def test_a_checkpoint_of_a_stacked_seed_is_an_ordinary_one(tmp_path: Path) -> None:
    """A fresh learner goes on from it alone; so does a stack of fresh learners."""
    lessons = plans(pictures())
    alone, stacked = ([learner_of(seed) for seed in range(NUM_SEEDS)] for _ in "ab")
    expected = train_alone(alone, lessons)
    program = Stack(stacked)
    train_side_by_side(program, lessons, 1)
    for seed, learner in enumerate(stacked):
        save_learner(tmp_path / f"{seed}.safetensors", learner, {"epoch": 1})
    train_side_by_side(program, lessons, 2)  # what was saved is no view of what goes on
    fresh = [learner_of(100 + seed) for seed in range(NUM_SEEDS)]
    for seed, learner in enumerate(fresh):
        load_learner(tmp_path / f"{seed}.safetensors", learner)
    again = learner_of(200)
    load_learner(tmp_path / "1.safetensors", again)
    assert_same([[expected[1][1]]], [[train_epoch(again, lessons[1], 2)]])
    assert_same([expected[1]], [train_side_by_side(Stack(fresh), lessons, 2)])


def test_the_time_of_an_epoch_is_shared_out() -> None:
    """Three learners side by side took the time of one epoch between them, not of three."""
    lessons = plans(pictures())
    stack = Stack([learner_of(seed) for seed in range(NUM_SEEDS)])
    started = time.perf_counter()
    epochs = train_side_by_side(stack, lessons, 1)
    assert sum(epoch.seconds for epoch in epochs) <= time.perf_counter() - started
    for epoch in epochs:
        seconds: dict[str, float] = epoch.signals["seconds"]
        assert 0 < seconds["data"] < epoch.seconds
        assert sum(seconds.values()) == pytest.approx(epoch.seconds)


@pytest.mark.parametrize(
    ("side", "widths", "precision", "kind", "is_stacked"),
    [
        (8, (4, 6), "fp32", "cpu", True),
        (64, (4, 6), "fp32", "cpu", False),
        (8, (64, 128, 128), "fp32", "cpu", False),
        (8, (4, 6), "bf16", "cpu", False),
        (64, (64, 128, 128), "bf16", "cuda", True),
    ],
)
def test_a_stack_is_made_where_it_pays(
    side: int, widths: Sequence[int], precision: Any, kind: str, is_stacked: bool
) -> None:
    """On a processor for small batches of small nets in fp32, on a GPU always."""
    learner = learner_of(0, net=lambda: four_convs(widths=widths))
    learner.device = replace(DEVICE, precision=precision, torch_device=torch.device(kind))
    assert pays(learner, EpochPlan(pictures(side=side), 5, 1, seed=0)) == is_stacked


def test_a_last_batch_of_other_size_counts_by_its_samples() -> None:
    """A net that answers alike has the loss ln 6 in every batch, also in the one of three."""

    def net() -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, NUM_CLASSES))
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        return model

    made: dict[str, Any] = {"net": net, "scale": lambda epochs, max_epochs: 0.0}
    stack = Stack([learner_of(seed, **made) for seed in range(NUM_SEEDS)])
    split = pictures()
    right = float((split.targets == 0).double().mean())
    for epoch in train_side_by_side(stack, plans(split), 1):
        found = {key: epoch.metrics[key] for key in ("loss", "accuracy")}
        assert found == pytest.approx({"loss": math.log(6), "accuracy": right}, rel=1e-6)
        assert (epoch.num_samples, epoch.step) == (23, 5)


def gathered(split: Split, lesson: EpochPlan) -> Tensor:
    batches = split.batches(5, shuffle=True, generator=lesson.order(1))
    return torch.cat([targets for _, targets in batches])


def test_every_seed_has_its_own_order() -> None:
    """The first steps' losses are those of each one's own first batches."""
    split = pictures()
    lessons = plans(split)
    assert not gathered(split, lessons[0]).equal(gathered(split, lessons[1]))
    twins = [learner_of(0) for _ in range(NUM_SEEDS)]
    epochs = train_side_by_side(Stack(twins), lessons, 1)
    losses = {epoch.first_steps[0]["loss"] for epoch in epochs}
    assert len(losses) == NUM_SEEDS
