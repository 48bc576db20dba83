"""P-values of several comparisons: corrected for their number, and written."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.metrics.mcnemar import LEVEL


def holm(p_values: Sequence[float], num_comparisons: int | None = None) -> list[float]:
    """Adjusted so that none of all comparisons is called real by chance in 95 of 100 cases.

    Holm 1979. Where more were made, or could be chosen from, than are given, that number counts.
    """
    count = num_comparisons or len(p_values)
    adjusted, floor = [0.0] * len(p_values), 0.0
    for place, index in enumerate(rising(p_values)):
        floor = max(floor, min(1.0, (count - place) * p_values[index]))
        adjusted[index] = floor
    return adjusted


def rising(p_values: Sequence[float]) -> list[int]:
    """List the places of the smallest, the next, and so on."""
    return sorted(range(len(p_values)), key=p_values.__getitem__)


def p_value(p: float) -> str:
    """`= 0.034` or `< 0.0001`; 0.0496, which is below 0.05, is not shown as 0.05."""
    if p < 0.0001:
        return "< 0.0001"
    for digits in range(2, 9):
        text = f"{p:.{digits}g}"
        if (float(text) < LEVEL) == (p < LEVEL):
            break
    return f"= {text}"


def corrected_for(num_comparisons: int) -> str:
    """Say what p went through, after the name of its test; empty of one comparison."""
    if num_comparisons < 2:
        return ""
    return f", after Holm's correction for {num_comparisons} comparisons"
