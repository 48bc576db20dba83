"""Loops of somebody's own, sound and broken, that are watched in tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import expkit
from expkit.diagnosis.examine import FAILED
from expkit.diagnosis.finding import Finding
from expkit.records.run.reader import Run

NUM_CLASSES, SIDE = 4, 8
BATCH_SIZE = 16


def make_samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images whose brighter row is their class."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % NUM_CLASSES
    images = torch.randn(count, 3, SIDE, SIDE, generator=generator)
    images[torch.arange(count), :, targets] += 1.0
    return images, targets


def make_loader(count: int = 160, batch_size: int = BATCH_SIZE, **options: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*make_samples(count, seed=1)), batch_size, **options)


def make_model() -> nn.Sequential:
    """A small net with a batch norm and a dropout; the same one each time."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(16 * SIDE * SIDE, NUM_CLASSES),
    )


class Loop:
    """One loop: its parts, which a test exchanges, and the plain way to train with them."""

    def __init__(self, **parts: Any) -> None:
        self.model: nn.Module = parts.pop("model", None) or make_model()
        make = parts.pop("make_optimizer", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9))
        self.optimizer: torch.optim.Optimizer = make(self.model.parameters())
        self.criterion: Any = parts.pop("criterion", None) or nn.CrossEntropyLoss()
        self.loader: Any = parts.pop("loader") if "loader" in parts else make_loader()
        self.val = make_samples(64, seed=2)
        self.scheduler: Any = None
        self.scaler: Any = None
        assert not parts, f"no parts: {parts}"

    def train_step(self, images: Tensor, targets: Tensor) -> None:
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(images), targets)
        loss.backward()
        self.optimizer.step()

    def train_epoch(self) -> None:
        self.model.train()
        for images, targets in self.loader:
            self.train_step(images, targets)

    def evaluate(self) -> tuple[Tensor, Tensor]:
        self.model.eval()
        with torch.no_grad():
            return self.model(self.val[0]), self.val[1]

    def run(self, watch: Any, epochs: int = 3) -> None:
        for _ in range(epochs):
            self.train_epoch()
            watch.epoch(*self.evaluate())


def watched(
    loop: Loop, to: Path, body: Callable[[Any], None] | None = None, **options: Any
) -> tuple[Run, list[Finding]]:
    """The records of a loop that is watched from beginning to end, and what is found in them."""
    given = {"data": loop.loader, "scheduler": loop.scheduler, "scaler": loop.scaler, **options}
    watch = expkit.watch(
        loop.model, loop.optimizer, loop.criterion, to=to, plots=False, name="loop", **given
    )
    with watch:
        (body or loop.run)(watch)
    if watch.failure is not None:
        raise watch.failure
    assert watch.path is not None
    findings = watch.findings
    assert FAILED not in {each.rule for each in findings}, "no rule fails on such records"
    return Run(watch.path), findings


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small nets on several threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
