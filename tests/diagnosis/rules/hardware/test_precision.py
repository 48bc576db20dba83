"""When half precision computes something else."""

from __future__ import annotations

import math

from rule_findings import findings
from synthetic_evidence import make_evidence, make_signal


def found(gap: dict[str, object] | None) -> list[str]:
    signals = [make_signal("model", precision_gap=gap)]
    evidence = make_evidence(signals=signals)
    return [each.severity for each in findings("precision_disagrees", evidence)]


def gap(whole: float, half: float, total: float = 0.6) -> dict[str, object]:
    return {"parameter": "conv", "total": total, "fp32": whole, "bf16": half}


def test_an_unset_gradient_is_told() -> None:
    """1e33 is no rounding, and NaN no number."""
    assert found(gap(0.5, 1e33)) == ["warning"]
    assert found(gap(0.5, math.nan)) == ["warning"]


def test_rounding_is_not() -> None:
    """A few per cent off is what bf16 is, also where the gradient is next to nothing.

    That of a bias before a batch norm is zero but for rounding.
    """
    assert found(gap(0.5, 0.53)) == []
    assert found(gap(4e-8, 7e-5)) == []
    assert found(None) == []


def test_what_is_not_finite_in_fp32_is_another_fault() -> None:
    """A net that breaks in any precision is not broken by it."""
    assert found(gap(math.inf, math.inf, total=math.inf)) == []
