"""A run under way: its parts, built once from the config, and where they are written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from expkit.config.parts import build_part, explain_failure
from expkit.data.split import Split, place_splits
from expkit.engine.checkpoint import (
    load_learner,
    load_weights,
    read_facts,
    save_learner,
    save_weights,
)
from expkit.engine.device import Device, DeviceChoice
from expkit.engine.loop import Epoch, Learner, Scale
from expkit.engine.randomness import seed_everything, seed_for
from expkit.errors import UserError
from expkit.procedures.reading import Reading
from expkit.records.facts import DatasetFacts, StageResult
from expkit.records.files import Record
from expkit.records.folder import RunFolder
from expkit.records.run import Run


class ScheduleSource(Protocol):
    """What a schedule's `_target_` makes."""

    @property
    def warmup_epochs(self) -> float: ...

    def scale(self, epochs: float, max_epochs: int) -> float: ...


class Stage(Protocol):
    """A step of a procedure: a small frozen dataclass of plain values."""

    def check(self, key: str, parts: Parts, before: Sequence[Stage]) -> None:
        """Refuse, before anything runs, what this stage could not do."""

    def run(self, session: Session) -> StageResult: ...


class Watcher(Protocol):
    """Whoever looks on: a terminal, a test, nobody."""

    def stage_started(self, stage: str, max_epochs: int) -> None: ...

    def epoch_done(self, record: Record) -> None: ...

    def stage_finished(self, result: StageResult) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of, built before its first step."""

    reading: Reading
    splits: Mapping[str, Split]
    device: Device
    loss: nn.Module
    gate_loss: nn.Module
    schedule: ScheduleSource
    stages: Mapping[str, Stage]
    make_model: Callable[[], nn.Module]
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer]

    @property
    def facts(self) -> DatasetFacts:
        return self.reading.facts

    @property
    def seed(self) -> int:
        return self.reading.config.seed


def build_parts(reading: Reading) -> Parts:
    """Build all parts; whatever is wrong with one of them is said here and not an hour later."""
    config, facts = reading.config, reading.facts
    choice: DeviceChoice = build_part(config.device, "device")
    device = choice.open()
    counts = facts.splits["train"].class_counts
    num_outputs = len(facts.class_names or facts.target_names or ())
    parts = Parts(
        reading=reading,
        splits=place_splits(reading.dataset, device.torch_device),
        device=device,
        loss=reading.loss.build(counts).to(device.torch_device),
        gate_loss=reading.loss.build(counts, plain=True).to(device.torch_device),
        schedule=build_part(config.schedule, "schedule"),
        stages={n: build_part(s, f"procedure.{n}") for n, s in config.procedure.items()},
        make_model=partial(
            _call_partial,
            config.model,
            "model",
            image_shape=facts.image_shape,
            num_outputs=num_outputs,
        ),
        make_optimizer=lambda model: _call_partial(
            config.optimizer, "optimizer", model.parameters()
        ),
    )
    _try_out(parts, num_outputs)
    before: list[Stage] = []
    for name, stage in parts.stages.items():
        stage.check(f"procedure.{name}", parts, before)
        before.append(stage)
    return parts


def _call_partial(node: Mapping[str, Any], key: str, *args: Any, **runtime: Any) -> Any:
    make = build_part({**node, "_partial_": True}, key)
    return explain_failure(node, key, lambda: make(*args, **runtime))


def _try_out(parts: Parts, num_outputs: int) -> None:
    """Two samples through a model, and one step of it: what does not fit fails here."""
    images_BCHW, _ = next(parts.splits["train"].spread_out(2).batches(2))
    node = parts.reading.config.model

    def look() -> None:
        model = parts.device.place(parts.make_model()).eval()
        with torch.no_grad():
            shape = tuple(model(parts.device.arrange(images_BCHW)).shape)
        if shape != (len(images_BCHW), num_outputs):
            raise UserError(
                f"the model answers with shape {shape}, and this dataset wants "
                f"{(len(images_BCHW), num_outputs)}",
                where=f"model._target_={node['_target_']}",
            )

    explain_failure(node, "model", look)
    try_step(parts, 2, "optimizer")


def try_step(parts: Parts, num_samples: int, key: str) -> None:
    """One training step of a model that is then dropped: what cannot be trained fails here."""
    images_BCHW, targets = next(parts.splits["train"].spread_out(num_samples).batches(num_samples))
    model = parts.device.place(parts.make_model())
    optimizer = parts.make_optimizer(model)
    plain = replace(parts.device, compile=False)  # compiling would take longer than it tells
    learner = Learner(model, optimizer, parts.loss, plain, scale=lambda epochs, max_epochs: 1.0)
    try:
        learner.step(images_BCHW, targets)
    except Exception as error:
        names = [parts.reading.config.model["_target_"], parts.reading.config.optimizer["_target_"]]
        raise UserError(
            f"a training step on {num_samples} sample(s) fails: {error}",
            where=f"{key}: {', '.join(names)}",
            fix="EXPKIT_TRACEBACK=1 expkit train ...   (shows where)",
        ) from error


class Stopwatch:
    """Tells the time since it was last asked."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        lap, self._last = now - self._last, now
        return lap


@dataclass(frozen=True)
class Session:
    """What a stage works with."""

    parts: Parts
    folder: RunFolder
    watcher: Watcher
    stage: str = ""  # the name of the stage that is running
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def seed(self) -> int:
        """The running stage's own: stages do not disturb each other's draws."""
        return seed_for(self.parts.seed, self.stage)

    @property
    def train_split(self) -> Split:
        return self.parts.splits["train"]

    def new_model(self) -> nn.Module:
        """A freshly initialised model, the same whenever this stage asks."""
        seed_everything(self.seed, "model")
        return self.parts.device.place(self.parts.make_model())

    def new_learner(self, loss: nn.Module, *, scale: Scale, **options: Any) -> Learner:
        model = self.new_model()
        optimizer = self.parts.make_optimizer(model)
        return Learner(model, optimizer, loss, self.parts.device, scale=scale, **options)

    def record(self, epoch: Epoch, held_out: Mapping[str, float] | None = None) -> Record:
        """Write one epoch down, show it, and hand back what was written."""
        split = self.parts.facts.monitored_split
        record = {
            "stage": self.stage,
            "epoch": epoch.number,
            "step": epoch.step,
            **{f"train/{name}": value for name, value in epoch.metrics.items()},
            **{f"{split}/{name}": value for name, value in (held_out or {}).items()},
            "lr": epoch.lr,
            "seconds": epoch.seconds,
            "samples_per_second": epoch.num_samples / epoch.seconds,
            "wall_seconds": self.stopwatch.lap(),  # with evaluation and checkpoints
            "at": time.time(),
        }
        self.folder.append_history(record)
        self.watcher.epoch_done(record)
        return record

    def resume(self, learner: Learner) -> list[Record]:
        """Bring the learner to the last finished epoch of this stage; the records up to it."""
        path = self._checkpoint("last")
        epoch = 0
        if path.exists() and read_facts(path)["stage"] == self.stage:
            epoch = int(load_learner(path, learner)["epoch"])
        self.folder.forget_after(self.stage, epoch)
        records = [r for r in Run(self.folder.path).history if r["stage"] == self.stage]
        if len(records) != epoch:
            raise UserError(
                f"the checkpoint is of epoch {epoch} of {self.stage}, "
                f"and the history has {len(records)} of them",
                where=str(self.folder.path / "history.jsonl"),
                fix="start the run again: expkit train ...",
            )
        return records

    def save(self, learner: Learner, epoch: int, *, is_best: bool) -> None:
        facts = {"stage": self.stage, "epoch": epoch}
        if is_best:
            save_weights(self._checkpoint("best"), learner.model, facts)
        save_learner(self._checkpoint("last"), learner, facts)

    def load_weights(self, which: str, model: nn.Module) -> int:
        """Put the best or last weights into a model; the epoch that they are from."""
        return int(load_weights(self._checkpoint(which), model)["epoch"])

    def result(self, kind: str, *, passed: bool, reason: str, records: list[Record]) -> StageResult:
        """A stage's result from what it recorded, resumed parts included."""
        seconds = sum(record["seconds"] for record in records)
        samples = sum(record["samples_per_second"] * record["seconds"] for record in records)
        figures = {k: v for k, v in records[-1].items() if "/" in k} if records else {}
        return StageResult(
            stage=self.stage,
            kind=kind,
            passed=passed,
            reason=reason,
            num_epochs=len(records),
            num_samples=round(samples / len(records)) if records else 0,
            seconds=sum(record["wall_seconds"] for record in records),
            samples_per_second=samples / seconds if seconds else 0.0,
            peak_memory_bytes=self.parts.device.peak_memory_bytes(),
            figures=figures,
        )

    def _checkpoint(self, which: str) -> Path:
        return self.folder.path / "checkpoints" / f"{which}.safetensors"
