"""A job of a sweep: its status, its run and its output, as the records tell it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from expkit.records.files import Record, read_lines
from expkit.records.run.reader import Run, is_run
from expkit.records.run.writer import is_file_locked
from expkit.records.safe_open import refuse_links
from expkit.records.sweep.line_checks import is_event

Status = Literal[
    "waiting",
    "running",
    "finished",
    "failed",
    "reused",
    "pruned",
    "interrupted",
    "raised",
    "refused",
    "killed",
    "exited",
    "timed out",
]
# nothing is left to do; of one that failed, a gate or another stage says that it would again
DONE = ("finished", "failed", "reused", "pruned")
FAILED: tuple[Status, ...] = ("raised", "refused", "killed", "exited", "timed out")  # run again
FAILURES: tuple[Status, ...] = ("failed", *FAILED)  # all that a table tells as such
CUT_OFF: tuple[Status, ...] = (
    "interrupted",
    "killed",
    "timed out",
)  # unless the run was brought to its end since, pages included
# what decides where a run and its copy lie, which code it may use, how it is drawn and found, but
# no number of it
NOT_IDENTITY = ("output_dir", "mirror", "trust", "plots", "logger", "tags")


def job_id(config: Mapping[str, Any]) -> str:
    """A job is what its config says: the same wherever, whenever and as which number it runs."""
    identity = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    read_back = json.loads(json.dumps(identity))  # keys that are numbers sort otherwise as words
    return hashlib.sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()[:16]


def _is_event(record: Record) -> bool:
    return is_event(record, get_args(Status))


@dataclass(frozen=True)
class Job:
    """One job of a sweep, as its records tell it."""

    id: str
    number: int
    overrides: list[str]
    config: Mapping[str, Any]
    events: list[Record]
    sweep: Path
    change: str | None = None  # of an ablation; None of its recipe
    choices: Mapping[str, str] = field(default_factory=dict)  # by group

    @property
    def procedure(self) -> Mapping[str, Any]:
        """The stages of its config."""
        return self.config.get("procedure") or {}

    @functools.cached_property
    def run(self) -> Run | None:
        """Its run folder, once there is one; that of an earlier sweep where it was taken over."""
        names = [event["run"] for event in self.events if event["event"] in ("run", "reused")]
        for name in reversed(names):
            if not Path(name).is_absolute():  # a reused one's path is
                refuse_links(self.sweep / name, self.sweep)
            if is_run(self.sweep / name):
                return Run(self.sweep / name)
        return None

    @functools.cached_property
    def status(self) -> Status:
        """Its last word, or what its run says where a process was killed before it spoke."""
        last: Record = self.events[-1] if self.events else {"event": "waiting"}
        if last["event"] == "waiting":
            return "waiting"
        if last["event"] == "reused":
            return "reused"
        status: Status = "interrupted" if last["event"] != "ended" else last["status"]
        if status in CUT_OFF:
            if self.is_held:
                return "running"
            if self.run is not None and self.run.status == "running":
                return "running"
            if self.run is not None and self.run.has_pages:
                return "failed" if self.run.status == "failed" else "finished"
        return status

    @property
    def is_held(self) -> bool:
        """Tell whether a process is at it now."""
        return is_file_locked(self.events_path)

    @property
    def events_path(self) -> Path:
        return events_path_of(self.sweep, self.id)

    @property
    def reason(self) -> str:
        """Why it ended as it did, in a few words; empty where that needs none."""
        last = self.events[-1] if self.events else {}
        return str(last.get("reason") or "")

    @property
    def seconds(self) -> float | None:
        """Return how long its last process lived."""
        last = self.events[-1] if self.events else {}
        return last.get("seconds")

    def again(self) -> Job:
        """Read the job again from its records."""
        return replace(self, events=events_of(self.sweep, self.id))

    @property
    def output(self) -> Path:
        """The file that holds its output."""
        path = self.sweep / "jobs" / f"{self.id}.txt"
        refuse_links(path, self.sweep)
        return path


def events_of(sweep: Path, identity: str) -> list[Record]:
    return read_lines(events_path_of(sweep, identity), ("event",), _is_event, root=sweep)


def events_path_of(sweep: Path, identity: str) -> Path:
    return sweep / "jobs" / f"{identity}.jsonl"
