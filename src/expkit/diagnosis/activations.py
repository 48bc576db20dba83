"""Rules on what layers answer: units that never fire, or only at their limit, or always alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_records import (
    epoch_of,
    is_at_chance,
    listed,
    looks,
    lower_rate,
    models,
    start_of,
)
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record

NEVER = 1e-6  # of the answers' size: what rounding makes of equal ones


def output_spread(record: Record) -> float:
    """By how much the answers to different samples differ, relative to their size."""
    outputs = record["outputs"]
    spread: float = outputs["spread_across_samples"]
    return spread / outputs["rms"] if outputs["rms"] > 0 else 0.0


def is_failing(evidence: Evidence, record: Record) -> bool:
    """A probe of a lost gate, or an epoch that has learnt next to nothing."""
    if record["kind"] == "model":
        return bool(record["epoch"])
    return is_at_chance(evidence, record)


def is_start(record: Record) -> bool:
    return record["kind"] == "model" and not record["epoch"]


def is_blocked(record: Record) -> bool:
    """Whether all answers are equal, and some layer gets a gradient of exactly zero."""
    gradients = [row["gradient_rms"] for row in record.get("parameters", ())]
    return 0.0 in gradients and output_spread(record) <= NEVER and record["outputs"]["rms"] > 0


def ways_to_redraw(evidence: Evidence) -> list[list[str]]:
    """Overrides that change how features start: both together first, then each alone."""
    init = ["model.init=kaiming"] if evidence.config["model"].get("init") == "default" else []
    raw = evidence.config["dataset"].get("normalise") in ("none", "unit")
    normalise = ["dataset.normalise=dataset"] if raw else []
    both = [[*init, *normalise]] if init and normalise else []
    return [*both, *(each for each in (init, normalise) if each)]


@dataclass(frozen=True, kw_only=True)
class DeadUnits(Rule):
    """Rectifiers that answer zero to every sample.

    Of a healthy net two thirds of a layer's units may rest in the middle of training, as those of
    the puzzle's convolutions do, and nearly all of a layer after the first epoch, to come back
    later: so a warning wants nearly all of many units at the start, or for long without learning.
    A whole layer is told at once where it also keeps every gradient from the layers before it.
    """

    dead: Annotated[float, Gt(0), Le(1)] = 0.9  # of a layer's units
    num_units: Annotated[int, Ge(1)] = 32  # fewer die by chance where samples are much alike
    epochs: Annotated[int, Ge(1)] = 6  # at chance: earlier it may still come back

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *looks(evidence)]:
            measured = [each for each in record["layers"] if each.get("dead_share") is not None]
            whole = [each for each in measured if each["dead_share"] == 1]
            if whole and is_blocked(record):
                yield self._finding(evidence, record, whole, is_blocked=True)
                return
            many = [
                each
                for each in measured
                if each["dead_share"] >= self.dead and each.get("units", 0) >= self.num_units
            ]
            if many and (is_start(record) or self._lasts(evidence, record)):
                yield self._finding(evidence, record, many, is_blocked=False)
                return

    def _lasts(self, evidence: Evidence, record: Record) -> bool:
        is_late = record["kind"] == "model" or record["epoch"] >= self.epochs
        return is_late and is_failing(evidence, record)

    def _finding(
        self, evidence: Evidence, record: Record, layers: Sequence[Record], *, is_blocked: bool
    ) -> Finding:
        worst = max(layers, key=lambda each: float(each["dead_share"]))
        names = [each["name"] for each in layers]
        tail = ": no sample can be told from another behind it" if is_blocked else ""
        at_start = not record["epoch"]
        return Finding(
            severity="fatal" if is_blocked else "warning",
            sentence=f"{worst['dead_share']:.0%} of the units of {worst['name']} answer zero to "
            f"every sample{tail}",
            evidence={
                "layers": names[:20],
                "dead_share": worst["dead_share"],
                "output_spread": output_spread(record),
            },
            cause="their biases or weights start far below zero, or their inputs are far off"
            if at_start
            else "a step that was too large has pushed them below zero, where no gradient "
            "brings them back",
            remedies=() if at_start else [lower_rate(evidence)],
            command=f"look at how the layer before {worst['name']} starts: its bias should be "
            "near zero"
            if at_start
            else "",
            stage=record["stage"],
            epoch=epoch_of(record),
        )


@dataclass(frozen=True, kw_only=True)
class SaturatedUnits(Rule):
    """Sigmoids and tanhs that stand at their limits, where they have no slope.

    The last layer is left out: answers may be sure.
    """

    saturated: Annotated[float, Gt(0), Le(1)] = 0.8  # of a layer's answers, within 1 % of a limit

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *looks(evidence)]:
            if not is_start(record) and not is_failing(evidence, record):
                continue
            stuck = [
                each
                for each in record["layers"][:-1]
                if (each.get("saturated_share") or 0.0) >= self.saturated
            ]
            if not stuck:
                continue
            worst = max(stuck, key=lambda each: float(each["saturated_share"]))
            ways = ways_to_redraw(evidence)
            yield Finding(
                severity="warning",
                sentence=f"{worst['saturated_share']:.0%} of the answers of {worst['name']} "
                f"({worst['type']}) stand at its limits, where no gradient passes",
                evidence={
                    "layers": [each["name"] for each in stuck][:20],
                    "saturated_share": worst["saturated_share"],
                },
                cause="the weights before it, or its inputs, are too large",
                remedies=ways,
                command=""
                if ways
                else f"start the layer before {worst['name']} with smaller "
                "weights, or normalise what it is given",
                stage=record["stage"],
                epoch=epoch_of(record),
            )
            return


@dataclass(frozen=True, kw_only=True)
class CollapsedFeatures(Rule):
    """Features that are nearly equal for all samples from the start, so that nothing is learnt.

    Log 1's deep head: what its last hidden layer says of a sample differs by 5 % between samples
    (that of nets which learn the same pieces: 22 and 33 %), the steps that follow level it to
    nothing, and the loss stays at chance. A flat start alone is no fault: it must have stayed so
    while weights moved. Nets with batch norm are left to other rules: in eval mode they all start
    flat, and their own statistics make up for it.
    """

    at_start: Annotated[float, Gt(0)] = 0.1  # of the last hidden layer's energy, as a root
    features: Annotated[float, Gt(0)] = 0.06  # of the same at a look
    answers: Annotated[float, Gt(0)] = 0.003  # of the outputs at a look: levelled
    answers_for_long: Annotated[float, Gt(0)] = 0.05  # after `epochs_at_chance` at chance
    epochs_at_chance: Annotated[int, Ge(2)] = 6
    moved: Annotated[float, Gt(0)] = 3e-4  # a step's share of a weight: smaller is a slow start

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        moved: dict[str, float] = {}
        for look in looks(evidence):
            stage = look["stage"]
            moved[stage] = max(moved.get(stage, 0.0), typical_update(look))
            start = start_of(evidence, stage)
            if start is None or start.get("batch_norms") or look["epoch"] < 2:
                continue
            flat_start = hidden_spread(start)
            if (
                flat_start is not None
                and flat_start < self.at_start
                and moved[stage] >= self.moved
                and self._is_flat(look)
                and is_at_chance(evidence, look)
            ):
                yield self._finding(evidence, start, look)
                return

    def _is_flat(self, look: Record) -> bool:
        hidden, answers = hidden_spread(look), output_spread(look)
        if hidden is None or not hidden < self.features:
            return False
        for_long = look["epoch"] >= self.epochs_at_chance and answers < self.answers_for_long
        return answers < self.answers or for_long

    def _finding(self, evidence: Evidence, start: Record, look: Record) -> Finding:
        ways = ways_to_redraw(evidence)
        hidden = hidden_spread(start)
        numbers: dict[str, Any] = {
            "hidden_spread_at_start": hidden,
            "hidden_spread": hidden_spread(look),
            "output_spread": output_spread(look),
            "train_loss": look["train/loss"],
        }
        return Finding(
            severity="fatal",
            sentence=f"the model's features are nearly equal for all samples: at the start they "
            f"differed by {hidden:.1%}, and the answers now by {output_spread(look):.2%}, with "
            f"the loss at chance ({look['train/loss']:.4g})",
            evidence=numbers,
            cause="the way weights are drawn, and inputs that are not centred, shrink from layer "
            "to layer what tells samples apart: the first steps learn the answer common to all, "
            "and level the rest; it is no want of capacity",
            remedies=ways,
            command=""
            if ways
            else "draw the weights for the activation (Kaiming's for ReLU), "
            "normalise the inputs, or put a norm between layers",
            stage=look["stage"],
            epoch=look["epoch"],
        )


def hidden_spread(record: Record) -> float | None:
    """How much samples differ in what the last layer is given."""
    layers = record["layers"]
    return float(layers[-2]["relative_spread"]) if len(layers) > 1 else None


def typical_update(look: Record) -> float:
    """The median weight's last change, as a share of the weight; 0 where none was measured."""
    ratios = sorted(
        each["update_ratio"] for each in look.get("parameters", ()) if each.get("update_ratio")
    )
    return float(ratios[len(ratios) // 2]) if ratios else 0.0


@dataclass(frozen=True, kw_only=True)
class NonFiniteLayer(Rule):
    """The first layer that makes a NaN or an infinity out of finite numbers.

    In training a NaN spreads to all weights in one step; where they hold one already the layer
    cannot be told any more, and other rules say where the loss left the numbers.
    """

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *looks(evidence)]:
            if record.get("inputs", {}).get("non_finite"):
                return  # not the model's doing
            bad = [each["name"] for each in record["layers"] if each["non_finite"]]
            broken = bad or record["outputs"]["non_finite"]
            if broken and self._had_finite_weights(record):
                yield self._finding(record, bad)
                return

    def _had_finite_weights(self, record: Record) -> bool:
        """Before the last step, and by that step's gradients after it."""
        for row in record.get("parameters", ()):
            for key in ("weight_rms", "gradient_rms", "update_ratio"):
                is_late = record["kind"] == "epoch" or key == "weight_rms"
                value = row.get(key)
                if is_late and value is not None and not abs(value) < float("inf"):
                    return False
        return True

    def _finding(self, record: Record, bad: Sequence[str]) -> Finding:
        where = bad[0] if bad else "a step behind the last layer"
        return Finding(
            severity="fatal",
            sentence=f"{where} answers with numbers that are not finite, from finite weights",
            evidence={
                "first_layer": where,
                "layers": listed(list(bad), 10),
                "outputs_non_finite": record["outputs"]["non_finite"],
            },
            cause="it divides by zero, takes the logarithm or root of what is not positive, or "
            "overflows",
            command=f"look at what {where} is given and how it computes; a small eps, or a clamp, "
            "keeps logarithms, roots and quotients finite",
            stage=record["stage"],
            epoch=epoch_of(record),
        )
