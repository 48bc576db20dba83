"""Each mistake of a loop, made in a real one: its rule finds it, and names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset
from watched_loops import BATCH_SIZE, NUM_CLASSES, SIDE, Loop, make_loader, make_samples, watched

from expkit.diagnosis.finding import Finding


def found(rule: str, loop: Loop, to: Path, body: Any = None, **options: Any) -> Finding:
    """The rule's finding in a loop; it is the one that stands for what it explains."""
    _, findings = watched(loop, to, body, **options)
    named = {each.rule: each for each in findings}
    assert rule in named, f"only {list(named)} were found"
    return named[rule]


def steps_of(loop: Loop, step: Any) -> Loop:
    loop.train_step = step  # type: ignore[method-assign]
    return loop


def test_zero_grad_that_is_never_called(tmp_path: Path) -> None:
    loop = Loop()

    def step(images: Tensor, targets: Tensor) -> None:
        loop.criterion(loop.model(images), targets).backward()
        loop.optimizer.step()

    finding = found("zero_grad_forgotten", steps_of(loop, step), tmp_path)
    assert finding.severity == "fatal"
    assert finding.epoch == 1
    # the first of ten steps met none
    assert finding.evidence == {"steps": 10, "steps_that_met_old_gradients": 9}


def test_zero_grad_once_an_epoch(tmp_path: Path) -> None:
    """It stands before the loop over batches, and not in it."""
    loop = Loop()

    def body(watch: Any) -> None:
        for _ in range(2):
            loop.model.train()
            loop.optimizer.zero_grad()
            for images, targets in loop.loader:
                loop.criterion(loop.model(images), targets).backward()
                loop.optimizer.step()
            watch.epoch(*loop.evaluate())

    assert found("zero_grad_forgotten", loop, tmp_path, body).severity == "fatal"


def test_a_loss_that_was_detached(tmp_path: Path) -> None:
    """A new leaf has a gradient of its own, and the model none."""
    loop = Loop()

    def step(images: Tensor, targets: Tensor) -> None:
        loop.optimizer.zero_grad()
        loop.criterion(loop.model(images), targets).detach().requires_grad_().backward()
        loop.optimizer.step()

    finding = found("no_gradient_reaches_model", steps_of(loop, step), tmp_path)
    assert finding.severity == "fatal"
    assert finding.evidence["steps_without_gradient"] == 10


def test_an_optimizer_made_before_the_head_was_replaced(tmp_path: Path) -> None:
    loop = Loop()
    loop.model[5] = nn.Linear(16 * SIDE * SIDE, NUM_CLASSES)  # type: ignore[index]
    finding = found("optimizer_moves_others", loop, tmp_path)
    assert finding.severity == "fatal"  # the head has most of the parameters
    assert finding.evidence["names"] == ["5.weight", "5.bias"]
    assert finding.evidence["tensors_of_others"] == 2


def test_a_layer_that_was_added_after_the_optimizer_was_made(tmp_path: Path) -> None:
    loop = Loop()
    loop.model.append(nn.Linear(NUM_CLASSES, NUM_CLASSES))  # type: ignore[operator]
    finding = found("optimizer_moves_others", loop, tmp_path)
    assert finding.severity == "warning"
    assert finding.evidence["names"] == ["6.weight", "6.bias"]


def test_eval_mode_that_is_left_on_after_the_first_epoch(tmp_path: Path) -> None:
    loop = Loop()

    def body(watch: Any) -> None:
        for _ in range(3):
            for images, targets in loop.loader:
                loop.train_step(images, targets)
            watch.epoch(*loop.evaluate())

    finding = found("eval_mode_in_training", loop, tmp_path, body)
    assert finding.epoch == 2
    assert finding.evidence["batches_in_eval_mode"] == 10


def test_a_validation_in_training_mode(tmp_path: Path) -> None:
    loop = Loop()

    def body(watch: Any) -> None:
        for _ in range(2):
            loop.train_epoch()
            with torch.no_grad():
                watch.epoch(loop.model(loop.val[0]), loop.val[1])

    finding = found("training_mode_in_evaluation", loop, tmp_path, body)
    assert finding.evidence == {"samples": 64, "norms_and_dropouts": 2}


def test_a_batch_norm_that_sleeps_while_it_is_trained(tmp_path: Path) -> None:
    """With the statistics that it was made with, which are of nothing."""
    loop = Loop()

    def body(watch: Any) -> None:
        for _ in range(2):
            loop.model.train()
            loop.model[1].eval()  # type: ignore[index]
            for images, targets in loop.loader:
                loop.train_step(images, targets)
            watch.epoch(*loop.evaluate())

    assert found("batch_norm_mode", loop, tmp_path, body).evidence["names"] == ["1"]


def with_scheduler(make: Any) -> Loop:
    loop = Loop()
    loop.scheduler = make(loop.optimizer)
    return loop


def stepping(loop: Loop, when: str, epochs: int = 4) -> Any:
    """A loop that steps its scheduler before or after each batch or epoch, or never."""

    def body(watch: Any) -> None:
        for _ in range(epochs):
            loop.model.train()
            if when == "before_epoch":
                loop.scheduler.step()
            for images, targets in loop.loader:
                loop.train_step(images, targets)
                if when == "batch":
                    loop.scheduler.step()
            watch.epoch(*loop.evaluate())
            if when == "epoch":
                loop.scheduler.step()

    return body


SCHEDULES = torch.optim.lr_scheduler


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
@pytest.mark.parametrize(
    ("make", "when", "words"),
    [
        (lambda o: SCHEDULES.StepLR(o, 2, gamma=0.1), "batch", "within the first epoch"),
        (lambda o: SCHEDULES.CosineAnnealingLR(o, T_max=4), "batch", "rises again"),
        (lambda o: SCHEDULES.StepLR(o, 2), "before_epoch", "before the optimizer's first"),
        (lambda o: SCHEDULES.StepLR(o, 2), "never", "was not stepped in 4 epochs"),
        (lambda o: SCHEDULES.OneCycleLR(o, 0.05, total_steps=40), "epoch", "of 40, as many"),
    ],
)
def test_a_scheduler_stepped_at_the_wrong_time(
    tmp_path: Path, make: Any, when: str, words: str
) -> None:
    loop = with_scheduler(make)
    finding = found("scheduler_misstepped", loop, tmp_path, stepping(loop, when))
    assert finding.severity == "warning"
    assert words in finding.sentence


def test_clipping_of_gradients_that_are_still_scaled(tmp_path: Path) -> None:
    loop = Loop()
    loop.scaler = torch.amp.GradScaler("cpu")

    def step(images: Tensor, targets: Tensor) -> None:
        loop.optimizer.zero_grad()
        loss = loop.criterion(loop.model(images), targets)
        loop.scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(loop.model.parameters(), 1.0)
        loop.scaler.step(loop.optimizer)
        loop.scaler.update()

    finding = found("clipped_before_unscaling", steps_of(loop, step), tmp_path)
    assert finding.evidence["kept_fraction"] < 1e-3  # the scale is 65,536


def test_accumulation_without_division(tmp_path: Path) -> None:
    """Five batches a step, and each loss goes backward as it is."""
    loop = Loop()

    def body(watch: Any) -> None:
        for _ in range(2):
            loop.model.train()
            for number, (images, targets) in enumerate(loop.loader, start=1):
                loop.criterion(loop.model(images), targets).backward()
                if number % 5 == 0:
                    loop.optimizer.step()
                    loop.optimizer.zero_grad()
            watch.epoch(*loop.evaluate())

    finding = found("accumulated_without_division", loop, tmp_path, body)
    assert finding.evidence["batches_per_step"] == 5


def test_numbers_that_are_broadcast_against_each_other(tmp_path: Path) -> None:
    """Outputs of (16, 1) and targets of (16) make a table of 256 differences."""
    images, targets = make_samples(160, seed=1)
    loader = DataLoader(torch.utils.data.TensorDataset(images, targets.float()), BATCH_SIZE)
    loop = regression(loader)
    with pytest.warns(UserWarning, match="Using a target size"):
        finding = found("targets_do_not_fit", loop, tmp_path, train_alone(loop))
    assert finding.severity == "fatal"
    assert finding.evidence == {"outputs": "(16, 1)", "targets": "(16,)"}


def test_numbers_far_from_what_outputs_begin_with(tmp_path: Path) -> None:
    """Prices of some hundred thousands, which no step of 1e-3 reaches."""
    images, targets = make_samples(160, seed=1)
    prices = 400_000 + 10_000.0 * targets[:, None]
    loader = DataLoader(torch.utils.data.TensorDataset(images, prices), BATCH_SIZE)
    loop = regression(loader)
    finding = found("targets_do_not_fit", loop, tmp_path, train_alone(loop))
    assert finding.evidence["highest"] == 430_000


def regression(loader: Any) -> Loop:
    torch.manual_seed(0)
    return Loop(
        model=nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 1)),
        criterion=nn.MSELoss(),
        loader=loader,
        make_optimizer=lambda p: torch.optim.Adam(p, lr=1e-3),
    )


def train_alone(loop: Loop) -> Any:
    def body(watch: Any) -> None:
        for _ in range(3):
            loop.train_epoch()
            watch.epoch()

    return body


def test_a_mask_of_0_and_255_for_a_binary_loss(tmp_path: Path) -> None:
    images, targets = make_samples(160, seed=1)
    masks = 255.0 * (targets % 2)[:, None]
    loop = Loop(
        model=nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 1)),
        criterion=nn.BCEWithLogitsLoss(),
        loader=DataLoader(torch.utils.data.TensorDataset(images, masks), BATCH_SIZE),
    )
    finding = found("targets_do_not_fit", loop, tmp_path, train_alone(loop))
    assert finding.evidence["highest"] == 255


def test_several_labels_a_sample_for_a_loss_of_one(tmp_path: Path) -> None:
    images, targets = make_samples(160, seed=1)
    rows = nn.functional.one_hot(targets, NUM_CLASSES).float()
    rows[:, 0] = 1.0
    loop = Loop(loader=DataLoader(torch.utils.data.TensorDataset(images, rows), BATCH_SIZE))
    finding = found("targets_do_not_fit", loop, tmp_path, train_alone(loop))
    assert finding.evidence["largest_row_error"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t + 1, "from 1 to 4"),
        (lambda t: t * 3, "from 0 to 9"),
        (lambda t: nn.functional.one_hot(t, NUM_CLASSES), "whole numbers of the shape"),
    ],
)
def test_a_loop_that_ends_by_its_targets(tmp_path: Path, change: Any, words: str) -> None:
    """The error is the loop's own, and the finding says what it means; one epoch was sound."""
    loop = Loop()

    def body(watch: Any) -> None:
        loop.train_epoch()
        watch.epoch()
        for images, targets in loop.loader:
            loop.train_step(images, change(targets))

    import expkit

    watch = expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False)
    with pytest.raises((IndexError, RuntimeError)), watch:
        body(watch)
    (finding,) = (each for each in watch.findings if each.rule == "targets_do_not_fit")
    assert words in finding.sentence


def test_targets_beyond_the_outputs_in_the_very_first_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no folder yet, and the finding is told beside the loop's own error."""
    import expkit

    loop = Loop()
    images, targets = next(iter(loop.loader))
    watch = expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path / "out")
    with pytest.raises(IndexError), watch:
        loop.train_step(images, targets + 2)
    assert "FATAL targets_do_not_fit" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


class Stream(IterableDataset[Any]):
    """Every worker reads it as a whole."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        images, targets = make_samples(64, seed=1)
        return iter(zip(images, targets, strict=True))


def test_a_stream_that_each_worker_reads_as_a_whole(tmp_path: Path) -> None:
    loop = Loop(loader=DataLoader(Stream(), BATCH_SIZE, num_workers=2))
    finding = found("workers_repeat", loop, tmp_path, train_alone(loop))
    assert finding.evidence == {"num_workers": 2, "batches": 8, "repeated": 8, "different": 4}


class Noisy(Dataset[Any]):
    """Draws noise from a generator of its own, which is copied into each worker."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)
        self.images, self.targets = make_samples(64, seed=1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = self.generator.normal(size=self.images.shape[1:]).astype(np.float32)
        return self.images[index] + torch.from_numpy(noise), self.targets[index]


class Seeded(Noisy):
    """The same, but that each worker makes its own."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        worker = torch.utils.data.get_worker_info()
        if worker is not None:
            self.generator = np.random.default_rng(worker.seed + index)
        return super().__getitem__(index)


class DrawnOnce(Noisy):
    """The same, but that it drew when it was made, and does so no more."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.targets[index]


def test_a_generator_that_each_worker_has_a_copy_of(tmp_path: Path) -> None:
    loop = Loop(loader=DataLoader(Noisy(), BATCH_SIZE, num_workers=2))
    finding = found("workers_repeat", loop, tmp_path, train_alone(loop))
    assert finding.evidence["generators"] == ["dataset.generator"]


@pytest.mark.parametrize(
    ("dataset", "workers"), [(Noisy, 0), (Noisy, 1), (Seeded, 2), (DrawnOnce, 2)]
)
def test_generators_that_are_not_shared(tmp_path: Path, dataset: type[Noisy], workers: int) -> None:
    """One process has one generator; one that is seeded by worker, or not drawn from, is sound."""
    loop = Loop(loader=DataLoader(dataset(), BATCH_SIZE, num_workers=workers))
    _, findings = watched(loop, tmp_path, train_alone(loop))
    assert "workers_repeat" not in {each.rule for each in findings}


def test_a_finding_comes_while_the_loop_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the first epoch, and not at the end."""
    import expkit

    loop = Loop(loader=make_loader(64))
    with expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False) as it:
        loop.model.train()
        for images, targets in loop.loader:
            loop.criterion(loop.model(images), targets).backward()
            loop.optimizer.step()
        it.epoch()
        assert "FATAL zero_grad_forgotten (train, epoch 1)" in capsys.readouterr().out
