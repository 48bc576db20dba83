"""Training on the whole training split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from expkit.data.split import batch_bounds
from expkit.engine.loop import Learner, evaluate, train_epochs
from expkit.engine.prediction import predict
from expkit.errors import UserError, nearest_of
from expkit.procedures.parts import Parts, try_step
from expkit.procedures.session import Session, Stage
from expkit.records.criteria import Criterion, parse_criterion
from expkit.records.facts import StageResult
from expkit.records.files import Record
from expkit.records.predictions import ClassPredictions

NUM_SHOWN = 8  # pieces whose every probability a snapshot keeps


@dataclass(frozen=True)
class Training:
    """Trains until a target, the end of patience, or the last epoch; keeps the best and the last.

    A metric without a split is the monitored split's: val where there is one, else train.
    Whether to stop, and which epoch is best, is read off the records: a resumed run agrees.
    """

    max_epochs: Annotated[int, Ge(1)]
    batch_size: Annotated[int, Ge(1)]
    stop_at: Mapping[str, object] | None = None
    monitor: str = "loss"
    patience: Annotated[int, Ge(1)] | None = None
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    snapshot_every: Annotated[int, Ge(1)] | None = 50

    def check(self, key: str, parts: Parts, before: Sequence[Stage]) -> None:
        """Refuse metrics that no epoch records, and batches that cannot be learnt from."""
        facts = parts.facts
        if parts.schedule.warmup_epochs >= self.max_epochs:
            raise UserError(
                "the warm-up is as long as the training: its rate would never be reached",
                where=f"schedule.warmup_epochs={parts.schedule.warmup_epochs:g}, "
                f"{key}.max_epochs={self.max_epochs}",
                allowed=f"warmup_epochs < {self.max_epochs}",
            )
        wanted = self.wanted(f"{key}.stop_at")
        monitored, known = facts.monitored_split, facts.recorded_metrics
        watched = [("monitor", self.monitor), *(("stop_at", c.name) for c in wanted)]
        for option, name in watched:
            if with_split(name, monitored) not in known:
                raise UserError(
                    f"no epoch records the metric '{name}'",
                    where=f"{key}.{option}: {name}",
                    nearest=nearest_of(name, [*known, *(k.split("/")[1] for k in known)]),
                    allowed=f"{', '.join(known)}; without a split, {monitored} is meant",
                )
        bounds = batch_bounds(len(parts.splits["train"]), self.batch_size)
        try_step(parts, min(stop - start for start, stop in bounds), f"{key}.batch_size")

    def run(self, session: Session) -> StageResult:
        learner = session.new_learner(
            session.parts.loss,
            scale=session.parts.schedule.scale,
            max_gradient_norm=self.max_gradient_norm,
        )
        records = session.resume(learner)
        monitored = session.parts.facts.monitored_split
        session.watcher.stage_started(session.stage, self.max_epochs)
        epochs = train_epochs(
            learner,
            session.train_split,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            seed=session.seed,
            first_epoch=len(records) + 1,
        )
        while (reason := self.why_stop(records, monitored)) is None:
            epoch = next(epochs)
            held_out = None
            if monitored != "train":
                held_out = evaluate(learner, session.parts.splits[monitored], self.batch_size)
            records.append(session.record(epoch, held_out))
            self._take_snapshot(session, learner, epoch.number)
            best = self.best_epoch(records, monitored)
            session.save(learner, epoch.number, is_best=best == epoch.number)
        passed = all(math.isfinite(record["train/loss"]) for record in records)
        result = session.result("Training", passed=passed, reason=reason, records=records)
        return replace(result, best_epoch=self.best_epoch(records, monitored))

    def wanted(self, key: str) -> list[Criterion]:
        """What must be reached, all of it, for training to end early."""
        return [parse_criterion(name, value, key) for name, value in (self.stop_at or {}).items()]

    def best_epoch(self, records: list[Record], monitored: str) -> int | None:
        """The first epoch with the best monitored figure; None while all are NaN."""
        key = with_split(self.monitor, monitored)
        sign = 1 if key.endswith("loss") else -1
        finite = [record for record in records if math.isfinite(record[key])]
        best = min(finite, key=lambda record: sign * record[key], default=None)
        return None if best is None else int(best["epoch"])

    def why_stop(self, records: list[Record], monitored: str) -> str | None:
        """Why training ends after these epochs, or None where it goes on."""
        if not records:
            return None
        last = records[-1]
        epoch, loss = last["epoch"], last["train/loss"]
        best = self.best_epoch(records, monitored) or epoch
        if not math.isfinite(loss):
            return f"the training loss became {loss} in epoch {epoch}"
        wanted = self.wanted("stop_at")
        if wanted and all(c.is_met(last[with_split(c.name, monitored)]) for c in wanted):
            return f"reached {', '.join(map(str, wanted))} at epoch {epoch}"
        if self.patience is not None and epoch - best >= self.patience:
            return f"no better {self.monitor} for {self.patience} epochs; best epoch {best}"
        if epoch >= self.max_epochs:
            return f"{epoch} of {self.max_epochs} epochs; best epoch {best}"
        return None

    def _take_snapshot(self, session: Session, learner: Learner, epoch: int) -> None:
        """Where samples lie in a picture, what the model answers now, for the pictures."""
        due = self.snapshot_every is not None and (epoch == 1 or epoch % self.snapshot_every == 0)
        if not due or "train" not in session.parts.facts.layouts:
            return
        answers = predict(learner.model, session.train_split, session.parts.device, 256, ())
        if isinstance(answers, ClassPredictions):
            shown = np.linspace(0, len(answers.samples) - 1, NUM_SHOWN).round().astype(np.int64)
            arrays: dict[str, npt.NDArray[np.generic]] = {
                "targets": answers.targets,
                "predictions": answers.predictions,
                "shown": shown,
                "probabilities": answers.probabilities[shown],
            }
            session.folder.write_snapshot(epoch, arrays)


def with_split(name: str, monitored: str) -> str:
    return name if "/" in name else f"{monitored}/{name}"
