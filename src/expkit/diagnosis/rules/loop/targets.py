"""The rule on targets of another scale or shape than a watched loop's loss takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rules.loop.loop_rule import LoopRule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class TargetsDoNotFit(LoopRule):
    """Class indices beyond the outputs, probabilities that are none, numbers that are broadcast.

    Large numbers to predict are sound where they are learnt: only a loss that stays above that of
    a constant prediction is reported.
    """

    row_error: Annotated[float, Gt(0)] = 0.01  # of the sum of a sample's probabilities
    large: Annotated[float, Gt(0)] = 100.0
    min_epochs: Annotated[int, Gt(0)] = 2

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in evidence.of_kind("refused_targets"):
            yield from self._refused(evidence, record)
            return
        yield from super().find(evidence)

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        loss = str(evidence.config["loss"].get("_target_") or "").rpartition(".")[2]
        first = epochs[0]
        ends = first.get("targets") or {}
        if first.get("broadcast"):
            outputs, targets = first["broadcast"]
            yield self._finding("broadcast", first, {"outputs": outputs, "targets": targets})
        elif not ends:
            return
        elif loss.lower().startswith(("bce", "binary_cross")) and _is_outside(ends):
            yield self._finding("beyond_0_and_1", first, ends, loss=loss)
        elif ends.get("largest_row_error", 0.0) > self.row_error:
            yield self._finding("no_probabilities", first, ends, loss=loss)
        elif loss in ("MSELoss", "mse_loss"):
            yield from self._large(evidence, epochs)

    def _large(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        """The finding on numbers so large that the net does no better than a constant one."""
        last = epochs[-1]
        lowest, highest = last["targets"]["lowest"], last["targets"]["highest"]
        losses = [each["train/loss"] for each in evidence.epochs(last["stage"])]
        spread = (highest - lowest) ** 2 / 12  # the variance of numbers spread evenly
        is_large = max(abs(lowest), abs(highest)) >= self.large
        if is_large and len(losses) >= self.min_epochs and min(losses) > spread > 0:
            seen = {"lowest": lowest, "highest": highest, "loss": losses[-1]}
            yield self._finding("large_numbers", last, seen)

    def _refused(self, evidence: Evidence, record: Record) -> Iterable[Finding]:
        """The finding on targets at which the loop ended by an error."""
        seen = {key: record[key] for key in ("lowest", "highest", "num_outputs", "shapes")}
        outputs, targets = record["shapes"]
        ignored = evidence.config["loss"].get("ignore_index")
        is_below = record["lowest"] < 0 and record["lowest"] != ignored
        if outputs == targets:
            yield self._finding("one_hot", record, seen)
        elif record["highest"] >= record["num_outputs"] or is_below:
            is_one_off = record["lowest"] == 1 and record["highest"] == record["num_outputs"]
            case = "numbered_from_1" if is_one_off else "out_of_range"
            yield self._finding(case, record, seen, last=record["num_outputs"] - 1)

    def _finding(self, case: str, record: Record, seen: Any, **values: Any) -> Finding:
        place = {"stage": record["stage"], "epoch": record["epoch"] or None}
        return self.finding(case, seen, **place, **values)


def _is_outside(ends: Record) -> bool:
    return bool(ends["lowest"] < 0 or ends["highest"] > 1)
