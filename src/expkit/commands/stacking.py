"""The launcher that trains seeds as one: the jobs of a sweep that differ in nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from expkit.commands.interruption import raise_if_interrupted
from expkit.commands.job import planned_course
from expkit.commands.running import EXIT_INTERRUPTED, build
from expkit.config.validation import check_config
from expkit.procedures.course import Course, go_alone
from expkit.records.sweep import NOT_IDENTITY, Job, Sweep


@dataclass(frozen=True)
class StackedLauncher:
    """Groups of seeds one after another, each in one program; the jobs' runs are as alone."""

    def run(self, sweep: Path, jobs: Sequence[str]) -> None:
        planned = Sweep(sweep).by_id
        groups = group_by_seed([planned[each] for each in jobs])
        for group in groups:
            if len(group) > 1:
                check_group(group)
        for group in groups:
            run_group(sweep, group)


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
    from expkit.procedures.together import check_stackable

    check_stackable(parts)


def run_group(sweep: Path, group: Sequence[Job]) -> None:
    """Lead them to their ends side by side: the data is read once."""
    if len(group) == 1:
        go_alone(told_in(group[0].output, planned_course(sweep, group[0].id)))
        return
    parts = build(check_config(group[0].config))
    from expkit.procedures.together import go_together, with_seed

    seeds = ", ".join(str(job.config["seed"]) for job in group)
    print(f"{group[0].config['name']}: seeds {seeds} train as one", flush=True)
    courses = [
        told_in(job.output, planned_course(sweep, job.id, partial(with_seed, parts)))
        for job in group
    ]
    go_together(courses, before_epoch=raise_if_interrupted)


def told_in(output: Path, course: Course[int]) -> Course[int]:
    """The course, with what it prints in a file; an interrupted sweep begins none."""
    try:
        raise_if_interrupted()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    go_on = partial(next, course)
    with output.open("a", encoding="utf-8") as file:
        while True:
            with redirect_stdout(file), redirect_stderr(file):
                try:
                    wish = go_on()
                except StopIteration as end:
                    code: int = end.value
                    return code
            try:
                go_on = partial(course.send, (yield wish))
            except Exception as error:
                go_on = partial(course.throw, error)
            except KeyboardInterrupt as error:
                go_on = partial(course.throw, error)
