"""Loops that are sound, plain and odd: nothing is found in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from watched_loops import BATCH_SIZE, NUM_CLASSES, SIDE, Loop, make_loader, watched

SERIOUS = ("fatal", "warning")


def serious(loop: Loop, to: Path, body: Any = None, **options: Any) -> list[str]:
    _, findings = watched(loop, to, body, **options)
    return [f"{each.rule}: {each.sentence}" for each in findings if each.severity in SERIOUS]


def test_a_plain_loop(tmp_path: Path) -> None:
    """With zero_grad before the forward pass, and an evaluation."""
    assert serious(Loop(), tmp_path) == []


class Accumulating(Loop):
    """Adds up the gradients of two batches, each divided by two."""

    def train_epoch(self) -> None:
        self.model.train()
        for number, (images, targets) in enumerate(self.loader):
            (self.criterion(self.model(images), targets) / 2).backward()
            if number % 2:
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=False)


def test_accumulation_that_divides(tmp_path: Path) -> None:
    """Zeros are cleared gradients, too."""
    assert serious(Accumulating(), tmp_path) == []


class Mixed(Loop):
    """Autocast with a scaler, and clipping after unscaling."""

    def __init__(self) -> None:
        super().__init__()
        self.scaler = torch.amp.GradScaler("cpu")

    def train_step(self, images: Tensor, targets: Tensor) -> None:
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.criterion(self.model(images), targets)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.scaler.step(self.optimizer)
        self.scaler.update()


def test_mixed_precision_with_a_scaler(tmp_path: Path) -> None:
    assert serious(Mixed(), tmp_path) == []


class Lbfgs(Loop):
    """A step of LBFGS goes forward and backward several times, by itself."""

    def __init__(self) -> None:
        super().__init__(
            make_optimizer=lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3),
            model=nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, NUM_CLASSES)),
        )

    def train_step(self, images: Tensor, targets: Tensor) -> None:
        def closure() -> Any:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(images), targets)
            loss.backward()
            return loss

        self.optimizer.step(closure)  # type: ignore[arg-type]


def test_a_closure(tmp_path: Path) -> None:
    assert serious(Lbfgs(), tmp_path) == []


class FrozenBackbone(Loop):
    """Trains the head alone, of weights that were trained before."""

    def __init__(self) -> None:
        super().__init__()
        conv, norm = self.model[0], self.model[1]  # type: ignore[index]
        with torch.no_grad():
            conv.weight.mul_(3.0)  # no longer as they were drawn
            norm.running_mean.fill_(0.5)
        conv.requires_grad_(False)
        norm.requires_grad_(False)
        self.norm = norm
        learning = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(learning, lr=0.01)

    def train_epoch(self) -> None:
        self.model.train()
        self.norm.eval()
        for images, targets in self.loader:
            self.train_step(images, targets)


def test_frozen_layers_of_trained_weights(tmp_path: Path) -> None:
    assert serious(FrozenBackbone(), tmp_path) == []


def test_a_head_whose_backbone_is_left_out_of_the_optimizer(tmp_path: Path) -> None:
    """A choice that costs time: worth knowing, and no fault."""
    loop = Loop()
    loop.optimizer = torch.optim.SGD(loop.model[5].parameters(), lr=0.01)  # type: ignore[index]
    _, findings = watched(loop, tmp_path)
    moves = [each for each in findings if each.rule == "optimizer_moves_others"]
    assert [each.severity for each in moves] == ["info"]


def test_two_optimizers_of_one_model_of_which_one_is_watched(tmp_path: Path) -> None:
    """What the other moves is not missed."""
    loop = Loop()
    conv, head = loop.model[:2], loop.model[5]  # type: ignore[index]
    loop.optimizer = torch.optim.SGD(conv.parameters(), lr=0.01)
    other = torch.optim.SGD(head.parameters(), lr=0.01)
    loop.optimizer.register_step_post_hook(lambda *_: other.step())

    def train_step(images: Tensor, targets: Tensor) -> None:
        loop.model.zero_grad()
        loop.criterion(loop.model(images), targets).backward()
        loop.optimizer.step()

    loop.train_step = train_step  # type: ignore[method-assign]
    assert serious(loop, tmp_path) == []


def test_a_discriminator_beside_its_generator(tmp_path: Path) -> None:
    """Its gradients of the generator's loss are still there when its own are cleared."""
    torch.manual_seed(0)
    loop = Loop(
        model=nn.Sequential(
            nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)
        ),
        criterion=nn.BCEWithLogitsLoss(),
        make_optimizer=lambda p: torch.optim.Adam(p, lr=1e-3),
    )
    generator = nn.Sequential(nn.Linear(8, 3 * SIDE * SIDE), nn.Unflatten(1, (3, SIDE, SIDE)))
    own = torch.optim.Adam(generator.parameters(), lr=1e-3)

    def body(watch: Any) -> None:
        real, fake = torch.ones(BATCH_SIZE, 1), torch.zeros(BATCH_SIZE, 1)
        for _ in range(3):
            for images, _targets in loop.loader:
                loop.optimizer.zero_grad()
                loop.criterion(loop.model(images), real).backward()
                made = generator(torch.randn(BATCH_SIZE, 8))
                loop.criterion(loop.model(made.detach()), fake).backward()
                loop.optimizer.step()
                own.zero_grad()
                loop.criterion(loop.model(made), real).backward()
                own.step()
            watch.epoch()

    found = serious(loop, tmp_path, body)
    assert [each for each in found if each.split(":")[0] in LOOP_RULES] == []


LOOP_RULES = (
    *("zero_grad_forgotten", "no_gradient_reaches_model", "clipped_before_unscaling"),
    *("accumulated_without_division", "optimizer_moves_others", "eval_mode_in_training"),
    *("training_mode_in_evaluation", "scheduler_misstepped", "targets_do_not_fit"),
    "workers_repeat",
)


@pytest.mark.parametrize(
    ("make", "each_batch"),
    [
        (lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=2, gamma=0.1), False),
        (lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=4), False),
        (lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.05, total_steps=40), True),
        (lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=40), True),
    ],
)
def test_schedulers_as_they_are_meant(tmp_path: Path, make: Any, each_batch: bool) -> None:
    """Once an epoch, or once a batch with an end that is all batches."""
    loop = Loop()
    loop.scheduler = make(loop.optimizer)

    def body(watch: Any) -> None:
        for _ in range(4):
            loop.model.train()
            for images, targets in loop.loader:
                loop.train_step(images, targets)
                if each_batch:
                    loop.scheduler.step()
            watch.epoch(*loop.evaluate())
            if not each_batch:
                loop.scheduler.step()

    assert serious(loop, tmp_path, body) == []


def test_one_batch_again_and_again(tmp_path: Path) -> None:
    """Without workers that is meant: it is how a model is shown to be able to learn."""
    loop = Loop(loader=[next(iter(make_loader()))] * 10)
    found = [each.split(":")[0] for each in serious(loop, tmp_path)]
    assert not set(found) & set(LOOP_RULES)
