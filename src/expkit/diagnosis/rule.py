"""What every rule is: thresholds, and a function from evidence to findings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One cause, or one symptom, that can be told from records.

    `explains` names the rules whose findings this one makes needless: the root stands for them.
    """

    explains: Sequence[str] = ()

    @abstractmethod
    def find(self, evidence: Evidence) -> Iterable[Finding]:
        """The findings that these records prove; none where a signal was not recorded."""
