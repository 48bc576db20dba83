"""One job of a sweep under way, followed by what its run appends to its records."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expkit.metrics.percentages import percent
from expkit.records.files import Record, parse_json
from expkit.records.run.schema import is_epoch
from expkit.records.safe_open import refuse_links
from expkit.records.sweep.job import Job
from expkit.records.tail import Tail

FINDING = re.compile(r"^\S+ \S+  ((?:FATAL|WARN|INFO) +\w+)")  # as a run's log has it


@dataclass
class RunningJob:
    """One job under way: its last epoch and its newest finding."""

    job: Job
    last: Record | None = None
    finding: str = ""
    tails: dict[str, Tail] = field(default_factory=dict)

    def look(self) -> None:
        names = [event["run"] for event in self.job.events if event["event"] == "run"]
        if not names:
            return
        folder = self.job.sweep / names[-1]
        refuse_links(folder, self.job.sweep)
        for line in self._tail(folder / "history.jsonl").new_lines()[-1:]:
            # what is damaged is told by the sweep's page
            with contextlib.suppress(ValueError, KeyError):
                record = parse_json(line)
                if isinstance(record, dict) and is_epoch(record):
                    self.last = record
        for line in self._tail(folder / "log.txt").new_lines():
            found = FINDING.match(line)
            self.finding = " ".join(found[1].split()) if found else self.finding

    @property
    def fraction(self) -> float:
        """Return how much of its training is done."""
        epochs = {
            name: stage["max_epochs"]
            for name, stage in self.job.procedure.items()
            if stage and "max_epochs" in stage
        }
        if self.last is None or self.last["stage"] not in epochs:
            return 0.0
        names = list(epochs)
        before = sum(epochs[name] for name in names[: names.index(self.last["stage"])])
        return float(min(1.0, (before + self.last["epoch"]) / max(1, sum(epochs.values()))))

    def describe(self) -> str:
        """`train 14/40  val accuracy 83.20 %  WARN overfitting`."""
        if self.last is None:
            return "  ".join(filter(None, ["starting", self.finding]))
        stage: dict[str, Any] = self.job.procedure.get(self.last["stage"]) or {}
        most = stage.get("max_epochs") or stage.get("max_steps") or "?"
        parts = [f"{self.last['stage']} {self.last['epoch']}/{most}", _figure(self.last)]
        return "  ".join(filter(None, [*parts, self.finding]))

    def _tail(self, path: Path) -> Tail:
        if path.name not in self.tails or self.tails[path.name].path != path:
            self.tails[path.name] = Tail(path)
        return self.tails[path.name]


def _figure(record: Record) -> str:
    """The monitored figure of an epoch; a held-out one where there is one."""
    for key in ("val/accuracy", "val/loss", "train/accuracy", "train/loss"):
        if isinstance(record.get(key), int | float):
            split, metric = key.split("/")
            value = record[key]
            shown = f"{percent(value, 1)}" if metric == "accuracy" else f"{value:.4g}"
            return f"{split} {metric} {shown}"
    return ""
