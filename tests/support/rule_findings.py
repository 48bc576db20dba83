"""Asking one rule of some evidence."""

from __future__ import annotations

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.finding import Finding


def findings(rule: str, evidence: Evidence) -> list[Finding]:
    """All that the rule itself says."""
    return list(load_rules()[rule].find(evidence))


def found_by(rule: str, evidence: Evidence) -> Finding | None:
    """The one finding of a rule that is asked alone, or none."""
    found = examine(evidence, {rule: load_rules()[rule]})
    assert len(found) <= 1
    return found[0] if found else None
