"""Jobs that are alike but for their seed, folded into one line of a table."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from expkit.records.measures import CHOOSING, Measure, is_lower_better
from expkit.reports import wording
from expkit.reports.sweep_rows import Row
from expkit.reports.variation import Value


@dataclass(frozen=True)
class Group:
    """One setting over its seeds."""

    settings: Mapping[str, Value]
    rows: Sequence[Row]

    @cached_property
    def judged(self) -> list[Row]:
        """Those with a figure of a whole training: one that was pruned has another's."""
        return [row for row in self.rows if _is_number(row.objective) and row.status != "pruned"]

    @cached_property
    def values(self) -> list[float]:
        """The objective's."""
        return [row.objective for row in self.judged if row.objective is not None]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Of one seed nothing is known of the spread."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def mean_of(self, metric: str) -> float | None:
        found = [row.metrics.get(metric) for row in self.rows]
        known = [value for value in found if value is not None]
        return statistics.fmean(known) if known else None

    @property
    def findings(self) -> Counter[str]:
        return Counter(finding for row in self.rows for finding in row.findings)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def fold(rows: Sequence[Row], objective: str) -> list[Group]:
    """The best first; those without a figure last, in the order in which they were planned."""
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.settings.values()), []).append(row)
    sign = 1 if is_lower_better(objective) else -1
    folded = [Group(members[0].settings, members) for members in groups.values()]
    return sorted(folded, key=lambda group: math.inf if group.mean is None else sign * group.mean)


def spread(group: Group, metric: str) -> str:
    """`91.20 ± 0.35 %`; a dash where nothing was measured."""
    return "-" if group.mean is None else wording.spread(metric, group.mean, group.std)


def measured(objective: str, rows: Sequence[Row]) -> str:
    """The objective by the split that it was measured on: `val/accuracy`."""
    measure = Measure.parse(objective)
    judged = next((row.judged_split for row in rows if row.judged_split), "")
    split = measure.split if measure.split not in ("", "held_out") else judged
    if split == CHOOSING:
        splits = {name.partition("/")[0] for row in rows for name in row.metrics}
        split = judged if splits and "val" not in splits else "val"
    class_name = "" if measure.class_name is None else f"[{measure.class_name}]"
    return f"{split or measure.split}/{measure.metric}{class_name}"
