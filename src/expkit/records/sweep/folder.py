"""A sweep's folder: which jobs there are, what became of each, and where its run lies."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from expkit.errors import UserError
from expkit.metrics.names import for_choosing
from expkit.records.files import (
    Record,
    append_line,
    find_record,
    read_json,
    read_lines,
    write_json,
    write_lines,
)
from expkit.records.run.find_run import list_runs, match_names, no_such_run, run_at
from expkit.records.run.reader import Run, exists
from expkit.records.run.writer import (
    explain_disk_errors,
    hold_file,
    hold_lock,
    is_locked,
)
from expkit.records.safe_open import is_file, open_regular, read_file, refuse_links
from expkit.records.sweep.job import Job, events_of, events_path_of
from expkit.records.sweep.line_checks import is_id, is_plan, is_ticket
from expkit.sanitize import one_line

Kind = TypeVar("Kind")
SETTLING_SECONDS = 60.0  # a younger folder may be one that a job is about to hold
SEARCHES = "hydra/sweeper=optuna"  # the word that makes a sweep a search
PLANNED = ("job", "number", "overrides", "config")  # what a line of plan.jsonl has


@dataclass(frozen=True)
class Sweep:
    """The records of a sweep, read when asked for."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, as it is shown."""
        return one_line(self.path.name)

    @functools.cached_property
    def metadata(self) -> Record:
        """The command, the objective, and where and by what it was started."""
        return read_json(self.path / "sweep.json")

    @property
    def is_search(self) -> bool:
        return SEARCHES in self.command

    @property
    def objective(self) -> str:
        """The metric that its jobs are sorted by, and a search chooses by."""
        return for_choosing(self._fact("objective", str))

    @property
    def command(self) -> list[str]:
        """The words that began it."""
        command = self._fact("command", list)
        if not all(isinstance(word, str) for word in command):
            raise self._damaged("command")
        return command

    def _fact(self, key: str, kind: type[Kind]) -> Kind:
        value = self.metadata.get(key)
        if not isinstance(value, kind):
            raise self._damaged(key)
        return value

    def _damaged(self, key: str) -> UserError:
        return UserError(
            f"'sweep.json' is damaged: it has no {key}",
            where=str(self.path / "sweep.json"),
            fix="bring the file back from a copy",
        )

    @property
    def is_running(self) -> bool:
        return is_locked(self.path)

    @functools.cached_property
    def jobs(self) -> list[Job]:
        return [self._job(record) for record in self._plan()]

    def _plan(self) -> list[Record]:
        return read_lines(self.path / "plan.jsonl", PLANNED, is_plan)

    def _job(self, record: Record) -> Job:
        events = events_of(self.path, record["job"])
        return Job(
            **{key: record[key] for key in PLANNED if key != "job"},
            id=record["job"],
            events=events,
            sweep=self.path,
            change=record.get("change"),
            choices=record.get("choices", {}),
        )

    def find_job(self, identity: str) -> Job:
        """One job, without a look at the others."""
        return self._job(find_record(self.path / "plan.jsonl", "job", identity, is_plan))

    def find_strays(self) -> dict[str, str]:
        """Run folders by job, newest last: a kill may fall between a folder and the word of it."""
        strays: dict[str, str] = {}
        for path in list_runs(self.path):
            with contextlib.suppress(UserError):
                job = Run(path).environment.get("job")
                if is_id(job):
                    strays[job] = path.name
        return strays

    @property
    def tickets(self) -> dict[str, Record]:
        """By job, under which name the engine of a cluster knows it, and how many events it had."""
        records = read_lines(self.path / "tickets.jsonl", ("job", "ticket"), is_ticket)
        return {record["job"]: record for record in records}  # the last one counts

    def count_events(self, identity: str) -> int:
        return len(events_of(self.path, identity))

    @property
    def by_id(self) -> dict[str, Job]:
        return {job.id: job for job in self.jobs}


@dataclass(frozen=True)
class SweepFolder:
    """Writes a sweep down; many processes may, as each appends to what is its own."""

    path: Path

    @classmethod
    def create(cls, path: Path, metadata: Record) -> SweepFolder:
        """A folder that nobody else has."""
        with explain_disk_errors(path.parent):
            path.mkdir(parents=True, exist_ok=True)  # a sweeper of Hydra's may have made it
            try:
                (path / "jobs").mkdir()
            except FileExistsError:
                raise UserError(
                    f"'{path.name}' is there already",
                    where=f"hydra.sweep.dir={path}",
                    fix=f"expkit resume {shlex.quote(str(path))}   (or leave hydra.sweep.dir out)",
                ) from None
            write_json(path / "sweep.json", metadata)
        return cls(path)

    def hold(self) -> int:
        """Keep other processes from conducting the same sweep; the lock falls with this one."""
        lock = hold_lock(self.path)
        if lock is None:
            raise UserError(
                f"'{self.path.name}' is still running in another process",
                where=str(self.path),
                fix=f"expkit show {shlex.quote(str(self.path))}   "
                "(watch it, or stop that process first)",
            )
        return lock

    @contextlib.contextmanager
    def alone(self, identity: str) -> Iterator[None]:
        """Wait until no other process is at this job, and keep others from it meanwhile.

        An orphan of a killed sweep, or a job that a scheduler starts twice, ends first.
        """
        lock = hold_file(events_path_of(self.path, identity), self.path)
        try:
            yield
        finally:
            os.close(lock)

    def mend(self) -> None:
        """Drop what a kill of the whole sweep left half-made."""
        for path in self.path.glob(".new_*"):
            with contextlib.suppress(FileNotFoundError):  # it got its name meanwhile
                is_old = time.time() - path.stat().st_mtime > SETTLING_SECONDS
                if is_old and not is_locked(path):
                    shutil.rmtree(path, ignore_errors=True)
        plan = self.path / "plan.jsonl"
        if is_file(plan) and not read_file(plan).endswith(b"\n"):
            write_lines(plan, read_lines(plan))  # a torn last line would swallow the next one

    def remember(self, **metadata: Any) -> None:
        """Add to what sweep.json says."""
        write_json(self.path / "sweep.json", {**read_json(self.path / "sweep.json"), **metadata})

    def plan(
        self,
        identity: str,
        number: int,
        overrides: Sequence[str],
        config: Any,
        change: str | None = None,
        choices: Mapping[str, str] | None = None,
    ) -> None:
        record = {"job": identity, "number": number, "overrides": list(overrides), "config": config}
        if change is not None:
            record["change"] = change
        if choices:
            record["choices"] = dict(choices)
        append_line(self.path / "plan.jsonl", json.dumps(record))

    def stop_file(self, identity: str) -> Path:
        """Once it is there, the job ends with the epoch that runs, wherever it runs."""
        path = self.path / "jobs" / f"{identity}.stop"
        refuse_links(path, self.path)
        return path

    def ask_to_stop(self, identity: str) -> None:
        os.close(open_regular(self.stop_file(identity), os.O_WRONLY | os.O_CREAT, self.path))

    def hand_over(self, identity: str, ticket: str, num_said: int) -> None:
        """A cluster's engine has the job; it may have begun already, so this is no event of it."""
        record = {"job": identity, "ticket": ticket, "num_said": num_said}
        append_line(self.path / "tickets.jsonl", json.dumps(record))

    def note(self, identity: str, event: str, **values: Any) -> None:
        """Append what happened to a job; the last line of a job counts."""
        record = {"event": event, "at": time.time(), "host": platform.node(), "pid": os.getpid()}
        path = events_path_of(self.path, identity)
        append_line(path, json.dumps({**record, **values}), self.path)


@contextlib.contextmanager
def hold_planning(path: Path) -> Iterator[None]:
    """Let one process at a time make and plan the sweep of this folder, where many conduct it."""
    with explain_disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = hold_file(path / ".planning", path)
    try:
        yield
    finally:
        os.close(lock)


def is_sweep(path: Path) -> bool:
    return exists(path / "sweep.json") and (path / "jobs").is_dir()


def list_sweeps(parent: Path) -> list[Path]:
    """The sweeps in a folder, oldest first."""
    found = [path for path in parent.glob("[!.]*") if is_sweep(path)]
    return sorted(found, key=lambda path: (path.name[:15], path.stat().st_ctime_ns))


def find_run_or_sweep(text: str, parent: Path = Path("outputs")) -> Run | Sweep:
    """Find a run or sweep by a path, a unique part of its name, or `last`."""
    if is_sweep(Path(text)):
        return Sweep(Path(text))
    if (named := run_at(Path(text))) is not None:
        return named
    sweeps, runs = list_sweeps(parent), list_runs(parent)
    if text == "last":
        alone = [path for path in runs if path.parent == parent]
        newest = sorted([*alone[-1:], *sweeps[-1:]], key=lambda path: path.name[:15])
        if newest:
            return _open(newest[-1])
    matches = match_names(text, [*sweeps, *runs])
    if len(matches) == 1:
        return _open(matches[0])
    raise no_such_run(text, parent, [*runs, *sweeps], matches)


def _open(path: Path) -> Run | Sweep:
    return Sweep(path) if is_sweep(path) else Run(path)
