"""The cut-offs that were chosen for classes of a run: sure of one, sure of another, or maybe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from expkit.errors import UserError
from expkit.metrics.task_types import MAYBE
from expkit.metrics.threshold_verdicts import Verdict
from expkit.records.files import read_json, write_json
from expkit.records.former_names import with_present_fields
from expkit.records.safe_open import is_file
from expkit.records.typed_values import Finite, check_shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FILE = "threshold.json"
HALVES = ("chosen_on", "confirmed_on")
FRACTION = ("recall", MAYBE, "wrong_class", "wrong_other")  # of either half
VERDICTS: Sequence[Verdict] = ("confirmed", "not confirmed", "too few samples")


@dataclass(frozen=True)
class Threshold:
    """Below `low` another class, from `high` on this one, between them maybe."""

    class_name: str
    class_names: Sequence[str]
    low: Finite
    high: Finite | None  # None: no cut-off makes this class sure
    asked_recall: Finite | None  # None: nothing was asked of it
    asked_precision: Finite | None
    split: str  # whose halves chose and confirmed the cut-offs
    seed: int  # of the halves
    verdict: Verdict  # of the half that did not choose
    evidence: Mapping[str, Any]
    temperature: Annotated[float, Ge(0.01), Le(100)] = (
        1.0  # of the probabilities that were cut (expkit calibrate)
    )

    @property
    def is_confirmed(self) -> bool:
        return self.verdict == "confirmed"

    @property
    def class_index(self) -> int:
        return list(self.class_names).index(self.class_name)

    def _is_sound(self) -> bool:
        highest = 1 if self.high is None else self.high
        has_names = self.class_name in self.class_names and self.verdict in VERDICTS
        fractions = [self.evidence[half][name] for half in HALVES for name in FRACTION]
        has_fractions = all(_is_fraction(**each) for each in fractions)
        return has_names and has_fractions and 0 <= self.low <= highest <= 1


def _is_fraction(
    count: int, total: int, fraction: float | None, interval: Sequence[float] | None
) -> bool:
    """Tell whether a count of a total has its fraction and interval, or neither if of none."""
    if fraction is None or interval is None:
        return count == total == 0
    low, high = interval
    return 0 <= count <= total and 0 <= low <= fraction <= high <= 1


def read_thresholds(run_path: Path) -> Sequence[Threshold]:
    """A run's thresholds, one a class, in the order in which they were chosen."""
    path = run_path / FILE
    if not is_file(path):
        return ()
    try:
        record = with_present_fields(read_json(path))
        # of one class alone, as they were written before several could stand side by side
        listed = [_renamed(record)] if "class_name" in record else record["thresholds"]
        check_shape(listed, list[Threshold])
        found = [Threshold(**each) for each in listed]
        names = found[0].class_names
        if all(each._is_sound() and each.class_names == names for each in found):
            return found
    except (IndexError, KeyError, TypeError, ValueError):
        pass
    raise UserError(
        f"'{path}' holds no thresholds",
        where=str(path),
        fix=f"remove it, then: expkit threshold {shlex.quote(str(run_path))} "
        "--class NAME --recall 0.99",
    )


def keep_threshold(threshold: Threshold, run_path: Path) -> None:
    """Write it beside those of other classes; an earlier one of its class is replaced."""
    others = [e for e in read_thresholds(run_path) if e.class_name != threshold.class_name]
    write_json(run_path / FILE, {"thresholds": [asdict(each) for each in (*others, threshold)]})


def decide(
    thresholds: Sequence[Threshold], probabilities_NC: npt.NDArray[np.floating[Any]]
) -> list[str]:
    """Each sample's class by these cut-offs, or maybe; also where a number is none.

    A sample that is surely of none of their classes goes to the most probable of the others. One
    that two of them claim, or that no class is left for, is a maybe.
    """
    import numpy as np

    names = list(thresholds[0].class_names)
    table = probabilities_NC.astype(np.float64)
    others = table.copy()
    claims = np.zeros(len(table), np.int64)
    claimed = np.full(len(table), len(names))
    is_other = np.ones(len(table), bool)
    for each in thresholds:
        own = table[:, each.class_index]
        others[:, each.class_index] = -1
        is_other &= own < each.low
        if each.high is not None:
            claims += own >= each.high
            claimed[own >= each.high] = each.class_index
    predictions = np.where(claims == 1, claimed, len(names))
    if len(thresholds) < len(names):
        predictions[is_other] = others[is_other].argmax(axis=1)
    return list(np.array([*names, MAYBE], dtype=object)[predictions])


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    """A record from before there was a verdict of three."""
    verdict = "confirmed" if record["is_confirmed"] else "not confirmed"
    rest = {key: value for key, value in record.items() if key != "is_confirmed"}
    return {**rest, "verdict": verdict}
