"""Rules on the loss: whether it wants what the user wants, and pulls towards it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.layer_probes import is_failing, start_before
from expkit.diagnosis.model_probes import epoch_of, models, probe_epochs
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.optimization.class_weights import unsound_weights
from expkit.metrics.percentages import percent
from expkit.records.files import Record


def loss_records(evidence: Evidence) -> list[Record]:
    return [record for record in evidence.of_kind("loss") if "error" not in record]


def is_own(evidence: Evidence) -> bool:
    return str(evidence.config["loss"]["_target_"]).startswith("expkit.losses.")


def pull(record: Record, *, is_own: bool) -> float:
    """The gradient at equal outputs, as a share of cross-entropy's.

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


def falls_without_end(record: Record) -> tuple[str, str] | None:
    """Sound losses of classes end at zero; such a one falls with the size of the outputs."""
    if not (record.get("best", 0.0) < -1.0 and record["best_scale"] >= 16):
        return None
    return (
        f"the loss falls below zero without end: {record['best']:.3g} for outputs of "
        f"{record['best_scale']:g}",
        "it takes log-probabilities, and the model returns logits: outputs will grow "
        "until they overflow",
    )


def cannot_be_won(evidence: Evidence, record: Record) -> tuple[str, str] | None:
    """Of another's loss: the correct prediction hardly pays, and a few samples could not be learnt.

    Losses of classes end near zero for confident correct predictions at any scale; heavy label
    smoothing leaves them high, but makes wrong ones cost far more.
    """
    level, best = record.get("at_uniform"), record.get("best")
    if is_own(evidence) or level is None or best is None or level <= 0:
        return None
    gained = record["at_wrong"] - record["at_right"]
    lost = [each for each in models(evidence) if each["epoch"]]
    if not lost or best < level / 2 or gained > level / 2:
        return None
    return (
        f"confident correct predictions still cost {best:.3g}, where chance costs {level:.3g}",
        "it does not ask for the right class: it is of a kind for numbers, or wants outputs of "
        "another form",
    )


@dataclass(frozen=True, kw_only=True)
class LossMismatch(Rule):
    """A loss of another kind than the outputs, told by what it says to outputs made up for it."""

    tolerance: Annotated[float, Gt(0)] = 1e-4  # of the loss: what rounding may do
    no_pull: Annotated[float, Gt(0)] = 1e-7  # of cross-entropy's gradient: zero but for rounding

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in loss_records(evidence):
            fault = self._fault(record, is_own=is_own(evidence))
            if fault is None and not gives_log_probabilities(evidence):
                fault = falls_without_end(record) or cannot_be_won(evidence, record)
            if fault is not None:
                yield self._finding(evidence, record, *fault)
                return

    def _fault(self, record: Record, *, is_own: bool) -> tuple[str, str] | None:
        """Return what is wrong, and the likely cause; None where nothing is."""
        right, wrong = record["at_right"], record["at_wrong"]
        # a sound loss pulls where nothing is known; one of ours does not only by its settings
        is_flat = not is_own and record.get("gradient_at_uniform", 1.0) < self.no_pull
        if not record["has_gradient"] or is_flat:
            return (
                "the loss has no gradient: nothing can be learnt from it",
                "it rounds, takes an argmax, or detaches what the model outputs",
            )
        if wrong is None or not (math.isfinite(right) and math.isfinite(wrong)):
            return None
        slack = self.tolerance * max(1.0, abs(right), abs(wrong))
        if right > wrong + slack:
            return (
                f"wrong predictions lose less: {wrong:.3g}, correct ones {right:.3g}",
                "its sign is turned, or its targets are not the classes",
            )
        if "at_uniform" not in record:
            return None
        if abs(right - wrong) <= slack:
            return (
                f"the loss is {right:.3g} for right and for wrong predictions alike",
                "it does not compare outputs with classes one by one: it is of a kind for numbers, "
                "or averages the outputs before",
            )
        return None

    def _finding(self, evidence: Evidence, record: Record, sentence: str, cause: str) -> Finding:
        sound = "mse" if evidence.metadata.task == "regression" else "cross_entropy"
        shown: Sequence[str] = ("at_right", "at_wrong", "at_uniform", "best", "best_scale")
        shown = (*shown, "has_gradient", "gradient_at_uniform")
        return Finding(
            severity="fatal",
            sentence=sentence,
            evidence={key: record[key] for key in shown if key in record},
            cause=cause,
            remedies=[[f"loss={sound}"]],
            stage=record["stage"],
        )


@dataclass(frozen=True, kw_only=True)
class LossSettings(Rule):
    """Settings of a sound loss that leave next to no gradient where learning begins.

    Label smoothing s leaves 1 - s of it; focal loss about (1 - 1/C)^gamma. Heavy but sound choices
    stay above the bound: s = 0.5 leaves 0.5, gamma = 5 with two classes 0.14.
    """

    weakest: Annotated[float, Gt(0)] = 0.12  # of plain cross-entropy's gradient at equal outputs
    hopeless: Annotated[float, Gt(0)] = 0.02
    divided: Annotated[float, Gt(0), Le(1)] = 0.1  # of the last layer's outputs

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
        yield from unsound_weights(evidence)
        yield from self._divided(evidence)

    def _weak(self, evidence: Evidence, record: Record, fraction: float) -> Finding:
        config = evidence.config["loss"]
        smoothing = float(config.get("label_smoothing") or 0)
        gamma = float(config.get("gamma") or 0)
        severity: Severity = "fatal" if fraction < self.hopeless else "warning"
        remedies = []
        if smoothing > 0.2:
            remedies.append(["loss.label_smoothing=0.1"])
        if gamma > 2:
            remedies.append(["loss.gamma=2"])
        if len(remedies) == 2:
            remedies.insert(0, [*remedies[0], *remedies[1]])
        settings = f"label smoothing {smoothing:g}" + (f", gamma {gamma:g}" if gamma else "")
        return Finding(
            severity=severity,
            sentence=f"where learning begins the loss pulls with {percent(fraction, 1)} of "
            f"cross-entropy's force ({settings})",
            evidence={
                "gradient_at_uniform": fraction,
                "loss_at_uniform": record["at_uniform"],
                "best_loss": record["best"],
                "label_smoothing": smoothing,
                "gamma": gamma,
            },
            cause="the settings of the loss leave almost nothing to be won by a correct prediction",
            remedies=remedies or [["loss=cross_entropy"]],
            stage=record["stage"],
        )

    def _divided(self, evidence: Evidence) -> Iterable[Finding]:
        """Outputs that are scaled down behind the last layer, of a model that does not learn."""
        for record in [*models(evidence), *probe_epochs(evidence)]:
            start = start_before(evidence, record)
            if start is None or not is_failing(evidence, record) or not start["layers"]:
                continue
            if record["kind"] == "epoch" and record["epoch"] < 3:
                continue  # a factor of ten is only a slow start
            size, last = start["outputs"]["rms"], start["layers"][-1]["rms"] or 0.0
            if start.get("last_operation") in ("Div", "Mul") and 0 < size < self.divided * last:
                yield Finding(
                    severity="warning",
                    sentence=f"the last layer's outputs have size {last:.2g}, and the model's "
                    f"{size:.2g}: they are divided by about {last / size:.2g} before the loss",
                    evidence={"last_layer_rms": last, "outputs_rms": size},
                    cause="a temperature or scale this large leaves the loss near that of saying "
                    "nothing, whatever the last layer learns",
                    command="take the factor out of the model's forward, or make it about 1",
                    stage=record["stage"],
                    epoch=epoch_of(record),
                )
                return

    def _sums(self, evidence: Evidence, record: Record) -> Finding | None:
        """A loss summed over the batch: as many times the mean as there were samples."""
        chance, num_classes = (
            record.get("chance"),
            evidence.metadata_of(record["stage"]).num_classes,
        )
        if not chance or not num_classes:
            return None
        count = min(num_classes, 256)  # samples that the probe made up
        ratio = record["at_uniform"] / chance
        if count < 3 or abs(ratio / count - 1) > 0.01:
            return None
        return Finding(
            severity="warning",
            sentence=f"the loss is a sum over samples, not their mean: {ratio:.0f} times ln C "
            f"for {count} samples",
            evidence={"at_uniform": record["at_uniform"], "chance": chance, "samples": count},
            cause="gradients, and with them the fitting learning rate, grow with the batch",
            remedies=[["loss=cross_entropy"]],
            stage=record["stage"],
        )
