"""The base of every rule: thresholds, the texts of its cases, and a function that finds them."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, Severity, counted
from expkit.metrics.percentages import percent

# As a rule's YAML has it: severity, sentence, cause; remedies and command; `otherwise`, the command
# where there is no remedy; `parts`, texts within these that stand there only where they hold.
Case = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One cause, or one symptom, that can be found in records.

    `explains` names the rules whose findings this one makes needless: the root stands for them.
    `cases` holds the words of each case in which the rule finds something: code finds the numbers
    and the case, the YAML says the rest.
    """

    # what a watched loop must hand over for the rule to look, in words; a run has all of it
    needs: ClassVar[str | None] = None

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
        parts: Mapping[str, bool] | None = None,
        stage: str = "",
        epoch: int | None = None,
        **values: Any,
    ) -> Finding:
        """Return the finding of a case: its texts, with the evidence and other values filled in.

        Of its parts only those that hold stand in the texts; a remedy without its part is left out.
        """
        texts = self.cases[case]
        filled = {**evidence, **values, "stage": stage, "epoch": epoch}

        def fill(text: str) -> str:
            return TEXTS.vformat(text, (), filled)

        for name, text in texts.get("parts", {}).items():
            filled[name] = fill(text) if parts and parts.get(name) else ""
        if remedies is None:
            groups = [[fill(word) for word in group] for group in texts.get("remedies", ())]
            remedies = [group for group in groups if all(group)]
        command = texts.get("command" if remedies or "otherwise" not in texts else "otherwise", "")
        return Finding(
            severity=severity or texts["severity"],
            sentence=fill(texts["sentence"]),
            evidence=evidence,
            cause=fill(texts["cause"]),
            remedies=remedies,
            command=fill(command),
            stage=stage,
            epoch=epoch,
        )


class Texts(string.Formatter):
    """Fills numbers into a sentence, by these formats beside Python's own.

    `.1%` writes a fraction as 94.5 %; `{count:# image}` is 1 image or 2 images,
    `{count:# class/classes}` 2 classes, and `{count:is/are}` the verb alone.
    """

    def format_field(self, value: Any, spec: str) -> str:
        if spec.endswith("%"):  # as every percentage: 99.999 % is not rounded to 100
            return percent(value, int(spec.strip(".%") or 2))
        if spec.startswith("# "):  # {count:# class/classes}
            noun, _, plural = spec.removeprefix("# ").partition("/")
            return counted(value, noun, plural)
        if "/" in spec:  # {count:is/are}
            singular, plural = spec.split("/")
            return singular if value == 1 else plural
        return str(super().format_field(value, spec))


TEXTS = Texts()
