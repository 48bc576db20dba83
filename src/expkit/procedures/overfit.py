"""Gates: a model that cannot learn a few samples by heart will not learn many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.engine.loop import train_epochs
from expkit.procedures.parts import Parts
from expkit.procedures.session import Session, Stage
from expkit.records.facts import StageResult
from expkit.records.files import Record


@dataclass(frozen=True)
class OverfitGate:
    """Passes as soon as one step finds all samples right and the loss under its bound.

    Loss and accuracy are those of the forward pass in training mode, before the step's update.
    With one sample, batch norm stands on its initial statistics: there is no batch to norm by.
    """

    num_samples: Annotated[int, Ge(1)]
    max_steps: Annotated[int, Ge(1)]
    max_loss: Annotated[float, Gt(0)]
    min_accuracy: Annotated[float, Gt(0), Le(1)] = 1.0
    max_regression_loss: Annotated[float, Gt(0)] = 0.001

    def check(self, key: str, parts: Parts, before: Sequence[Stage]) -> None:
        """Nothing to refuse: fewer samples than asked for are said and used."""

    def run(self, session: Session) -> StageResult:
        split = session.train_split.spread_out(self.num_samples)
        if len(split) < self.num_samples:
            session.watcher.say(
                f"{session.stage}: asked for {self.num_samples} samples, "
                f"the training split has {len(split)}: all are used"
            )
        learner = session.new_learner(
            session.parts.gate_loss,
            scale=lambda epochs, max_epochs: 1.0,
            batch_norm_frozen=len(split) == 1,
        )
        steps = train_epochs(
            learner,
            split,
            batch_size=len(split),
            max_epochs=self.max_steps,
            seed=session.seed,
            shuffle=False,
        )
        session.folder.forget_after(session.stage, 0)
        session.watcher.stage_started(session.stage, self.max_steps)
        records: list[Record] = []
        for step in steps:
            records.append(session.record(step))
            if not self._shortfalls(records[-1]) or not isfinite(records[-1]["train/loss"]):
                break
        return self._judge(session, records, len(split))

    def _shortfalls(self, record: Record) -> list[str]:
        """What is missing, in words; nothing where the gate is passed."""
        loss, accuracy = record["train/loss"], record.get("train/accuracy")
        bound = self.max_regression_loss if accuracy is None else self.max_loss
        missing = []
        if accuracy is not None and accuracy < self.min_accuracy:
            missing.append(f"accuracy {accuracy:.1%}, not {self.min_accuracy:.0%}")
        if not loss < bound:  # a NaN is not below anything
            missing.append(f"loss {loss:.4g}, not < {bound:g}")
        return missing

    def _judge(self, session: Session, records: list[Record], count: int) -> StageResult:
        shortfalls = self._shortfalls(records[-1])
        many = "1 sample" if count == 1 else f"{count} samples"
        if shortfalls:
            reason = f"{many} not learnt in {len(records)} steps: {'; '.join(shortfalls)}"
        else:
            reason = f"{many} learnt at step {len(records)}, loss {records[-1]['train/loss']:.4f}"
        passed = not shortfalls
        result = session.result("OverfitGate", passed=passed, reason=reason, records=records)
        return replace(result, best_epoch=len(records) if passed else None)
