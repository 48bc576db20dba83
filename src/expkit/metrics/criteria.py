"""Criteria: what a run must reach, stated before it runs, and judged from its recorded numbers."""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from expkit.errors import UserError
from expkit.metrics.names import RANGES, Measure
from expkit.metrics.percentages import MAX_DIGITS, hundredths

RELATIONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Criterion:
    """`accuracy: "> 0.95"` on the judged split, `train/accuracy: "> 0.95"` on the one it names.

    `recall[cherry_pit]: ">= 0.99"` asks it of one class, `recall[*]: "> 0.85"` of each.
    """

    name: str
    relation: str
    bound: float

    @property
    def measure(self) -> Measure:
        return Measure.parse(self.name)

    def split(self, judged_split: str) -> str:
        """Return the split that it names, or the judged one."""
        return self.measure.split or judged_split

    @property
    def metric(self) -> str:
        """The metric with its class and without its split."""
        return self.measure.unsplit

    def is_met(self, value: float) -> bool:
        """A number that is not finite meets nothing."""
        return math.isfinite(value) and RELATIONS[self.relation](value, self.bound)

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:g}"


def shown_bound(bound: float, *, is_fraction: bool) -> str:
    """Write the bound of a criterion as it was stated: `94.5 %`."""
    return f"{100 * bound:.10g} %" if is_fraction else f"{bound:.10g}"


def value_beside(value: float, relation: str, bound: float, *, is_fraction: bool) -> str:
    """Write a value with so many digits that, beside its bound, it judges as the true one does."""
    if not math.isfinite(value):
        return "not finite"
    scale, digits = (100, 2) if is_fraction else (1, 4)
    holds, limit = RELATIONS[relation], round(scale * bound, 10)
    while True:
        text = hundredths(value, digits) if is_fraction else f"{value:.{digits}f}"
        if holds(float(text), limit) == holds(value, bound) or digits == MAX_DIGITS:
            return f"{text} %" if is_fraction else text
        digits += 1


def parse_criterion(name: str, condition: object, key: str = "criteria") -> Criterion:
    """Read one entry of `criteria`, or of another mapping of the same form."""
    match = re.fullmatch(r"\s*(>=|<=|>|<)\s*([-+.\deE]+)\s*", str(condition))
    with contextlib.suppress(ValueError):
        if match is not None and math.isfinite(float(match[2])):
            return Criterion(name, match[1], float(match[2]))
    words = f'{key}={{{name}: "> 0.95"}}'
    if key == "criteria":  # a group of the config, which no mapping on the command line replaces
        words = f'++criteria.{name}="> 0.95"'
    raise UserError(
        f"the criterion '{condition}' cannot be read",
        where=f"{key}.{name}",
        allowed="a relation and a number: '> 0.95', '>= 0.9', '< 0.1', '<= 0.1'",
        fix=f"expkit train '{words}'",
    )


def check_bound(
    criterion: Criterion, key: str = "criteria", ends: tuple[float, float] | None = None
) -> None:
    """A criterion that every run meets, or none, judges nothing; `ends` are this data's own."""
    low, high = ends or RANGES[criterion.measure.metric]
    upward = criterion.relation.startswith(">")
    is_strict = len(criterion.relation) == 1
    meets_all = criterion.bound < low if upward else criterion.bound > high
    meets_all = meets_all or (not is_strict and criterion.bound == (low if upward else high))
    meets_none = criterion.bound > high if upward else criterion.bound < low
    meets_none = meets_none or (is_strict and criterion.bound == (high if upward else low))
    if meets_all or meets_none:
        raise UserError(
            f"{'every' if meets_all else 'no'} run meets '{criterion}'",
            where=f"{key}.{criterion.name}",
            allowed=f"{criterion.measure.metric} lies between {low:g} and {high:g}: 95 % is 0.95"
            if high == 1
            else f"{criterion.measure.metric} is at least {low:g}",
        )
