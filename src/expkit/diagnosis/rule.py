"""The base of every rule: thresholds, the texts of its cases, and a function that finds them."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, Severity, counted
from expkit.metrics.percentages import percent

Case = Mapping[str, Any]  # severity, sentence, cause, command and remedies, as a rule's YAML has it


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One cause, or one symptom, that can be found in records.

    `explains` names the rules whose findings this one makes needless: the root stands for them.
    `cases` holds the words of each case in which the rule finds something: code finds the numbers
    and the case, the YAML says the rest.
    """

    explains: Sequence[str] = ()
    cases: Mapping[str, Case] = field(default_factory=dict)

    @abstractmethod
    def find(self, evidence: Evidence) -> Iterable[Finding]:
        """Yield the findings that these records prove; none where a signal was not recorded."""

    def finding(
        self,
        case: str,
        evidence: Mapping[str, Any],
        *,
        severity: Severity | None = None,
        remedies: Sequence[Sequence[str]] | None = None,
        stage: str = "",
        epoch: int | None = None,
        **values: Any,
    ) -> Finding:
        """Return the finding of a case: its texts, with the evidence and other values filled in."""
        texts = self.cases[case]
        filled = {**evidence, **values, "stage": stage, "epoch": epoch}

        def fill(name: str) -> str:
            return TEXTS.vformat(texts.get(name, ""), (), filled)

        if remedies is None:
            groups = texts.get("remedies", ())
            remedies = [[TEXTS.vformat(word, (), filled) for word in group] for group in groups]
        return Finding(
            severity=severity or texts["severity"],
            sentence=fill("sentence"),
            evidence=evidence,
            cause=fill("cause"),
            remedies=remedies,
            command=fill("command"),
            stage=stage,
            epoch=epoch,
        )


class Texts(string.Formatter):
    """Fills numbers into a sentence: percent and counts beside Python's own formats."""

    def format_field(self, value: Any, spec: str) -> str:
        if spec.endswith("%"):  # as every percentage: 99.999 % is not rounded to 100
            return percent(value, int(spec.strip(".%") or 2))
        if spec.startswith("# "):  # {count:# class/classes}
            noun, _, plural = spec.removeprefix("# ").partition("/")
            return counted(value, noun, plural)
        return str(super().format_field(value, spec))


TEXTS = Texts()
