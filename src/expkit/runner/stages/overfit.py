"""Gates: a model that cannot learn a few samples by heart will not learn many."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from expkit.metrics.percentages import percent
from expkit.records.files import Record
from expkit.records.run.metadata import StageResult
from expkit.runner.components import Parts, Stage, try_step
from expkit.runner.session import Session
from expkit.runner.signal_recording import observe_loss, observe_model
from expkit.runner.stages import arguments
from expkit.training.learner import Learner
from expkit.training.loop import EpochPlan, train_epochs


@dataclass(frozen=True)
class OverfitGate(arguments.OverfitGate):
    """Passes as soon as one step finds all samples right and the loss under its bound.

    Loss and accuracy are those of the forward pass in training mode, before the step's update.
    With one sample, batch norm stands on its initial statistics: there is no batch to norm by.
    """

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """Try a step; fewer samples than asked for are said and used."""
        count = min(self.num_samples, len(parts.splits["train"]))
        with parts.trial_model() as model:
            learner = self._learner(replace(parts, device=parts.uncompiled), model, count)
            try_step(parts, learner, count, key)

    def _learner(self, parts: Parts, model: nn.Module, count: int) -> Learner:
        return Learner(
            model,
            parts.make_optimizer(model.parameters()),
            copy.deepcopy(parts.gate_loss),
            parts.device,
            scale=lambda epochs, max_epochs: 1.0,
            frozen=batch_norms(model) if count == 1 else (),
        )

    def run(self, session: Session) -> StageResult:
        split = session.train_split.spread_out(self.num_samples)
        if len(split) < self.num_samples:
            session.display.say(
                f"{session.stage}: asked for {self.num_samples} samples, "
                f"the training split has {len(split)}: all are used"
            )
        learner = self._learner(session.parts, session.new_model(), len(split))
        steps = train_epochs(
            learner,
            EpochPlan(
                split,
                batch_size=len(split),
                max_epochs=self.max_steps,
                seed=session.seed,
                shuffle=False,
            ),
        )
        session.folder.forget_after(session.stage, -1)
        session.display.stage_started(session.stage, self.max_steps)
        records: list[Record] = []
        for step in steps:
            records.append(session.record(step))
            if not self._shortfalls(records[-1]) or not isfinite(records[-1]["train/loss"]):
                break
        if self._shortfalls(records[-1]):
            observe_loss(session, learner)
            observe_model(session, learner, epoch=len(records))
        return self._judge(session, records, len(split))

    def _shortfalls(self, record: Record) -> list[str]:
        """List the limits that were missed, in words; empty where the gate is passed."""
        loss, accuracy = record["train/loss"], record.get("train/accuracy")
        bound = self.max_regression_loss if accuracy is None else self.max_loss
        missing = []
        if accuracy is not None and accuracy < self.min_accuracy:
            missing.append(f"accuracy {percent(accuracy, 1)}, not {percent(self.min_accuracy, 0)}")
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


def batch_norms(model: nn.Module) -> list[nn.Module]:
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
