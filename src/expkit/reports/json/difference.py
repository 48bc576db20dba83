"""The difference of a metric to a baseline's, with its noise, as a part of documents."""

from __future__ import annotations

from dataclasses import dataclass

from expkit.metrics.significance import Difference


@dataclass(frozen=True)
class DifferenceFigures:
    """The gain in a metric of ours over the baseline's, and what is known of its noise."""

    value: float  # ours less the baseline's
    interval: tuple[float, float] | None  # without 0 exactly where p is below 0.05
    level: float  # of the interval, by its place in Holm's order: 0.05 is of 95 %
    p: float | None  # of this comparison alone
    p_adjusted: float | None  # after Holm's correction for all comparisons
    num_comparisons: int
    test: str  # that gave p and the interval
    unit: str  # what was drawn: samples, seeds, folds or runs
    count: int  # of them
    is_shown: bool  # p_adjusted is below 0.05
    num_needed: int | None  # about so many units would show this difference, at 80 % power


def difference_figures(found: Difference) -> DifferenceFigures:
    """Return a difference's figures."""
    return DifferenceFigures(
        value=found.value,
        interval=found.interval,
        level=found.level,
        p=found.p_alone,
        p_adjusted=found.p,
        num_comparisons=found.num_comparisons,
        test=found.method.test,
        unit=found.unit,
        count=found.count,
        is_shown=found.is_shown,
        num_needed=found.num_needed,
    )
