"""Checks before training: of the data, the model and the configuration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from expkit.data.audit.data_profile import profile_dataset
from expkit.probes.machine import describe_machine, repeats_itself
from expkit.records.run.metadata import StageResult
from expkit.runner.components import Parts, Stage
from expkit.runner.session import Session
from expkit.runner.signal_recording import attempt, observe_loss, observe_model, probe_batch
from expkit.runner.stages import arguments
from expkit.runner.stages.training import Training
from expkit.training.learner import Learner
from expkit.training.lr_finder import sweep_lrs


@dataclass(frozen=True)
class Preflight(arguments.Preflight):
    """Measures the data, the loss, the model and the rate; the rules say what is wrong with them.

    Nothing that it does changes a number of the stages after it.
    """

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """It can look at whatever there is."""

    def run(self, session: Session) -> StageResult:
        started = time.perf_counter()
        session.folder.forget_after(session.stage, -1)
        session.display.stage_started(session.stage, 1)
        parts = session.parts
        session.note("machine", 0, describe_machine(parts.inputs.config.device, parts.device))
        seconds = self.max_seconds / 2
        profile = attempt(
            session, lambda: profile_dataset(parts.inputs.dataset, max_seconds=seconds)
        )
        if profile:
            session.note("data", 0, profile)
        first = self._first_training(parts)
        if first is not None:
            self._observe_learning(session, *first, started=started)
        session.diagnosis.check()
        return StageResult(
            stage=session.stage,
            kind=type(self).__name__,
            passed=True,  # what ends a run is for the procedure to say
            reason=self._tell(session),
            num_samples=sum(split.num_samples for split in parts.metadata.splits.values()),
            seconds=time.perf_counter() - started,
        )

    def _tell(self, session: Session) -> str:
        found = sorted(session.diagnosis.reported)
        return f"found: {', '.join(found)}" if found else "nothing found"

    def _observe_repeats(self, session: Session, learner: Learner) -> None:
        """Record whether the same step gives the same bits, where `deterministic` asks for it."""
        if session.parts.inputs.config.device.get("deterministic"):
            batch = probe_batch(session)
            model, loss, device = learner.model, learner.loss, learner.device
            found = attempt(
                session, lambda: {"repeats": repeats_itself(model, loss, batch, device)}
            )
            session.note("machine", 0, found)

    def _first_training(self, parts: Parts) -> tuple[str, Training] | None:
        found = (
            (name, stage) for name, stage in parts.stages.items() if isinstance(stage, Training)
        )
        return next(found, None)

    def _observe_learning(
        self, session: Session, name: str, stage: Training, *, started: float
    ) -> None:
        """On a learner of its own, as the first training stage will begin."""
        learner: Learner = stage.new_learner(
            replace(session.parts.of_stage(name), device=session.parts.uncompiled),
            session.new_model(),
            f"procedure.{name}",
            [],
        )
        observe_loss(session, learner)
        observe_model(session, learner)
        self._observe_repeats(session, learner)
        left = self.max_seconds - (time.perf_counter() - started)

        def sweep() -> dict[str, Any]:
            found = sweep_lrs(
                learner,
                session.train_split,
                batch_size=stage.batch_size,
                seed=session.seed,
                max_seconds=left / 2,
            )
            return found or {}

        if lrs := attempt(session, sweep):
            session.note("lr_range_test", 0, lrs)
