"""Training on the whole training split."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import nn

from expkit.data.store.split import batch_bounds
from expkit.errors import UserError, nearest_of
from expkit.metrics.criteria import check_bound
from expkit.metrics.names import RANGES
from expkit.metrics.predictions import ClassPredictions
from expkit.optim.frozen_norms import frozen_norms
from expkit.optim.group_options import refuse_ignored_options
from expkit.optim.groups import parameter_groups
from expkit.optim.parameter_names import names_of_head
from expkit.optim.unfreezing import split_by_thaw, thaw, thaw_epochs
from expkit.probes.nan_origin import find_origin
from expkit.records.files import Record
from expkit.records.run.labels import Labels
from expkit.records.run.metadata import StageResult
from expkit.records.run.time_budget import TimeBudget
from expkit.runner.components import Parts, Stage, try_step
from expkit.runner.early_stopping import EarlyStopping, parse_targets, with_split
from expkit.runner.relabelling import relabel
from expkit.runner.session import Session
from expkit.runner.signal_recording import Observer, attempt
from expkit.runner.stages import arguments
from expkit.runner.starting_weights import find_start, take_from_run
from expkit.training.inference import predict
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan, score, train_epoch

NUM_SHOWN = 8  # pieces whose every probability a snapshot keeps


@dataclass(frozen=True)
class Training(arguments.Training):
    """Trains until a target, the end of patience, or the last epoch; keeps the best and the last.

    A metric without a split is the monitored split's: val where there is one, else train.
    Whether to stop, and which epoch is best, is read off the records: a resumed run agrees.
    """

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """Refuse metrics that no epoch records, and batches that cannot be learnt from."""
        if self.labels_from is not None:
            parts = self._expect_labels(key, parts, before)
        if self.start_from is not None and self.start_from_run is None:
            check_trained(self.start_from, f"{key}.start_from", before, or_pretrained=True)
            self._check_start(key, before[self.start_from])
        if self.balanced_sampling and parts.metadata.task != "classification":
            raise UserError(
                "numbers have no classes to balance", where=f"{key}.balanced_sampling=true"
            )
        self._check_warmup(key, parts)
        self._check_metrics(key, parts)
        bounds = batch_bounds(len(parts.splits["train"]), self.batch_size)
        smallest = min(stop - start for start, stop in bounds)
        with parts.trial_model() as model:
            self._names_redrawn(model, key)
            if self.start_from_run is not None:
                find_start(self.start_from_run, self.start_from, key).load(model, parts.metadata)
            trial = self.new_learner(replace(parts, device=parts.uncompiled), model, key, [])
            trial.start_epoch(self.max_epochs)  # with all that will have thawed by then
            try_step(parts, trial, smallest, f"{key}.batch_size")

    def _check_start(self, key: str, start: Stage) -> None:
        """Weights with an output more fit no model without it."""
        if not isinstance(start, Training):
            return
        if start.labels_from is not None and self.labels_from is None:
            raise UserError(
                f"the stage '{self.start_from}' learns the labels of '{start.labels_from}'",
                where=f"{key}.start_from={self.start_from}, {key}.labels_from=null",
                fix=f"{key}.labels_from={start.labels_from}",
            )

    def _names_redrawn(self, model: nn.Module, key: str) -> Collection[str]:
        """The parameters that new labels give another shape."""
        if self.labels_from is None or self.start_from is None or self.start_from_run is not None:
            return ()
        return names_of_head(model, f"{key}.labels_from")

    def _expect_labels(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> Parts:
        """The parts as they will be when an earlier stage has given the new labels."""
        labelling = {name: each for name, each in before.items() if hasattr(each, "label")}
        if self.labels_from not in labelling:
            raise UserError(
                f"no stage before this one gives labels and is called '{self.labels_from}'",
                where=f"{key}.labels_from={self.labels_from}",
                allowed=", ".join(labelling) or "null: no stage before this one gives labels",
            )
        names = [*(parts.metadata.class_names or ()), labelling[self.labels_from].label]
        return relabel(parts, Labels(names, parts.splits["train"].targets.tolist()))

    def _check_warmup(self, key: str, parts: Parts) -> None:
        if parts.schedule.warmup_epochs >= self.max_epochs:
            raise UserError(
                "the warm-up is as long as the training: its learning rate would never be reached",
                where=f"{parts.key_of('schedule')}.warmup_epochs={parts.schedule.warmup_epochs:g}, "
                f"{key}.max_epochs={self.max_epochs}",
                allowed=f"warmup_epochs < {self.max_epochs}",
            )

    def _check_metrics(self, key: str, parts: Parts) -> None:
        monitored, known = parts.metadata.monitored_split, parts.metadata.recorded_metrics
        watched = [(f"{key}.monitor", self.monitor)]
        for criterion in parse_targets(self.stop_at, f"{key}.stop_at"):
            watched.append((f"{key}.stop_at", criterion.name))
            if criterion.measure.metric in RANGES:
                check_bound(criterion, f"{key}.stop_at")
        if parts.schedule.watched_metric is not None:
            watched.append((f"{parts.key_of('schedule')}.metric", parts.schedule.watched_metric))
        for option, name in watched:
            if with_split(name, monitored) not in known:
                raise UserError(
                    f"no epoch records the metric '{name}'",
                    where=f"{option}: {name}",
                    nearest=nearest_of(name, [*known, *(k.split("/")[1] for k in known)]),
                    allowed=f"{', '.join(known)}; without a split, {monitored} is meant",
                )

    def new_learner(
        self, parts: Parts, model: nn.Module, key: str, records: list[Record]
    ) -> Learner:
        """The model with what it learns by; the schedule reads the records as they grow."""
        lr = parts.inputs.config.optimizer.get("lr")
        if lr is None:
            where = parts.key_of("optimizer")
            raise UserError(f"{where}.lr must be given", fix=f"+{where}.lr=0.001")
        thaws_at = self._thaw_epochs(model, key)
        groups = parameter_groups(
            model,
            trainable=self.trainable if thaws_at is None else list(thaws_at),
            frozen_up_to=self.frozen_up_to,
            groups=self.groups,
            layer_decay=self.layer_decay,
            lr=float(lr),
            key=key,
        )
        schedule = parts.schedule
        if thaws_at is not None:
            groups = split_by_thaw(model, groups, thaws_at)
            thaw(groups, epoch=1)
        optimizer = parts.make_optimizer(groups)
        refuse_ignored_options(optimizer, self.groups or {}, key)
        return Learner(
            model,
            optimizer,
            copy.deepcopy(parts.loss),  # a loss may have state, and each learner its own
            parts.device,
            scale=lambda epochs, max_epochs: schedule.scale(
                epochs, self._schedule_epochs(records) or max_epochs, records
            ),
            max_gradient_norm=self.max_gradient_norm,
            frozen=frozen_norms(model),
            ema_decay=self.ema_decay,
            thaw_warmup_epochs=self.unfreeze_warmup_epochs,
            swa_start=None if self.swa_epochs is None else self.max_epochs - self.swa_epochs + 1,
        )

    def _schedule_epochs(self, records: list[Record]) -> int | None:
        """The epochs that the schedule spans, where it is fitted to the time."""
        if not self.fit_schedule_to_time or self.max_minutes is None:
            return None
        return TimeBudget(self.max_minutes, self.max_epochs).planned_epochs(records)

    def _thaw_epochs(self, model: nn.Module, key: str) -> dict[str, int] | None:
        """The epoch in which each parameter begins to learn, where not all begin in the first."""
        if self.unfreeze is None:
            return None
        if self.frozen_up_to is not None:
            raise UserError(
                "frozen_up_to and unfreeze both say what stands still",
                where=f"{key}.frozen_up_to={self.frozen_up_to}, {key}.unfreeze",
                fix=f"leave one out: {key}.frozen_up_to=null",
            )
        return thaw_epochs(
            model, self.unfreeze, self.trainable, max_epochs=self.max_epochs, key=key
        )

    def run(self, session: Session) -> StageResult:
        """Train, and record, judge and keep every epoch; a resumed stage goes on after its last."""
        if self.labels_from is not None:
            session = session.relabelled()
        records: list[Record] = []
        learner = self._begin(session, records)
        records += session.resume(learner)
        monitored = session.parts.metadata.monitored_split
        observer = Observer.of(session, learner, self.max_epochs)
        if not records:
            observer.observe_start()
        is_probe_epoch = not records or observer.is_probe_epoch(records)
        session.display.stage_started(session.stage, self.max_epochs)
        plan = self._plan(session, observer.probe_epochs)
        epochs = session.train_epochs(learner, plan, len(records) + 1)
        # a resumed run is diagnosed where the uninterrupted one was
        stopped_by = session.diagnosis.check() if is_probe_epoch else None
        stopping = self.early_stopping(monitored)
        while stopped_by is None and stopping.reason(records) is None:
            is_probe_epoch = self._learn(session, observer, next(epochs), records)
            stopped_by = session.diagnosis.check() if is_probe_epoch else None
        reason = stopping.reason(records) or ""
        best = stopping.best_epoch(records)
        finite = all(math.isfinite(record["train/loss"]) for record in records)
        if stopped_by is not None:
            saved = self.max_epochs - len(records)
            reason = (
                f"ended after epoch {len(records)} by {stopped_by.rule} ({stopped_by.severity}): "
                f"{saved} of {self.max_epochs} epochs saved"
            )
        elif best is None and finite:
            reason = f"{with_split(self.monitor, monitored)} was never a number: {reason}"
        passed = finite and best is not None and stopped_by is None
        result = session.result("Training", passed=passed, reason=reason, records=records)
        return replace(result, best_epoch=best)

    def _begin(self, session: Session, records: list[Record], *, tells: bool = True) -> Learner:
        """The learner as the stage's first epoch meets it."""
        model = session.new_model()
        told = self._take_weights(session, model)
        if told is not None and tells and not session.has_checkpoint:
            session.display.say(f"note    {session.stage}: {told}")
        return self.new_learner(session.parts, model, f"procedure.{session.stage}", records)

    def _take_weights(self, session: Session, model: nn.Module) -> str | None:
        """Put the weights that it starts from into the model; the words where not all are taken."""
        if self.start_from_run is not None:
            return take_from_run(session, self.start_from_run, self.start_from, model)
        if self.start_from is None:
            return None
        if is_pretraining(session.parts.stages[self.start_from]):
            taken = session.load_backbone(self.start_from, model)
            return f"starts from {self.start_from}, epoch {taken.epoch}: {taken}"
        redrawn = self._names_redrawn(model, f"procedure.{session.stage}")
        session.load_weights(self.start_from, "best", model, redrawn)
        return None

    def _plan(self, session: Session, probe_epochs: Collection[int] = ()) -> EpochPlan:
        return EpochPlan(
            session.train_split,
            self.batch_size,
            self.max_epochs,
            session.seed,
            balanced=self.balanced_sampling,
            batches_per_step=self.batches_per_step,
            augmentation=session.parts.augmentation,
            probe_epochs=probe_epochs,
            stage=session.stage,
        )

    def _find_origin(self, session: Session, records: list[Record]) -> Record | None:
        """Where the last epoch's numbers ceased to be finite; its checkpoint is not written yet."""
        *before, last = records
        plain = replace(session.parts, device=session.parts.uncompiled)
        session = replace(session, parts=plain)
        learner = self._begin(session, before, tells=False)
        session.load_last(learner)
        number, plan = int(last["epoch"]), self._plan(session)
        return find_origin(learner, lambda: train_epoch(learner, plan, number))

    def _learn(
        self, session: Session, observer: Observer, epoch: Epoch, records: list[Record]
    ) -> bool:
        """Measure, record and keep what an epoch has taught; whether it was looked at closely."""
        monitored = session.parts.metadata.monitored_split
        started, held_out = time.perf_counter(), None
        if monitored != "train":
            split, closely = session.parts.splits[monitored], epoch.number in observer.probe_epochs
            held_out = score(observer.learner, split, self.batch_size, closely=closely)
        figures = None if held_out is None else held_out.means()
        seconds = time.perf_counter() - started
        planned = self._schedule_epochs(records)
        more = {} if planned is None else {"schedule_epochs": planned}
        records.append(session.record(epoch, figures, more))
        origin = None
        if not math.isfinite(epoch.metrics["loss"]):
            origin = attempt(session, lambda: self._find_origin(session, records) or {})
        observer.observe_epoch(epoch, held_out, seconds, origin)
        self._take_snapshot(session, observer.learner, epoch.number)
        best = self.early_stopping(monitored).best_epoch(records)
        session.save(observer.learner, epoch.number, is_best=best == epoch.number)
        return observer.is_probe_epoch(records)

    def early_stopping(self, monitored: str) -> EarlyStopping:
        """What ends the training, and which epoch is the best."""
        targets = parse_targets(self.stop_at, "stop_at")
        budget = None
        if self.max_minutes is not None:
            budget = TimeBudget(self.max_minutes, self.max_epochs)
        return EarlyStopping(
            self.max_epochs, self.monitor, monitored, self.patience, targets, budget
        )

    def _take_snapshot(self, session: Session, learner: Learner, epoch: int) -> None:
        """Where samples lie in an image, what the model predicts now, for the images."""
        due = self.snapshot_every is not None and (epoch == 1 or epoch % self.snapshot_every == 0)
        if not due or "train" not in session.parts.metadata.layouts:
            return
        predictions = predict(
            learner.eval_model, session.train_split, session.parts.device, 256, ()
        )
        if isinstance(predictions, ClassPredictions):
            shown = np.linspace(0, len(predictions.samples) - 1, NUM_SHOWN).round().astype(np.int64)
            arrays: dict[str, npt.NDArray[np.generic]] = {
                "targets": predictions.targets,
                "predictions": predictions.predictions,
                "shown": shown,
                "probabilities": predictions.probabilities[shown],
            }
            session.folder.write_snapshot(session.stage, epoch, arrays)


def is_pretraining(stage: Stage) -> bool:
    """Tell whether a stage leaves a backbone alone, without a classifier."""
    return bool(getattr(stage, "trains_backbone", False))


def check_trained(
    stage: str, key: str, before: Mapping[str, Stage], *, or_pretrained: bool = False
) -> None:
    """Refuse to build on a stage that has not trained by then."""
    trained = [
        name
        for name, each in before.items()
        if isinstance(each, Training) or (or_pretrained and is_pretraining(each))
    ]
    if stage not in trained:
        raise UserError(
            f"no stage before this one trains and is called '{stage}'",
            where=f"{key}={stage}",
            nearest=nearest_of(stage, trained),
            allowed=", ".join(trained) or "null: no stage before this one trains",
        )
