"""Jobs of a sweep that the engine of a cluster starts: on a node, and in the books."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import DONE, FAILED, Status
from expkit.sanitize import clean_streams
from expkit.sweeps.job import run_planned


@dataclass(frozen=True)
class NodeWork:
    """The part of a sweep that a node gets: where it lies. The plan there has the configs."""

    sweep: Path
    directory: Path = field(default_factory=Path.cwd)  # paths in configs count from here

    def run(self, identity: str) -> None:
        """Whatever becomes of the job is in its records, so nothing is raised or returned."""
        os.chdir(self.directory)
        with print_into(self.sweep / "jobs" / f"{identity}.txt"):
            run_planned(self.sweep, identity)


@contextlib.contextmanager
def print_into(path: Path) -> Iterator[None]:
    """All that this process says goes to a file, also what libraries say past Python."""
    streams = sys.stdout, sys.stderr
    kept = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as file, clean_streams():
        _redirect(streams, [file.fileno()] * 2)
        try:
            yield
        finally:
            _redirect(streams, kept)
            for each in kept:
                os.close(each)


def _redirect(streams: tuple[TextIO, TextIO], to: Sequence[int]) -> None:
    for number, (stream, descriptor) in enumerate(zip(streams, to, strict=True), start=1):
        stream.flush()
        os.dup2(descriptor, number)


def settle(
    folder: SweepFolder, ends: Mapping[str, tuple[Status, str]], num_said: Mapping[str, int]
) -> None:
    """Write down what became of jobs where they could not do so themselves.

    `num_said`: how many events each had when it was handed over; those are no words of this life.
    """
    for identity, (status, reason) in ends.items():
        job = Sweep(folder.path).find_job(identity)
        if job.status in DONE:
            continue
        is_silent = len(job.events) <= num_said[identity]
        last = job.events[-1] if job.events else {}
        if is_silent or (job.status not in FAILED and last.get("status") != status):
            folder.note(identity, "ended", status=status, reason=reason)
