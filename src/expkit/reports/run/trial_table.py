"""The results of short trials of proposed changes, beside the unchanged run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.reports.formatting import percent
from expkit.reports.tables import Table

MARGIN = 0.05  # of the loss, by which a trial must be under the unchanged run to count as better


@dataclass(frozen=True)
class TrialResult:
    """One trial: the change, the monitored figures by epoch, and what was still found."""

    words: Sequence[str]
    losses: Sequence[float] = ()
    accuracies: Sequence[float] = ()
    found: Sequence[str] = ()  # rules with a warning or worse
    failed: str = ""  # why it came to nothing

    @classmethod
    def of(
        cls, words: Sequence[str], evidence: Evidence, findings: Sequence[Finding]
    ) -> TrialResult:
        history = [record for stage in evidence.trainings for record in evidence.epochs(stage)]
        split = evidence.monitored
        failed = next((each.reason for each in evidence.stages if not each.passed), "")
        return cls(
            words=list(words),
            losses=[record[f"{split}/loss"] for record in history],
            accuracies=[r[f"{split}/accuracy"] for r in history if f"{split}/accuracy" in r],
            found=[each.rule for each in findings if each.severity != "info"],
            failed=failed,
        )

    @property
    def label(self) -> str:
        return shlex.join(self.words) if self.words else "unchanged"

    @property
    def best_loss(self) -> float:
        """The lowest; a loss that is no number is the worst."""
        return min((loss for loss in self.losses if math.isfinite(loss)), default=math.inf)

    def better_from(self, unchanged: TrialResult) -> int | None:
        """The first epoch whose loss is clearly under all that the unchanged run reached."""
        level = unchanged.best_loss
        bound = level - MARGIN * abs(level) if math.isfinite(level) else math.inf
        epochs = (i for i, loss in enumerate(self.losses, start=1) if loss < bound)
        return next(epochs, None)

    def outcome(self, unchanged: TrialResult) -> str:
        """In words, for a line of the terminal."""
        if not self.losses:
            return f"came to nothing: {self.failed}" if self.failed else "came to nothing"
        figures = [f"best loss {self.best_loss:.4g}"]
        if self.accuracies:
            figures.append(f"accuracy {percent(max(self.accuracies))}")
        epoch = None if self is unchanged else self.better_from(unchanged)
        if epoch is not None:
            figures.append(f"better than unchanged from epoch {epoch}")
        return ", ".join(figures)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def best_cure(
    results: Sequence[TrialResult], targets: Mapping[tuple[str, ...], Collection[str]]
) -> TrialResult | None:
    """Choose the lowest loss among trials that cured their finding and beat the unchanged run."""
    unchanged, *changed = results
    cured = [
        result
        for result in changed
        if not result.failed
        and not set(targets[tuple(result.words)]) & set(result.found)
        and result.better_from(unchanged) is not None
    ]
    return min(cured, key=lambda result: result.best_loss, default=None)


def trial_table(results: Sequence[TrialResult]) -> str:
    """A line a trial, for the terminal."""
    unchanged = results[0]
    header = ("trial", "best loss", "accuracy", "better from", "still found")
    return "\n".join(Table(header, [_row(result, unchanged) for result in results]).lines())


def _row(result: TrialResult, unchanged: TrialResult) -> tuple[str, ...]:
    if not result.losses:
        return result.label, "-", "-", "-", result.failed
    epoch = None if result is unchanged else result.better_from(unchanged)
    return (
        result.label,
        f"{result.best_loss:.4g}",
        percent(max(result.accuracies)) if result.accuracies else "-",
        "-" if epoch is None else f"epoch {epoch}",
        ", ".join(result.found) or "nothing",
    )
