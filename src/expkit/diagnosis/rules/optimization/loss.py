"""Rules on the loss: it must prefer right predictions, and pull towards them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import is_failing, start_before
from expkit.diagnosis.model_probes import epoch_of, models, probe_epochs
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.optimization.class_weights import weighted_classes
from expkit.records.files import Record


def loss_records(evidence: Evidence) -> list[Record]:
    return [record for record in evidence.of_kind("loss") if "error" not in record]


def is_own(evidence: Evidence) -> bool:
    return str(evidence.config["loss"]["_target_"]).startswith("expkit.losses.")


def pull(record: Record, *, is_own: bool) -> float:
    """The gradient at equal outputs, as a fraction of cross-entropy's.

    Another's loss may be of another scale, as squares and means over classes are: there it is what
    a unit of the loss pulls with.
    """
    fraction: float = record["gradient_at_uniform"]
    level, chance = record["at_uniform"], record.get("chance") or 0.0
    return fraction if is_own or not 0 < level < chance else fraction * chance / level


def gives_log_probabilities(evidence: Evidence) -> bool:
    """Tell whether the model ends with what a loss of log-probabilities is at home with."""
    found = [each.get("last_operation") for each in models(evidence)]
    return bool(found) and found[0] == "LogSoftmax"


@dataclass(frozen=True, kw_only=True)
class LossMismatch(Rule):
    """A loss of another kind than the outputs, seen by its values for outputs made up for it."""

    tolerance: Annotated[float, Gt(0)] = 1e-4
    no_pull: Annotated[float, Gt(0)] = 1e-7
    max_below_zero: Annotated[float, Gt(0)] = 1.0
    min_best_scale: Annotated[float, Gt(0)] = 16.0
    min_won: Annotated[float, Gt(0), Le(1)] = 0.5

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in loss_records(evidence):
            case = self._fault(record, is_own=is_own(evidence))
            if case is None and not gives_log_probabilities(evidence):
                if self._falls_without_end(record):
                    case = "without_end"
                elif self._cannot_be_won(evidence, record):
                    case = "not_won"
            if case is not None:
                yield self._finding(case, evidence, record)
                return

    def _fault(self, record: Record, *, is_own: bool) -> str | None:
        """The case that any loss shows by itself; None where it is sound."""
        right, wrong = record["at_right"], record["at_wrong"]
        # a sound loss pulls where nothing is known; one of ours does not only by its settings
        is_flat = not is_own and record.get("gradient_at_uniform", 1.0) < self.no_pull
        if not record["has_gradient"] or is_flat:
            return "no_gradient"
        if wrong is None or not (math.isfinite(right) and math.isfinite(wrong)):
            return None
        slack = self.tolerance * max(1.0, abs(right), abs(wrong))
        if right > wrong + slack:
            return "reversed"
        if "at_uniform" in record and abs(right - wrong) <= slack:
            return "indifferent"
        return None

    def _falls_without_end(self, record: Record) -> bool:
        """Sound losses of classes end at zero; such a one falls with the size of the outputs."""
        is_below = record.get("best", 0.0) < -self.max_below_zero
        return is_below and bool(record["best_scale"] >= self.min_best_scale)

    def _cannot_be_won(self, evidence: Evidence, record: Record) -> bool:
        """Tell whether correct predictions hardly pay, and a few samples were not learnt by them.

        Ours are known to pay. Losses of classes end near zero for confident correct predictions at
        any scale; heavy label smoothing leaves them high, but makes wrong ones cost far more.
        """
        level, best = record.get("at_uniform"), record.get("best")
        if is_own(evidence) or level is None or best is None or level <= 0:
            return False
        gained = record["at_wrong"] - record["at_right"]
        has_failed = any(each["epoch"] for each in models(evidence))
        return has_failed and not (best < level * self.min_won or gained > level * self.min_won)

    def _finding(self, case: str, evidence: Evidence, record: Record) -> Finding:
        keys = ("at_right", "at_wrong", "at_uniform", "best", "best_scale", "has_gradient")
        return self.finding(
            case,
            {key: record[key] for key in (*keys, "gradient_at_uniform") if key in record},
            stage=record["stage"],
            sound_loss="mse" if evidence.metadata.task == "regression" else "cross_entropy",
        )


@dataclass(frozen=True, kw_only=True)
class LossSettings(Rule):
    """Settings of a sound loss that leave next to no gradient where learning begins.

    Label smoothing s leaves 1 - s of it; focal loss about (1 - 1/C)^gamma. Heavy but sound choices
    stay above the bound: s = 0.5 leaves 0.5, gamma = 5 with two classes 0.14.
    """

    weakest: Annotated[float, Gt(0)] = 0.12
    hopeless: Annotated[float, Gt(0)] = 0.02
    max_smoothing: Annotated[float, Gt(0), Lt(1)] = 0.2
    max_gamma: Annotated[float, Gt(0)] = 2.0
    drowns: Annotated[float, Gt(0), Le(1)] = 0.9
    max_drowning: Annotated[float, Gt(0), Le(1)] = 0.5
    muted: Annotated[float, Gt(0), Le(1)] = 0.02
    divided: Annotated[float, Gt(0), Le(1)] = 0.1
    min_epochs: Annotated[int, Ge(1)] = 3

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in loss_records(evidence):
            if "gradient_at_uniform" not in record or not record["has_gradient"]:
                continue
            fraction = pull(record, is_own=is_own(evidence))
            if fraction < self.weakest and record["target_gradient"] <= 0:
                yield self._weak(evidence, record, fraction)
                return
            if finding := self._sums(evidence, record):
                yield finding
                return
        yield from self._weighted(evidence)
        yield from self._divided(evidence)

    def _weak(self, evidence: Evidence, record: Record, fraction: float) -> Finding:
        config = evidence.config["loss"]
        smoothing = float(config.get("label_smoothing") or 0)
        gamma = float(config.get("gamma") or 0)
        is_smooth, is_focal = smoothing > self.max_smoothing, gamma > self.max_gamma
        return self.finding(
            "weak",
            {
                "gradient_at_uniform": fraction,
                "loss_at_uniform": record["at_uniform"],
                "best_loss": record["best"],
                "label_smoothing": smoothing,
                "gamma": gamma,
            },
            severity="fatal" if fraction < self.hopeless else "warning",
            parts={
                "and_gamma": bool(gamma),
                "smooth_less": is_smooth,
                "focus_less": is_focal,
                "plain": not (is_smooth or is_focal),
            },
            stage=record["stage"],
        )

    def _sums(self, evidence: Evidence, record: Record) -> Finding | None:
        """A loss summed over the batch: as many times the mean as there were samples."""
        chance = record.get("chance")
        num_classes = evidence.metadata_of(record["stage"]).num_classes
        if not chance or not num_classes:
            return None
        count = min(num_classes, 256)  # samples that the probe made up
        ratio = record["at_uniform"] / chance
        if count < 3 or abs(ratio / count - 1) > 0.01:
            return None
        return self.finding(
            "sum",
            {"at_uniform": record["at_uniform"], "chance": chance, "samples": count},
            stage=record["stage"],
            ratio=ratio,
        )

    def _weighted(self, evidence: Evidence) -> Iterable[Finding]:
        """Class weights that leave a loss of one class alone, or one without a class."""
        classes = weighted_classes(evidence)
        if classes is None:
            return
        top, muted = classes.top, classes.muted(self.muted)
        of_loss, of_samples = classes.of_loss[top], classes.of_samples[top]
        drowns = of_loss > self.drowns and of_samples < self.max_drowning
        if drowns or muted:
            yield self.finding(
                "drowned" if drowns else "muted",
                {
                    "class_weights": list(classes.weights)[:20],
                    "class": classes.names[top],
                    "fraction of the loss": of_loss,
                    "fraction of the samples": of_samples,
                    "classes without a say": len(muted),
                },
                weight=classes.weights[top],
                muted=", ".join(f"'{name}'" for name in muted[:5]),
            )

    def _divided(self, evidence: Evidence) -> Iterable[Finding]:
        """Outputs that are scaled down behind the last layer, of a model that does not learn."""
        for record in [*models(evidence), *probe_epochs(evidence)]:
            start = start_before(evidence, record)
            if start is None or not is_failing(evidence, record) or not start["layers"]:
                continue
            if record["kind"] == "epoch" and record["epoch"] < self.min_epochs:
                continue  # a factor of ten is only a slow start
            size, last = start["outputs"]["rms"], start["layers"][-1]["rms"] or 0.0
            if start.get("last_operation") in ("Div", "Mul") and 0 < size < self.divided * last:
                yield self.finding(
                    "divided",
                    {"last_layer_rms": last, "outputs_rms": size},
                    stage=record["stage"],
                    epoch=epoch_of(record),
                    factor=last / size,
                )
                return
