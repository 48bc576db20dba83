"""The verdicts on a cut-off that was chosen on other samples than those that judge it."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["confirmed", "not confirmed", "too few samples"]
