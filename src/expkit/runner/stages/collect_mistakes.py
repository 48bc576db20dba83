"""Labelling anew what models get wrong that have not seen it: the second label of log 4."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from expkit.errors import UserError
from expkit.records.files import Record
from expkit.records.run.labels import Labels
from expkit.records.run.metadata import StageResult
from expkit.records.run.time_budget import TimeBudget
from expkit.runner.components import Parts, Stage
from expkit.runner.session import Session
from expkit.runner.stages import arguments
from expkit.runner.stages.training import Training, check_trained
from expkit.training.inference import compute_outputs
from expkit.training.loop import EpochPlan, train_epochs
from expkit.training.seeding import seed_for

Indices = npt.NDArray[np.int64]
NO_PREDICTION = -1  # where an output is NaN or infinite


@dataclass(frozen=True)
class MistakeCollection(arguments.MistakeCollection):
    """Trains a model for each fold of the training split on the others, and asks it for the fold.

    Batches, rates, epochs and what is trainable are those of stage `like`. Nothing is held out to
    choose an epoch or to stop by, so every model trains all of `max_epochs` from fresh weights and
    returns its last; or as many epochs as fit into the minutes that the stage may take.
    What such a model gets wrong in its fold, which it has not seen, is labelled `label`. A model
    that predicted its own training samples would find next to nothing wrong.
    """

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """There must be classes, enough samples of each, and a stage to take after."""
        check_trained(self.like, f"{key}.like", before)
        parts = parts.of_stage(self.like)
        if parts.schedule.watched_metric is not None:
            raise UserError(
                "a schedule that follows a metric has none to follow in folds",
                where=f"{key}, {parts.key_of('schedule')}.metric={parts.schedule.watched_metric}",
                fix=f"{parts.key_of('schedule')}=cosine, or another that follows the epochs",
            )
        names, counts = parts.metadata.class_names, parts.metadata.splits["train"].class_counts
        if names is None or counts is None:
            raise UserError("numbers have no class that could be labelled anew", where=key)
        if self.label in names:
            raise UserError(
                f"there is a class '{self.label}' already",
                where=f"{key}.label={self.label}",
                allowed="a name that no class has",
            )
        if min(counts) < self.num_folds:
            raise UserError(
                f"a class has {min(counts)} training samples, too few for {self.num_folds} folds",
                where=f"{key}.num_folds={self.num_folds}",
                allowed=f"2 to {min(counts)}",
            )

    def run(self, session: Session) -> StageResult:
        started = time.perf_counter()
        split, training = session.train_split, session.parts.stages[self.like]
        assert isinstance(training, Training), "check refused anything else"
        assert split.class_names is not None, "check refused numbers"
        session.folder.forget_after(session.stage, 0)
        session.display.stage_started(session.stage, self.num_folds * training.max_epochs)
        is_wrong, is_predicted = np.zeros(len(split), dtype=bool), np.ones(len(split), dtype=bool)
        targets = split.targets.cpu().numpy()
        records: list[list[Record]] = []  # by fold
        for others, mine in self._folds(targets, session.seed):
            predicted = self._predict_unseen(session, training, records, others, mine)
            is_wrong[mine], is_predicted[mine] = (
                predicted != targets[mine],
                predicted != NO_PREDICTION,
            )
        count = int(is_wrong.sum())
        reason = (
            f"{count} of {len(split)} training samples predicted wrongly by models that had "
            f"not seen them: labelled {self.label}"
        )
        if not is_predicted.all():
            reason = "the model of a fold returns numbers that are not finite: it has diverged"
        passed = count > 0 and bool(is_predicted.all())
        if passed:
            names = [*split.class_names, self.label]
            relabelled = np.where(is_wrong, len(names) - 1, targets)
            Labels(names, relabelled.tolist()).write(session.folder.path)
        num_epochs = sum(map(len, records))
        if num_epochs < self.num_folds * training.max_epochs:
            fewest = min(map(len, records))
            reason += f"; minutes ended a fold after {fewest} of {training.max_epochs} epochs"
        seconds = time.perf_counter() - started
        return StageResult(
            stage=session.stage,
            kind=type(self).__name__,
            passed=passed,
            reason=reason,
            num_epochs=num_epochs,
            num_samples=len(split),
            seconds=seconds,
            samples_per_second=num_epochs * len(split) / seconds,
            peak_memory_bytes=session.parts.device.peak_memory_bytes(),
        )

    def _folds(self, targets: Indices, seed: int) -> Iterator[tuple[Indices, Indices]]:
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(self.num_folds, shuffle=True, random_state=seed % 2**32)
        yield from folds.split(np.zeros(len(targets)), targets)

    def _predict_unseen(
        self,
        session: Session,
        training: Training,
        before: list[list[Record]],
        others: Indices,
        mine: Indices,
    ) -> Indices:
        """Predict one fold by a model that is trained on the other folds."""
        parts = session.parts.of_stage(self.like)
        seed = seed_for(session.seed, "fold", len(before))
        done, records = sum(map(len, before)), list[Record]()
        before.append(records)
        budget = None
        if training.max_minutes is not None:
            budget = TimeBudget(training.max_minutes, training.max_epochs)
        learner = training.new_learner(parts, session.new_model(), session.stage, records)
        epochs = train_epochs(
            learner,
            EpochPlan(
                session.train_split.select(torch.from_numpy(others)),
                batch_size=training.batch_size,
                max_epochs=training.max_epochs,
                seed=seed,
                balanced=training.balanced_sampling,
                batches_per_step=training.batches_per_step,
                augmentation=parts.augmentation,
            ),
        )
        for epoch in epochs:
            step = done * (epoch.step // epoch.number) + epoch.step
            records.append(session.record(replace(epoch, number=done + epoch.number, step=step)))
            if budget is not None and budget.reason(records) is not None:
                break
        unseen = session.train_split.select(torch.from_numpy(mine))
        batches = (images for images, _ in unseen.batches(self.batch_size))
        outputs = compute_outputs(learner.eval_model, batches, parts.device)
        finite = outputs.isfinite().all(1)
        predicted: Indices = outputs.argmax(1).where(finite, NO_PREDICTION).cpu().numpy()
        return predicted
