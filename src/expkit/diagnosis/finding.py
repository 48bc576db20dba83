"""A finding: what is wrong, the numbers that prove it, the likely cause, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["info", "warning", "fatal"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "fatal")  # rising


@dataclass(frozen=True)
class Finding:
    """A finding of a rule on a run; without numbers there is none.

    `fatal`: going on is pointless, or the result would mean nothing. `warning`: it costs accuracy,
    time or trust. `info`: worth knowing, and no fault.
    """

    severity: Severity
    sentence: str  # what is so
    evidence: Mapping[str, Any]  # name to number, text, or a list of either
    cause: str  # the likely one, in a sentence
    # each a group of overrides that may cure it, the likeliest first: [["optimizer.lr=1e-4"]]
    remedies: Sequence[Sequence[str]] = ()
    command: str = ""  # what to do next; empty: train again with the first remedy
    stage: str = ""
    epoch: int | None = None  # None: before training, or of the run as a whole
    unit: str = "epoch"  # or step, in a gate
    rule: str = ""  # its YAML's name, which the examiner fills in

    def __post_init__(self) -> None:
        assert self.evidence, "no finding without its evidence"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Finding:
        return cls(**record)


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write `1 sample` or `2 classes`."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def listed(names: Iterable[str], most: int = 3) -> str:
    """Write a few names, and the count of those left out: `a, b, c and 2 more`."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def is_as_severe(finding: Finding, severity: Severity) -> bool:
    return SEVERITIES.index(finding.severity) >= SEVERITIES.index(severity)
