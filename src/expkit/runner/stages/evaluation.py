"""The evaluation stage: records the trained model's predictions for every sample."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from expkit.data.store.memory_mapped import MappedImages
from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.metrics.names import LATENCY
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.records.run.checkpoint_digests import refuse_damaged
from expkit.records.run.metadata import StageResult
from expkit.records.run.predictions import PLAIN
from expkit.runner.components import Parts, Stage
from expkit.runner.relabelling import labels_of_weights, relabel
from expkit.runner.restoring import load_run_weights
from expkit.runner.sealed_test import count_look
from expkit.runner.session import Session
from expkit.runner.stages import arguments
from expkit.runner.stages.combination import Combination
from expkit.runner.stages.training import Training, check_trained
from expkit.runner.unsuitable_views import refuse_unsuitable
from expkit.training.arguments import num_passes
from expkit.training.inference import predict
from expkit.training.latency import Setting, Timing, measure_latency, subject_of
from expkit.training.predictor import as_predictor

NUM_MISTAKES = 24
LATENCY_SECONDS = 2.0  # that are measured, after a second of warm-up
GIVE_WEIGHTS = (Training, Combination)


@dataclass(frozen=True)
class Evaluation(arguments.Evaluation):
    """Records every split's predictions; all figures of the verdict are computed from them."""

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """Somebody must have trained before."""
        if self.of is not None:
            check_trained(self.of, f"{key}.of", before)
        self._check_last(key, parts, before)
        refuse_unsuitable(self.tta, parts.metadata, f"{key}.tta=[{','.join(self.tta)}]")
        if self.temperature != 1 and parts.metadata.class_names is None:
            raise UserError(
                "a temperature is of a softmax, and this model predicts numbers",
                where=f"{key}.temperature={self.temperature:g}",
                fix=f"{key}.temperature=1",
            )
        if parts.evaluated is not None:
            # before there is a folder
            parts.evaluated.overrides  # noqa: B018 - the findings say how to train it again
            refuse_damaged(parts.evaluated.weights, to_go_on=False)
            theirs = labels_of_weights(parts)
            learnt = parts if theirs is None else relabel(parts, theirs)
            with learnt.trial_model() as model:
                load_run_weights(parts.evaluated, model)
        if parts.evaluated is None and not any(
            isinstance(stage, GIVE_WEIGHTS) for stage in before.values()
        ):
            raise UserError(
                "there are no trained weights to evaluate: no stage before trains",
                where=key,
                fix=f"expkit train procedure=standard   (or drop it: '~{key}')",
            )

    def _check_last(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """Refuse a procedure that trains after its evaluation: nothing would judge that."""
        later = [
            name
            for name, stage in parts.stages.items()
            if isinstance(stage, GIVE_WEIGHTS) and name not in before
        ]
        if later:
            raise UserError(
                f"the stage '{later[0]}' trains after the evaluation: nothing would judge it",
                where=f"procedure: {', '.join(parts.stages)}",
                fix=f"'~{key}' +stage@{key}_{later[-1]}=evaluate   (an evaluation at the end)",
            )

    def run(self, session: Session) -> StageResult:
        started = time.perf_counter()
        session.display.stage_started(session.stage, 1)
        session = self._with_labels(session)
        parts = session.parts
        if parts.evaluated is not None:
            session.diagnosis.check()  # training samples among them are reported first
        look = count_look(parts.inputs.dataset, parts.evaluated, session.folder.path)
        if look is not None:
            session.display.say(f"note    look {look.number} at this sealed test set")
        model = session.new_model()
        epoch = self._load(session, model)
        predictor = as_predictor(model, self.temperature, self.tta)
        figures = self._predict_plainly(session, model) if self.tta else {}
        predictions, times = self._predict(session, predictor)
        passes = num_passes(self.tta)
        session.folder.write_predictions(predictions)
        self._keep_mistakes(session, predictions)
        figures |= {"seconds_per_image": times, "passes": passes} if self.tta else {}
        figures |= _measure_latency(session, predictor)
        num_samples = sum(len(split) for split in parts.splits.values())
        seconds = time.perf_counter() - started
        which = _which(parts, epoch)
        return StageResult(
            stage=session.stage,
            kind="Evaluation",
            passed=True,
            reason=f"{counted(num_samples, 'sample')} evaluated with {which}{self._manner}",
            num_samples=num_samples,
            best_epoch=epoch or None,
            seconds=seconds,
            samples_per_second=num_samples / seconds,
            peak_memory_bytes=parts.device.peak_memory_bytes(),
            figures=figures or None,
        )

    @property
    def _manner(self) -> str:
        """The way in which logits became probabilities, where it was not a plain softmax."""
        temperature = "" if self.temperature == 1 else f" at temperature {self.temperature:.4g}"
        views = f", averaged with {' and '.join(self.tta)}" if self.tta else ""
        return temperature + views

    def _predict(self, session: Session, model: nn.Module) -> tuple[list[Predictions], float]:
        """The predictions of every split, and the seconds that one image took."""
        parts, started = session.parts, time.perf_counter()
        names = parts.metadata.target_names or ()
        splits = parts.splits.values()
        predictions = [
            predict(model, split, parts.device, self.batch_size, names) for split in splits
        ]
        return predictions, (time.perf_counter() - started) / sum(map(len, splits))

    def _predict_plainly(self, session: Session, model: nn.Module) -> dict[str, float]:
        """Record what the model predicts without further views, which these are held against."""
        plain = as_predictor(model, self.temperature)
        first = next(iter(session.parts.splits.values())).spread_out(self.batch_size)
        predict(plain, first, session.parts.device, self.batch_size, ())  # warm, for the times
        predictions, seconds = self._predict(session, plain)
        session.folder.write_predictions(predictions, PLAIN)
        return {"plain_seconds_per_image": seconds}

    def _keep_mistakes(self, session: Session, predictions: Sequence[Predictions]) -> None:
        """Images of the most confident errors, so that pages can show them without the data."""
        judged = session.parts.metadata.judged_split
        found = next((each for each in predictions if each.split == judged), None)
        if isinstance(found, ClassPredictions):
            images = session.parts.splits[judged].images_NHWC
            session.folder.write_samples(f"wrong_{judged}", most_confident_errors(found, images))

    def _load(self, session: Session, model: nn.Module) -> int:
        """The weights to evaluate, and their epoch."""
        if session.parts.evaluated is not None:
            return load_run_weights(session.parts.evaluated, model)
        return session.load_weights(self.of or self._last_trained(session), self.weights, model)

    def _with_labels(self, session: Session) -> Session:
        """The session with the classes that the weights predict."""
        evaluated = session.parts.evaluated
        if evaluated is None:
            stage = session.parts.stages[self.of or self._last_trained(session)]
            learns_labels = isinstance(stage, Training) and stage.labels_from is not None
            return session.relabelled() if learns_labels else session
        labels = labels_of_weights(session.parts)
        if labels is None:
            return session
        labels.write(session.folder.path)
        return session.relabelled()

    def _last_trained(self, session: Session) -> str:
        names = list(session.parts.stages)
        before = reversed(names[: names.index(session.stage)])
        return next(n for n in before if isinstance(session.parts.stages[n], GIVE_WEIGHTS))


def _which(parts: Parts, epoch: int) -> str:
    """The words for what was evaluated: weights, or an exported file."""
    exported = None if parts.evaluated is None else parts.evaluated.exported
    if exported is not None:
        return exported.title
    return f"the weights of epoch {epoch}" if epoch else "the combined weights"


def _measure_latency(session: Session, model: nn.Module) -> dict[str, float]:
    """Time one image on the device of the run, as `expkit latency` does, if a criterion asks."""
    inputs, parts = session.parts.inputs, session.parts
    if not any(criterion.metric in LATENCY for criterion in inputs.criteria):
        return {}
    images_BCHW, _ = next(parts.splits[parts.metadata.judged_split].batches(1))
    subject = subject_of(model.eval(), parts.device, lambda _: images_BCHW)
    with torch.random.fork_rng(devices=[]):
        (timing,) = measure_latency(subject, [Setting(1)], LATENCY_SECONDS)
    if not isinstance(timing, Timing):
        raise timing
    times = timing.figures()
    return {
        "latency_seconds": times["median_ms"] / 1000,
        "latency_p95_seconds": times["p95_ms"] / 1000,
    }


def most_confident_errors(
    predictions: ClassPredictions, images_NHWC: Tensor | MappedImages
) -> dict[str, npt.NDArray[np.generic]]:
    """The wrong predictions with the highest probabilities, first, and their images."""
    wrong = np.flatnonzero(predictions.ranks != 0)
    confidences = predictions.probabilities[wrong, predictions.predictions[wrong]]
    order = np.argsort(-confidences, kind="stable")[:NUM_MISTAKES]
    chosen = wrong[order]
    return {
        "images": images_NHWC[torch.from_numpy(chosen)].cpu().numpy(),
        "names": np.array([predictions.samples[i] for i in chosen], dtype=np.str_),
        "targets": predictions.targets[chosen],
        "predictions": predictions.predictions[chosen],
        "confidences": confidences[order],
    }
