"""Fractions in percent, and their differences in points: never rounded to what they are not."""

from __future__ import annotations

import math

MAX_DIGITS = 12


def percent(fraction: float, digits: int = 2) -> str:
    """`94.50 %`, or more digits where 99.999 % would read 100 and 0.001 % would read 0."""
    return f"{hundredths(fraction, digits)} %"


def hundredths(fraction: float, digits: int = 2) -> str:
    """Write `94.50`, the number of `percent` without its sign."""
    if not math.isfinite(fraction):
        return str(fraction)
    for shown in range(digits, MAX_DIGITS):
        text = f"{100 * fraction:.{shown}f}"
        if (float(text) in (0, 100)) == (fraction in (0, 1)):
            break
    return text


def percent_range(low: float, high: float) -> str:
    """`92.8 to 95.4 %`, with so many digits that the ends differ."""
    for shown in range(1, MAX_DIGITS):
        ends = [
            f"{100 * end:.0f}" if end in (0, 1) else hundredths(end, shown) for end in (low, high)
        ]
        if ends[0] != ends[1]:
            break
    return f"{ends[0]} to {ends[1]} %"


def points(difference: float, digits: int = 2) -> str:
    """`+0.29 points`, or more digits where a difference would read as none."""
    for shown in range(digits, MAX_DIGITS):
        text = f"{100 * difference:+.{shown}f}"
        if float(text) or not difference:
            break
    return f"{text} points"
