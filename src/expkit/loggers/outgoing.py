"""A run as loggers are given it: from its folder, in names and values that any of them takes."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeGuard

from expkit.records.files import Record
from expkit.records.run.reader import Run
from expkit.records.safe_open import read_file
from expkit.records.seed_groups import flatten
from expkit.sanitize import clean, one_line

EPOCH_SECONDS = "epoch_seconds"  # every epoch has it, by which a logger knows what it has
NOT_FIGURES = ("stage", "epoch", "step", "seconds", "wall_seconds", "at", "schedule_epochs")
NOT_PARAMETERS = ("logger", "mirror", "trust")
MOST_IMAGES, LARGEST_IMAGE = 30, 5_000_000  # bytes
MOST_TEXT = 5_000  # characters of a text
MOST_FINDINGS, MOST_FIGURES = 50, 500


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch, by names that tell the stages apart."""

    stage: str
    number: int
    at: float  # seconds since 1970
    prefix: str  # of its stage's names
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Conclusion:
    """What a run came to: known once it has ended."""

    status: str
    at: float
    figures: Mapping[str, float]  # final/val/accuracy
    tags: Mapping[str, str]  # short texts
    texts: Mapping[str, str]  # findings and verdict in sentences
    images: Sequence[Path]

    @functools.cached_property
    def digest(self) -> str:
        """One word for all of it."""
        parts = [self.status, dict(self.figures), dict(self.tags), dict(self.texts)]
        content = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
        for image in self.images:
            content.update(image.name.encode(errors="backslashreplace"))
        return content.hexdigest()


@dataclass(frozen=True)
class Outgoing:
    """The records of a run at one moment."""

    run: Run

    @functools.cached_property
    def identity(self) -> str:
        """One word for this very run, wherever its folder lies: a copy of it is not another run."""
        content = hashlib.sha256()
        for name in ("environment.json", "config.yaml"):
            content.update(read_file(self.run.path / name))
        return content.hexdigest()[:16]

    @property
    def name(self) -> str:
        return self.run.name[:200]

    @functools.cached_property
    def group(self) -> str | None:
        """The sweep that the run is of."""
        parent = self.run.path.absolute().parent
        return one_line(parent.name)[:120] if (parent / "sweep.json").is_file() else None

    @functools.cached_property
    def started_at(self) -> float:
        try:
            return datetime.fromisoformat(str(self.run.environment.get("started"))).timestamp()
        except (ValueError, OverflowError):
            return self._at(self.run.history[0]) if self.run.history else 0.0

    @functools.cached_property
    def parameters(self) -> dict[str, Any]:
        """The config, flat; a value is a number, a truth or a text."""
        config = {key: v for key, v in self.run.config.items() if key not in NOT_PARAMETERS}
        return {
            one_line(str(key))[:200]: _plain(value)
            for key, value in flatten(config).items()
            if value not in ({}, [])
        }

    @functools.cached_property
    def tags(self) -> dict[str, str]:
        """What is known of a run from its start."""
        hypothesis = self.run.config.get("hypothesis")
        found = {
            "dataset": self.run.dataset.name,
            "device": str(self.run.environment.get("device", "")),
            "commit": str((self.run.environment.get("git") or {}).get("commit") or ""),
            "sweep": self.group or "",
            "hypothesis": str(hypothesis or ""),
        }
        return {key: clean(text)[:MOST_TEXT] for key, text in found.items() if text}

    @functools.cached_property
    def _main_stage(self) -> str | None:
        """The last training stage, whose figures have the plain names."""
        training = [
            name
            for name, stage in self.run.config["procedure"].items()
            if str((stage or {}).get("_target_")).endswith(".Training")
        ]
        return training[-1] if training else None

    def prefix_of(self, stage: str) -> str:
        """What stands before the names of a stage's figures: nothing for the main one's."""
        return "" if stage == self._main_stage else f"{one_line(stage)}/"

    def epochs_after(self, sent: Mapping[str, int]) -> list[Epoch]:
        """The epochs that a logger lacks, in order."""
        return [
            self._epoch(record)
            for record in self.run.history
            if record["epoch"] > sent.get(record["stage"], 0)
        ]

    def _epoch(self, record: Record) -> Epoch:
        prefix = self.prefix_of(record["stage"])
        found = [each for each in record.items() if each[0] not in NOT_FIGURES]
        figures = {
            f"{prefix}{one_line(key)[:100]}": float(value)
            for key, value in found[:MOST_FIGURES]
            if _is_number(value)
        }
        seconds = record.get("wall_seconds")
        figures[f"{prefix}{EPOCH_SECONDS}"] = float(seconds) if _is_number(seconds) else 0.0
        return Epoch(record["stage"], record["epoch"], self._at(record), prefix, figures)

    def _at(self, record: Record) -> float:
        at = record.get("at")
        return float(at) if _is_number(at) and 0 <= at < 2**33 else 0.0

    def conclusion(self) -> Conclusion | None:
        """None while the run goes on, or can go on."""
        if not self.run.has_pages:
            return None
        from expkit.reports.run.summary import recall

        summary = recall(self.run)
        figures = {
            f"final/{one_line(split)}/{one_line(name)}": float(value)
            for split, metrics in summary["metrics"].items()
            for name, value in metrics.items()
            if value is not None
        }
        if summary.get("best_epoch") is not None:
            figures["final/best_epoch"] = float(summary["best_epoch"])
        findings = summary["findings"][:MOST_FINDINGS]
        tags = {
            "verdict": summary["verdict"],
            "status": summary["status"],
            "judged_split": summary["judged_split"],
            "findings": ", ".join(dict.fromkeys(each["rule"] for each in findings)) or "none",
        }
        texts = {"verdict": f"{summary['verdict']}: {summary['verdict_reason']}"}
        for stage in summary["stages"]:
            texts[f"stage/{one_line(stage['stage'])}"] = _stage_text(stage)
        for finding in findings:
            key = f"finding/{one_line(finding['rule'])}"
            text = f"{finding['severity']}: {finding['sentence']}\ncause: {finding['cause']}"
            texts[key] = f"{texts[key]}\n\n{text}" if key in texts else text
        return Conclusion(
            status=summary["status"],
            at=max((self._at(record) for record in self.run.history[-1:]), default=0.0),
            figures=figures,
            tags={key: one_line(str(text))[:MOST_TEXT] for key, text in tags.items()},
            texts={key: clean(text)[:MOST_TEXT] for key, text in texts.items()},
            images=self._images(),
        )

    def _images(self) -> list[Path]:
        """The plots of the end that a logger can show."""
        from expkit.reports.plots.files import find_plots

        plots = find_plots(self.run.path / "plots", root=self.run.path)
        shown = [path for path in plots if path.suffix == ".png" and "_epoch_" not in path.stem]
        return [path for path in shown if path.stat().st_size <= LARGEST_IMAGE][:MOST_IMAGES]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: object) -> Any:
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return clean(text)[:MOST_TEXT]


def _stage_text(stage: Mapping[str, Any]) -> str:
    verdict = {True: "PASS", False: "FAIL", None: "not run"}[stage["passed"]]
    return f"{verdict}: {stage['reason']}"
