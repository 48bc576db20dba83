"""The rules that could not look at a watched loop, and why: silence there says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from expkit.diagnosis.across_runs import CrossRule
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import GROUP, Rules, ask
from expkit.records.files import Record

# what a rule found no records of, in the order in which a reason is named
REASONS: Mapping[str, str] = {
    "data": "the samples came by in batches, and were not read as a data set",
    "predictions": "held-out outputs were not handed over",
    "gates": "a watched loop has no overfit gates",
    "model": "the model could not be asked before its first step",
    "loss": "the loss could not be asked before the first step",
    "machine": "the machine was not measured",
    "lr_range_test": "no learning rates were tried out",
}
IN_PART = ("data", "model")  # without which half of what a rule looks at is missing
NO_RECORD = "a watched loop makes no such records"


@dataclass(frozen=True)
class Questions(Evidence):
    """Evidence that remembers which kinds of records a rule asked for, and whether any were there.

    Copies for a stage share what they remember.
    """

    asked: dict[str, bool] = field(default_factory=dict)

    def of_kind(self, kind: str, stage: str | None = None) -> list[Record]:
        found = super().of_kind(kind, stage)
        self.asked[kind] = self.asked.get(kind, False) or bool(found)
        return found

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in ("predictions", "gates"):
            asked = super().__getattribute__("asked")
            asked[name] = asked.get(name, False) or bool(value)
        return value


def not_looked(evidence: Evidence, rules: Rules) -> dict[str, list[str]]:
    """The rules that could not look at a watched loop, by the reason; none of a run of our own."""
    if not evidence.is_watched:
        return {}
    handed_over = handed_over_by(evidence)
    ignored = evidence.config.get(GROUP, {}).get("ignore", ())
    found: dict[str, list[str]] = {}
    for name, rule in rules.items():
        if name in ignored or isinstance(rule, CrossRule):
            continue
        if rule.needs is not None and not handed_over.get(rule.needs, False):
            verb = "were" if rule.needs.endswith("s") else "was"
            found.setdefault(f"{rule.needs} {verb} not handed over", []).append(name)
            continue
        questions = Questions(**vars_of(evidence))
        ask(name, rule, questions)
        if (reason := _reason(questions.asked)) is not None:
            found.setdefault(reason, []).append(name)
    return found


def _reason(asked: Mapping[str, bool]) -> str | None:
    """The reason why a rule could not look, or not at all that it looks at; None where it could."""
    if asked and not any(asked.values()):
        kind = next((each for each in REASONS if each in asked), "")
        return REASONS.get(kind, NO_RECORD)
    partly = next((each for each in IN_PART if asked.get(each) is False), None)
    return None if partly is None else f"only in part, as {REASONS[partly]}"


def vars_of(evidence: Evidence) -> dict[str, Any]:
    """The fields of evidence, as they are given to a new one."""
    names = Evidence.__dataclass_fields__
    return {name: getattr(evidence, name) for name in names}


def handed_over_by(evidence: Evidence) -> dict[str, bool]:
    """What the loop handed over in any of its epochs, by the name that rules know it by."""
    handed: dict[str, bool] = {}
    for record in evidence.of_kind("loop"):
        given = record.get("handed_over")
        for name, is_there in given.items() if isinstance(given, Mapping) else ():
            handed[name] = handed.get(name, False) or is_there is True
    return handed
