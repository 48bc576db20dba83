"""Rules on batch norm: batches too small for it, and the wrong mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.constant_predictor import constant_loss, uniform_loss
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.model_probes import (
    epoch_of,
    is_pretrained,
    models,
    probe_epochs,
    start_of,
    starts_from,
    unrepeated_steps,
)
from expkit.diagnosis.predicted_fractions import Pile, piles_of
from expkit.diagnosis.remedies import estimated_lower_lr, lower_lr, one_digit
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import lr_of, usual_lr
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class BatchNormSmallBatch(Rule):
    """Batch norm that learns over so few samples that their mean is mostly chance.

    Two samples give of a channel at most their mean and their difference. Larger batches are
    judged by what comes of them: the same samples, predicted in eval mode, must be much worse, or
    held-out predictions pile up on a class that training mode hardly predicts.
    """

    too_few: Annotated[int, Ge(1)] = 2
    few: Annotated[int, Ge(1)] = 8
    worse: Annotated[float, Gt(1)] = 2.0
    settled_steps: Annotated[int, Ge(1)] = 100  # running averages hold until then their start

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings:
            start = start_of(evidence, stage)
            batch_size = evidence.stage_config(stage)["batch_size"]
            if start is None or not start.get("batch_norms") or batch_size > self.few:
                continue
            if not any(p["kind"] == "norm" and p["trainable"] for p in start["parameters"]):
                continue  # frozen norms stand on the statistics that they came with
            gaps = lasting_gaps(evidence, stage, self.worse, self.settled_steps)
            pile = pile_of_eval_mode(evidence, stage, self.settled_steps)
            if batch_size <= self.too_few or gaps or pile:
                record = pile.record if pile else gaps[-1] if gaps else None
                yield self._finding(evidence, start, stage, record, pile)
                return

    def _finding(
        self,
        evidence: Evidence,
        start: Record,
        stage: str,
        record: Record | None,
        pile: Pile | None,
    ) -> Finding:
        batch_size = evidence.stage_config(stage)["batch_size"]
        numbers = {"batch_size": batch_size, "batch_norms": start["batch_norms"]}
        rates: tuple[float, float] | None = None
        if record is not None:
            numbers |= {"train_loss": record["train/loss"], "eval_mode_loss": record["probe_loss"]}
        if pile is not None:
            numbers |= {
                "split": pile.fraction.split,
                "class": pile.class_name,
                "fraction_of_predictions": pile.fraction.predicted,
                "fraction_in_training_mode": pile.in_training,
            }
            rates = lr_above_usual(evidence.of_stage(stage))
        return self.finding(
            "few_samples",
            numbers,
            parts={"pile": pile is not None, "rate": rates is not None, "lower": rates is not None},
            stage=stage,
            epoch=None if record is None else record["epoch"],
            learning_rate=rates and rates[0],
            lower_lr=rates and rates[1],
        )


def lr_above_usual(evidence: Evidence) -> tuple[float, float] | None:
    """The learning rate and a lower one, where it is above what is usual for the optimizer."""
    lr = lr_of(evidence.config)
    if lr <= usual_lr(evidence.config):
        return None
    return lr, one_digit(estimated_lower_lr(evidence, lr, 1.0))


def pile_of_eval_mode(evidence: Evidence, stage: str, settled_steps: int) -> Pile | None:
    """The held-out predictions of the last probe epoch, where eval mode alone piles up one class.

    So it must be in the last two of them, or in the only one, and training samples must cost more
    in eval mode than in training, and more than a constant prediction: no other split is to blame.
    """
    if evidence.stage_config(stage).get("ema_decay"):
        return None
    level = constant_loss(evidence, stage)
    probed = [each for each in probe_epochs(evidence) if each["stage"] == stage]
    piles = piles_of(evidence, probed[-2:])
    is_apart = level is not None and all(
        each.record["step"] >= settled_steps
        and each.in_training is not None
        and each.in_training <= each.fraction.predicted / 2
        and each.record["probe_loss"] > max(level, each.record["train/loss"])
        for each in piles
    )
    return piles[-1] if piles and is_apart else None


def lasting_gaps(evidence: Evidence, stage: str, worse: float, settled_steps: int) -> list[Record]:
    """The last two probe epochs, where both predict the training samples much worse in eval mode.

    The mean of weights (ema_decay) lags by itself: it is no sign.
    """
    if evidence.stage_config(stage).get("ema_decay"):
        return []
    probed = [each for each in probe_epochs(evidence) if each["stage"] == stage][-2:]
    gaps = [
        each
        for each in probed
        if each["step"] >= settled_steps and each["probe_loss"] > worse * each["train/loss"]
    ]
    return gaps if len(gaps) == 2 and gaps[0]["epoch"] >= 2 else []


@dataclass(frozen=True, kw_only=True)
class BatchNormMode(Rule):
    """Norms that stand in eval mode while they should learn, or in training mode in evaluation.

    Norms that the run froze on purpose are not recorded as such; those of trained weights may be
    kept still by the model itself.
    """

    worse: Annotated[float, Gt(1)] = 4.0
    settled_steps: Annotated[int, Ge(1)] = 100  # running averages hold until then their start
    random: Annotated[float, Gt(0)] = 1e-3
    half: Annotated[float, Gt(0)] = 0.5

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            if record.get("without_averages"):
                yield self._without_averages(record)
                return
            # not_deterministic reports a step that gives two results under one seed
            is_reported = not record["not_evaluating"] and bool(unrepeated_steps(evidence))
            if (record.get("repeat_gap") or 0.0) > self.random and not is_reported:
                yield self._random(record)
                return
            trained_before = is_pretrained(evidence) or starts_from(evidence, record["stage"])
            norms = {each["name"] for each in record["layers"]}  # dropouts do not count as layers
            asleep = [name for name in record["not_training"] if name in norms]
            awake = [name for name in record["not_evaluating"] if name in norms]
            if awake or (asleep and not trained_before):
                yield self._wrong_mode(record, awake or asleep, is_awake=bool(awake))
                return
            if not trained_before and (found := self._by_momentum(record)):
                yield found
                return
        yield from self._find_stale(evidence)

    def _wrong_mode(self, record: Record, names: list[str], *, is_awake: bool) -> Finding:
        return self.finding(
            "training_in_evaluation" if is_awake else "eval_in_training",
            {"names": names[:20], "batch_norms": record["batch_norms"]},
            stage=record["stage"],
            epoch=epoch_of(record),
            count=len(names),
            norms=listed(names),
        )

    def _without_averages(self, record: Record) -> Finding:
        names = record["without_averages"]
        return self.finding(
            "without_averages",
            {"names": names[:20], "batch_norms": record["batch_norms"]},
            stage=record["stage"],
            epoch=epoch_of(record),
            count=len(names),
            norms=listed(names),
        )

    def _random(self, record: Record) -> Finding:
        awake = record["not_evaluating"]
        return self.finding(
            "random_layers" if awake else "random_forward",
            {"repeat_gap": record["repeat_gap"], "not_evaluating": awake[:20]},
            stage=record["stage"],
            epoch=epoch_of(record),
            layers=listed(awake),
        )

    def _find_stale(self, evidence: Evidence) -> Iterable[Finding]:
        for stage in evidence.trainings:
            start, chance = start_of(evidence, stage), uniform_loss(evidence, stage)
            if start is None or not start.get("batch_norms") or chance is None:
                continue
            gaps = lasting_gaps(evidence, stage, self.worse, self.settled_steps)
            if not gaps or not all(
                each["train/loss"] < self.half * chance < each["probe_loss"] for each in gaps
            ):
                continue
            last = gaps[-1]
            yield self.finding(
                "averages_lag",
                {"eval_mode_loss": last["probe_loss"], "train_loss": last["train/loss"]},
                stage=stage,
                epoch=last["epoch"],
                lower_lr=lower_lr(evidence),
            )
            return

    def _by_momentum(self, record: Record) -> Finding | None:
        """The finding of running averages that never move, or are the last batch's alone."""
        momenta = record.get("norm_momenta") or [0.1]
        least, most = momenta[0], momenta[-1]
        if least > 0 and most < 1:
            return None
        of_none = "momenta_of_0_and_1" if most >= 1 else "momentum_of_0"
        return self.finding(
            of_none if least <= 0 else "momentum_of_1",
            {"least_momentum": least, "largest_momentum": most},
            stage=record["stage"],
            epoch=epoch_of(record),
        )
