"""The base of rules on somebody's own loop, which expkit.watch has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class LoopRule(Rule):
    """A mistake that expkit's own loop cannot make; a run of its own has no such records."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        epochs = evidence.of_kind("loop")
        return self.look(evidence, epochs) if epochs else ()

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        """Yield what the epochs prove, of which there is one at the least."""
        raise NotImplementedError
