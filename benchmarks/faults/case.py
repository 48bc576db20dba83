"""What one case of the suite is: a fault with the names of its cause, or a healthy control."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Part = Literal["tuning", "reported", "unseen"]
Severity = Literal["info", "warning", "fatal"]
Prepare = Callable[[Path], Sequence[str]]
"""Writes into the folder that the run starts in, and answers with the words that name it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run of `expkit train WORDS`, and what should be said of it."""

    name: str
    kind: str
    words: Sequence[str]
    prepare: Prepare | None = None
    is_unseen: bool = False  # written by somebody who has not read the rules, after they were

    @property
    def part(self) -> Part:
        """Thresholds are tuned on one half alone; the name decides which, and no one else."""
        if self.is_unseen:
            return "unseen"
        digest = hashlib.sha256(self.name.encode()).digest()
        return "tuning" if digest[-1] % 2 == 0 else "reported"


@dataclass(frozen=True, kw_only=True)
class Fault(Case):
    """A mistake. It is named right by one of the rules `expected`, or by a refusal's words.

    What costs nothing but is to be known may be told as `info`; all else must be a warning.
    """

    expected: frozenset[str] = frozenset()
    refusal: str = ""
    at_least: Severity = "warning"


@dataclass(frozen=True, kw_only=True)
class Control(Case):
    """A sound run, however odd: it must reach `least` on the monitored split, or it proves nothing.

    `least` is an accuracy, or where targets are numbers the largest mean squared error.
    """

    kind: str = "control"
    least: float = 0.9
    most_loss: float | None = None


def fault(name: str, kind: str, words: Sequence[str], *expected: str, **more: object) -> Fault:
    """A row of a table of faults."""
    return Fault(name=name, kind=kind, words=words, expected=frozenset(expected), **more)


def control(name: str, words: Sequence[str], **more: object) -> Control:
    """A row of a table of controls."""
    return Control(name=name, words=words, **more)
