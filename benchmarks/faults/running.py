"""Running cases, each in a process of its own, forked from this one in which torch is loaded."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from bases import COMMON
from case import Case
from judging import Row, judge

TIMEOUT_SECONDS = 180.0
POLL_SECONDS = 0.05
PRELOADED = (
    "torch",
    "timm",
    "kornia.augmentation",
    "pandas",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.metrics",
    "matplotlib.pyplot",
    "expkit.commands.train",
    "expkit.runner.components",
    "expkit.runner.procedure",
    "expkit.reports.plots.gallery",
    "expkit.reports.run.pages",
)


def load_what_runs_need() -> None:
    """Before forking: a second of imports that each run would pay for."""
    for name in PRELOADED:
        __import__(name)


@dataclass
class Running:
    """A process under way."""

    case: Case
    process: BaseProcess
    receiver: Connection
    started: float


def run_cases(cases: Sequence[Case], jobs: int, keep: Path | None) -> Iterator[Row]:
    """A row for each, in the order in which they end."""
    context = multiprocessing.get_context("fork")
    waiting, running = list(cases), list[Running]()
    while waiting or running:
        while waiting and len(running) < jobs:
            case = waiting.pop(0)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=carry_out, args=(case, sender, keep))
            process.start()
            sender.close()
            running.append(Running(case, process, receiver, time.monotonic()))
        for each in list(running):
            row = finished(each)
            if row is not None:
                running.remove(each)
                yield row
        time.sleep(POLL_SECONDS)


def finished(each: Running) -> Row | None:
    """Its row where the case has ended, by itself or by the clock."""
    seconds = time.monotonic() - each.started
    if each.receiver.poll():
        try:
            row: Row = each.receiver.recv()
        except EOFError:
            row = Row.of_failure(each.case, "the process died", seconds)
        each.process.join()
        return row
    if seconds > TIMEOUT_SECONDS:
        each.process.terminate()
        each.process.join()
        return Row.of_failure(each.case, "timed out", seconds)
    return None


def carry_out(case: Case, sender: Connection, keep: Path | None) -> None:
    """In the child: prepare, run, judge, send."""
    started = time.monotonic()
    os.setpgrp()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if keep is None else keep / case.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            code, output = run_case(case, folder)
            row = judge(case, folder, code, output, time.monotonic() - started)
        except BaseException:
            row = Row.of_failure(case, traceback.format_exc(), time.monotonic() - started)
        sender.send(row)
        sender.close()
        os.chdir("/")


def run_case(case: Case, folder: Path) -> tuple[int, str]:
    """The exit code of `expkit train`, and all that it printed."""
    from expkit.cli import dispatch
    from expkit.reports.plots import gallery

    gallery.draw_plots = lambda *_, **__: []  # they take a third of the time and judge nothing
    os.chdir(folder)
    written = folder / "output.txt"
    with written.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        words = ["train", *COMMON]
        if case.prepare is not None:
            words += case.prepare(folder)
        words += case.words
        sys.argv = ["expkit", *words]
        code = dispatch(words)
        sys.stdout.flush()
        sys.stderr.flush()
    return code, written.read_text(errors="replace")
