"""A run under way: what a stage works with, and where it is written down."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from expkit.data.store.split import Split
from expkit.diagnosis.finding import Finding
from expkit.errors import UserError
from expkit.optim.parameter_names import state_of_head
from expkit.records.files import Record
from expkit.records.run.labels import Labels
from expkit.records.run.metadata import StageResult
from expkit.records.run.mirror import Mirror
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.records.safe_open import is_file, make_inside, refuse_links
from expkit.runner.components import Parts
from expkit.runner.live_diagnosis import Diagnosis
from expkit.runner.relabelling import relabel
from expkit.training.backbone import Taken, load_backbone
from expkit.training.checkpoint import load_learner, load_weights, save_learner, save_weights
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, TrainEpochs, train_epochs
from expkit.training.seeding import seed_everything, seed_for


class Display(Protocol):
    """Whoever looks on: a terminal, a test, nobody."""

    def stage_started(self, stage: str, max_epochs: int) -> None: ...

    def epoch_done(self, record: Record) -> None: ...

    def stage_finished(self, result: StageResult) -> None: ...

    def found(self, finding: Finding) -> None: ...

    def say(self, text: str) -> None: ...


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
    """The parts, the records and the display that a stage works with."""

    parts: Parts
    folder: RunFolder
    display: Display
    stage: str = ""  # the name of the stage that is running
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    reported: dict[str, int] = field(default_factory=dict)  # rules whose findings have been shown
    train_epochs: TrainEpochs = train_epochs  # of a training stage; seeds may share their epochs
    mirror: Mirror | None = None

    @cached_property
    def diagnosis(self) -> Diagnosis:
        return Diagnosis(
            run=lambda: Run(self.folder.path),
            stop_on=self.parts.inputs.config.diagnosis.get("stop_on", "never"),
            tell=self._tell,
            reported=self.reported,
        )

    def _tell(self, finding: Finding) -> None:
        """Write a finding down where it is told, and show it."""
        lines = [each for each in Run(self.folder.path).history if each["stage"] == self.stage]
        self.folder.append_finding(self.stage, len(lines), finding.to_json())
        self.display.found(finding)

    @property
    def seed(self) -> int:
        """The running stage's own: stages do not disturb each other's draws."""
        return seed_for(self.parts.seed, self.stage)

    @property
    def train_split(self) -> Split:
        return self.parts.splits["train"]

    def relabelled(self) -> Session:
        """The session with the labels that an earlier stage has given."""
        labels = Labels.read(self.folder.path, self.parts.metadata)
        assert labels is not None, "the stage that gives them has run"
        return replace(self, parts=relabel(self.parts, labels))

    def new_model(self) -> nn.Module:
        """A freshly initialized model, the same whenever this stage asks."""
        seed_everything(self.seed, "model")
        return self.parts.device.place(self.parts.make_model())

    def record(
        self,
        epoch: Epoch,
        held_out: Mapping[str, float] | None = None,
        more: Mapping[str, int] | None = None,
        *,
        kind: str = "train",
    ) -> Record:
        """Write one epoch down, show it, and hand back what was written."""
        split = self.parts.metadata.monitored_split
        record = {
            "stage": self.stage,
            "epoch": epoch.number,
            "step": epoch.step,
            **{f"{kind}/{name}": value for name, value in epoch.metrics.items()},
            **{f"{split}/{name}": value for name, value in (held_out or {}).items()},
            "lr": epoch.lr,
            **(more or {}),
            "seconds": epoch.seconds,
            "samples_per_second": epoch.num_samples / epoch.seconds,
            # with evaluation and checkpoints
            "wall_seconds": self.stopwatch.lap() - epoch.waited_seconds,
            "at": time.time(),
        }
        self.folder.append_history(record)
        self.display.epoch_done(record)
        return record

    def note(self, kind: str, epoch: int, content: Mapping[str, Any]) -> None:
        """Write a signal down, for the rules."""
        self.folder.append_signal({"stage": self.stage, "kind": kind, "epoch": epoch, **content})

    def resume(self, learner: Learner) -> list[Record]:
        """Bring the learner to the last finished epoch of this stage; the records up to it."""
        epoch = self.load_last(learner)
        history = Run(self.folder.path).history
        records = [r for r in history if r["stage"] == self.stage and r["epoch"] <= epoch]
        if len(records) != epoch:
            raise UserError(
                f"the checkpoint is of epoch {epoch} of {self.stage}, "
                f"and the history has {len(records)} of them",
                where=str(self.folder.path / "history.jsonl"),
                fix="start the run again: expkit train ...",
            )
        # a stage that begins anew observes its start anew
        self.folder.forget_after(self.stage, epoch or -1)
        return records

    @property
    def has_checkpoint(self) -> bool:
        """Tell whether an epoch of this stage has been kept."""
        return is_file(self._checkpoint(self.stage, "last"), self.folder.path)

    def load_last(self, learner: Learner) -> int:
        """Bring the learner to this stage's last checkpoint; its epoch, 0 where there is none."""
        path = self._checkpoint(self.stage, "last")
        return int(load_learner(path, learner)["epoch"]) if self.has_checkpoint else 0

    def save(self, learner: Learner, epoch: int, *, is_best: bool) -> None:
        metadata = {"stage": self.stage, "epoch": epoch}
        make_inside(self._checkpoint(self.stage, "last").parent, self.folder.path)
        if is_best:
            save_weights(self._checkpoint(self.stage, "best"), learner.eval_model, metadata)
        save_learner(self._checkpoint(self.stage, "last"), learner, metadata)
        if self.mirror is not None:
            self.mirror.epoch_done(self.stage, epoch)
            self._say_news(self.mirror)

    def finish_mirror(self) -> None:
        """Bring the mirror to what is recorded by now, and say where that fails."""
        if self.mirror is not None:
            self.mirror.finish(self.display.say)
            self._say_news(self.mirror)

    def _say_news(self, mirror: Mirror) -> None:
        """Say once that the mirror cannot be written; the records keep it, for the summary."""
        if (news := mirror.news()) is None:
            return
        if news.is_first:
            self.display.say(
                f"note    the mirror could not be written: {news.error}\n"
                "        the run goes on, and tries again after a later epoch"
            )
        self.reported.setdefault("mirror_failed", 0)  # so it is told already
        self.folder.append_signal(news.to_signal())

    def save_model(self, model: nn.Module) -> None:
        """Keep the weights of a stage that trains none: they are of no epoch."""
        path = self._checkpoint(self.stage, "best")
        make_inside(path.parent, self.folder.path)
        save_weights(path, model, {"stage": self.stage, "epoch": 0})

    def load_weights(
        self, stage: str, which: str, model: nn.Module, redrawn: Collection[str] = ()
    ) -> int:
        """Put a stage's best or last weights into a model; the epoch that they are from."""
        path = self._checkpoint(stage, which)
        refuse_links(path, self.folder.path)
        return int(load_weights(path, model, redrawn=redrawn)["epoch"])

    def save_backbone(self, model: nn.Module, epoch: int) -> None:
        """Keep a model without its head as this stage's best."""
        path = self._checkpoint(self.stage, "best")
        make_inside(path.parent, self.folder.path)
        metadata = {"stage": self.stage, "epoch": epoch}
        head = state_of_head(model, f"procedure.{self.stage}")
        save_weights(path, model, metadata, without=head)

    def load_backbone(self, stage: str, model: nn.Module) -> Taken:
        """Put a stage's best backbone into a model, whose head stays as it was drawn."""
        path = self._checkpoint(stage, "best")
        refuse_links(path, self.folder.path)
        return load_backbone(path, model, f"procedure.{self.stage}.start_from")

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

    def _checkpoint(self, stage: str, which: str) -> Path:
        return Run(self.folder.path).checkpoint(stage, which)
