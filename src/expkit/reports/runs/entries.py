"""A run, a sweep or an exported model as a line of a list; each can be made, whatever it is."""

from __future__ import annotations

import datetime
import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from expkit.errors import UserError
from expkit.metrics.names import Measure, main_metric
from expkit.records.exported import RECORDS, is_exported
from expkit.records.run.annotations import Note, read_annotations
from expkit.records.run.digest import Digest, read_digest
from expkit.records.run.reader import Run, exists, is_run
from expkit.records.run.writer import is_locked
from expkit.records.seed_groups import flatten
from expkit.records.sweep.folder import Sweep, is_sweep
from expkit.records.sweep.job import DONE, FAILED
from expkit.sanitize import one_line

Kind = Literal["run", "sweep", "exported"]
ENDED = ("finished", "failed")
UNREADABLE = "unreadable"  # the status of what is half-written, damaged or of a newer version
STAMP = re.compile(r"\d{8}_\d{6}(?!\d)")  # how a run's name begins
NEEDED = ("config.yaml", "environment.json")  # of every run
TRACES = ("environment.json", "stages.jsonl", "sweep.json")  # of what began as a run or a sweep


@dataclass(frozen=True)
class Facts:
    """All that a condition can ask of a run beside its line."""

    settings: Mapping[str, Any] = field(default_factory=dict)  # flat: {"model.depth": 2}
    choices: Mapping[str, str] = field(default_factory=dict)  # by group
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)  # by split
    judged_split: str = ""
    overrides: Sequence[str] = ()

    @classmethod
    def of(cls, digest: Digest) -> Facts:
        return cls(
            digest.config, digest.choices, digest.metrics, digest.judged_split, digest.overrides
        )


@dataclass(frozen=True)
class RunEntry:
    """One line of a list; what a line does not show is read when it is asked for."""

    path: Path
    name: str  # within the folder that is listed, fit to be shown
    kind: Kind
    status: str
    started: datetime.datetime | None = None  # with the time zone
    seconds: float | None = None
    objective: str = ""  # as `test/accuracy`; empty until it is measured
    value: float | None = None
    interval: tuple[float, float] | None = None  # of 95 %; none of a sweep
    verdict: str = ""  # met, not met, not judged; of an ablation shown, refuted, not decided
    findings: Sequence[str] = ()
    remark: str = ""  # how far it is, how many jobs there are, or what is wrong with it
    tags: Sequence[str] = ()
    notes: Sequence[Note] = ()
    num_bytes: int = 0
    known: Facts | None = field(default=None, repr=False, compare=False)

    @functools.cached_property
    def facts(self) -> Facts:
        """Read settings and figures, unless they are known from making the line."""
        return self.known or read_facts(self.path, self.kind)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The config, flat."""
        return self.facts.settings

    @property
    def choices(self) -> Mapping[str, str]:
        """The choice of each group."""
        return self.facts.choices

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float | None]]:
        """The figures by split."""
        return self.facts.metrics


def kind_of(path: Path) -> Kind | None:
    """Return what a folder is, or began as; None where it is nothing of expkit's.

    One that may not be looked into is taken for a run.
    """
    if is_run(path):
        return "run"
    if is_sweep(path):
        return "sweep"
    if is_exported(path):
        return "exported"
    try:
        is_begun = any((path / each).exists() for each in TRACES)
        if is_begun or (STAMP.match(path.name) and (path / "config.yaml").exists()):
            return "sweep" if (path / "sweep.json").exists() else "run"
    except OSError:
        return "run"
    return None


def read_entry(path: Path, name: str, kind: Kind, num_bytes: int) -> RunEntry:
    """Return the line of a folder; what cannot be read has one that says so, and spoils no other.

    A later look at it knows the settings and figures already.
    """
    make = {"run": _run_entry, "sweep": _sweep_entry, "exported": _exported_entry}[kind]
    try:
        entry = make(path, name)
    except UserError as error:
        entry = _unreadable(path, name, kind, error.what)
    except OSError as error:
        entry = _unreadable(path, name, kind, (error.strerror or str(error)).lower())
    return replace(entry, num_bytes=num_bytes)


def read_facts(path: Path, kind: Kind) -> Facts:
    """Return the settings and figures of a run; nothing of one that cannot be read."""
    if kind == "sweep":
        return Facts()
    path = path / RECORDS if kind == "exported" else path
    digest = read_digest(path)
    if digest is not None:
        return Facts.of(digest)
    try:
        return _recorded_facts(Run(path))
    except (UserError, OSError):
        return Facts()


def _unreadable(path: Path, name: str, kind: Kind, why: str) -> RunEntry:
    why = one_line(why).replace(f"'{one_line(path.name)}' ", "")
    return RunEntry(path, name, kind, UNREADABLE, started_of(path, ""), remark=why)


def _run_entry(path: Path, name: str) -> RunEntry:
    for needed in NEEDED:
        if not exists(path / needed):
            return _unreadable(path, name, "run", f"half-written: it lacks its {needed}")
    digest = read_digest(path)
    if digest is None or not _is_of_now(digest, path):
        return _recorded_entry(path, name)
    return _digest_entry(path, name, "run", digest)


def _is_of_now(digest: Digest, path: Path) -> bool:
    """Tell whether a stored digest is the last word: a run that was cut off may have gone on."""
    if digest.status in ENDED:
        return True
    if is_locked(path):
        return False
    written = (path / "digest.json").stat().st_mtime_ns
    records = [path / each for each in ("stages.jsonl", "history.jsonl")]
    return all(not each.exists() or each.stat().st_mtime_ns <= written for each in records)


def _digest_entry(path: Path, name: str, kind: Kind, digest: Digest) -> RunEntry:
    metric = main_metric(digest.metrics.get(digest.judged_split, {}) or [""])
    where = path / RECORDS if kind == "exported" else path
    noted = read_annotations(where, digest.config.get("tags"))
    return RunEntry(
        path,
        name,
        kind,
        status="exported" if kind == "exported" else digest.status,
        started=started_of(path, digest.started),
        seconds=digest.seconds,
        objective=f"{digest.judged_split}/{metric}" if metric else "",
        value=digest.figure(metric) if metric else None,
        interval=digest.intervals.get(metric),
        verdict=digest.verdict,
        findings=digest.findings,
        tags=noted.tags,
        notes=noted.notes,
        known=Facts.of(digest),
    )


def started_of(path: Path, recorded: str) -> datetime.datetime | None:
    """Return when a run began: as it recorded it, else as its name or its folder has it."""
    try:
        if recorded:
            return datetime.datetime.fromisoformat(recorded).astimezone()
        if stamp := STAMP.match(path.name):
            return datetime.datetime.strptime(stamp[0], "%Y%m%d_%H%M%S").astimezone()
        return datetime.datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _recorded_entry(path: Path, name: str) -> RunEntry:
    """The line of a run without a digest that holds: under way, cut off, or of an older version."""
    from expkit.reports.run.noted import noted_of
    from expkit.reports.run.stored_summary import is_sound

    run = Run(path)
    status = run.status
    noted = noted_of(run)
    if status in ENDED and run.has_pages and is_sound(run.summary or {}):
        from expkit.reports.run.digests import recall_digest

        return _digest_entry(path, name, "run", recall_digest(run))
    return RunEntry(
        path,
        name,
        "run",
        status,
        started=started_of(path, str(run.environment.get("started", ""))),
        seconds=sum(line.get("wall_seconds") or 0.0 for line in run.history) or None,
        remark="its pages are not written: expkit plot" if status in ENDED else _progress(run),
        tags=noted.tags,
        notes=noted.notes,
        known=_recorded_facts(run),
    )


def _recorded_facts(run: Run) -> Facts:
    choices = run.environment.get("choices", {})
    return Facts(flatten(run.recipe), choices, overrides=run.overrides)


def _progress(run: Run) -> str:
    """Say how far it is: `train, epoch 14 of 40`."""
    if not run.history:
        return "before its first epoch"
    last = run.history[-1]
    stage = run.config["procedure"].get(last["stage"]) or {}
    most, unit = stage.get("max_epochs"), "epoch"
    if "max_steps" in stage:
        most, unit = stage["max_steps"], "step"
    return f"{last['stage']}, {unit} {last['epoch']}{f' of {most}' if most else ''}"


def _exported_entry(path: Path, name: str) -> RunEntry:
    from expkit.reports.run.digests import recall_digest

    run = Run(path / RECORDS)
    assert run.exported is not None, "asked before"
    return _digest_entry(path, name, "exported", recall_digest(run))


def _sweep_entry(path: Path, name: str) -> RunEntry:
    from expkit.reports.run.noted import noted_of
    from expkit.reports.sweep.outcome import SweepOutcome

    outcome = SweepOutcome.of(path)
    sweep, rows, best = outcome.sweep, outcome.rows, outcome.best
    noted = noted_of(sweep)
    measure = Measure.parse(outcome.objective)
    value = None if best is None else best.mean
    verdict = outcome.hypothesis
    findings = Counter(finding for row in rows for finding in row.findings)
    return RunEntry(
        path,
        name,
        "sweep",
        _sweep_status(sweep, [row.status for row in rows]),
        started=started_of(path, str(sweep.metadata.get("started", ""))),
        seconds=sum(row.seconds or 0.0 for row in rows),
        objective="" if value is None else outcome.objective,
        value=value,
        verdict="" if verdict is None else verdict.word,
        findings=[finding for finding, _ in findings.most_common()],
        remark=outcome.counts(),
        tags=noted.tags,
        notes=noted.notes,
        known=Facts(metrics={measure.split: {measure.unsplit: value}}),
    )


def _sweep_status(sweep: Sweep, jobs: Sequence[str]) -> str:
    if sweep.is_running:
        return "running"
    if all(status in DONE for status in jobs):
        return "finished"
    return "failed" if all(status in (*DONE, *FAILED) for status in jobs) else "interrupted"
