"""Fractions in percent and differences in points are never rounded to what they are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import expkit
from expkit.metrics.percentages import percent, percent_range, points

SOURCES = sorted(Path(expkit.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (0.945, 2, "94.50 %"),
        (0.99999, 2, "99.999 %"),
        (0.999, 0, "99.9 %"),
        (0.00001, 1, "0.001 %"),
        (1.0, 0, "100 %"),
        (0.0, 1, "0.0 %"),
        (2.5, 0, "250 %"),
    ],
)
def test_nearly_all_is_not_all(fraction: float, digits: int, text: str) -> None:
    """Digits are added until the number is neither 0 nor 100."""
    assert percent(fraction, digits) == text


def test_an_end_beside_all_is_not_all() -> None:
    """0.99999 is no 100 %, and the ends of an interval differ as they are written."""
    assert percent_range(0.97, 0.99999) == "97.0 to 99.999 %"
    assert percent_range(0.97, 1.0) == "97.0 to 100 %"
    assert percent_range(0.94501, 0.94504) == "94.501 to 94.504 %"


def test_a_difference_is_not_written_as_none() -> None:
    """Only 0 is +0.00 points."""
    assert points(0.0029) == "+0.29 points"
    assert points(-0.00000001) == "-0.000001 points"
    assert points(0.0) == "+0.00 points"


def test_percentages_are_written_in_one_place() -> None:
    """`{x:.1%}` rounds 0.9999 to 100.0%."""
    own = [path.name for path in SOURCES if re.search(r":\.[0-9]%\}", path.read_text())]
    assert own == []
