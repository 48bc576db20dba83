"""The launcher that trains seeds as one: the jobs of a sweep that differ in nothing else."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.files import read_json, write_json
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import NOT_IDENTITY, Job
from expkit.runner.run import EXIT_INTERRUPTED, Build, build
from expkit.sanitize import CleanStream
from expkit.sweeps.job import run_job, run_planned
from expkit.sweeps.launchers import arguments
from expkit.sweeps.launchers.exit_records import MOST_LOSSES, ExitRecords
from expkit.sweeps.launchers.local import TICK_SECONDS
from expkit.sweeps.launchers.pool import ForkedCalls, ProcessResult
from expkit.sweeps.launchers.preloading import list_modules
from expkit.sweeps.live_view import SweepScreen
from expkit.terminal.signals import (
    note_signals,
    raise_if_interrupted,
    stop_on_signals,
    stop_where_asked,
)

if TYPE_CHECKING:
    from expkit.training.loop import TrainEpochs


@dataclass(frozen=True)
class StackedLauncher(arguments.StackedLauncher):
    """Groups of seeds one after another, each in a process of its own; runs are as alone."""

    def run(self, sweep: Path, jobs: Sequence[str]) -> None:
        planned = Sweep(sweep).by_id
        groups = group_by_seed([planned[each] for each in jobs])
        modules = list_modules(job.config for group in groups for job in group)
        with ForkedCalls(modules, {}) as calls, note_signals() as signals:
            for group in groups:
                if len(group) > 1 and not signals:
                    _refuse_unstackable(group, calls, signals)
            words = ExitRecords(sweep, signals)
            with contextlib.closing(SweepScreen(sweep)) as display:
                for group in groups:
                    if not signals:
                        _watch_group(group, calls, display, signals, words)


def _refuse_unstackable(group: Sequence[Job], calls: ForkedCalls, signals: Sequence[int]) -> None:
    """In a process of its own: this one needs neither the data nor the device for a whole sweep.

    A job that dies here dies again in its group, where that is reported.
    """
    first = group[0]
    with tempfile.TemporaryDirectory() as folder:
        refusal = Path(folder) / "refusal.json"
        given = (first.sweep, first.id, refusal)
        calls.start(first.id, conduct_check, given, output=first.output, environ={})
        _await_end(calls, signals)
        if refusal.exists():
            record = read_json(refusal)
            raise UserError(record["what"], **record["details"])


def conduct_check(sweep: Path, identity: str, refusal: Path) -> int:
    """Tell whether a group can be stacked, by one of its jobs, as the work of a whole process."""
    try:
        check_group([Sweep(sweep).find_job(identity)])
    except UserError as error:
        details = {("fix" if key == "do" else key): text for key, text in error.details.items()}
        write_json(refusal, {"what": error.what, "details": details})
    return 0


def _watch_group(
    group: Sequence[Job],
    calls: ForkedCalls,
    display: SweepScreen,
    signals: Sequence[int],
    words: ExitRecords,
) -> None:
    """Until its process has ended; what its jobs could not write down themselves is added."""
    first = group[0]
    for _ in range(MOST_LOSSES + 1):
        words.expect(group)
        given = (first.sweep, [job.id for job in group])
        calls.start(first.id, conduct_group, given, output=first.output, environ={})
        for job in group:
            display.started(job.id)
        ended = _await_end(calls, signals, display.tick)
        if signals or not ended.is_lost:
            break
    words.complete(group, ended)
    for job in group:
        display.ended(job.id)


def _await_end(
    calls: ForkedCalls, signals: Sequence[int], tick: Callable[[], None] = lambda: None
) -> ProcessResult:
    """Wait for the one call under way, and return how it ended."""
    results: list[ProcessResult] = []
    while not results:
        if signals:
            (calls.kill if len(signals) > 1 else calls.stop)()
        results = calls.wait(TICK_SECONDS)
        tick()
    return results[0]


def conduct_group(sweep: Path, identities: Sequence[str]) -> int:
    """A group as the work of a whole process, which a signal interrupts."""
    planned = Sweep(sweep).by_id
    with stop_on_signals():
        return max(run_group(sweep, [planned[each] for each in identities]))


def group_by_seed(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs whose configs are the same but for the seed."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        config = {k: v for k, v in job.config.items() if k not in (*NOT_IDENTITY, "seed")}
        groups.setdefault(json.dumps(config, sort_keys=True), []).append(job)
    return list(groups.values())


def check_group(group: Sequence[Job]) -> None:
    """Refuse what cannot be stacked, before the first job of the sweep runs."""
    parts = build(check_config(group[0].config))
    from expkit.sweeps.stacked_seeds.joint_training import check_stackable

    check_stackable(parts)


def run_group(sweep: Path, group: Sequence[Job]) -> list[int]:
    """Lead the jobs to their ends side by side: the data is read once. Return their exit codes."""
    if len(group) == 1:
        return [run_planned(sweep, group[0].id)]
    config = check_config(group[0].config)
    parts = build(config)
    from expkit.sweeps.stacked_seeds.joint_training import SeedRun, run_together, with_seed

    runs = [
        SeedRun(
            partial(_run_one, sweep, job, partial(with_seed, parts)),
            partial(_surroundings, sweep, job),
        )
        for job in group
    ]
    # a signal is heard between epochs: in the midst of one, nobody could tell whose end it is
    with note_signals():
        return run_together(runs, list(config.procedure), before_epoch=raise_if_interrupted)


def _run_one(sweep: Path, job: Job, build: Build, train_epochs: TrainEpochs) -> int:
    """Run one job of a group; an interrupted sweep begins none."""
    try:
        raise_if_interrupted()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return run_job(sweep, job.id, build, train_epochs)


@contextlib.contextmanager
def _surroundings(sweep: Path, job: Job) -> Iterator[None]:
    """Give a job what a process of its own would: where its prints go, and what stops it alone."""
    with job.output.open("a", encoding="utf-8") as file:
        clean: Any = CleanStream(file)
        stop_file = SweepFolder(sweep).stop_file(job.id)
        with redirect_stdout(clean), redirect_stderr(clean), stop_where_asked(stop_file):
            yield
