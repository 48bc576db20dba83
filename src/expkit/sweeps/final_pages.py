"""The end of a sweep: its pages, and what it came to on one screen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from expkit.config.multirun.hydra_task import Task
from expkit.errors import UserError
from expkit.records.run.writer import explain_disk_errors


@contextlib.contextmanager
def concluded(task: Task) -> Iterator[None]:
    """Report a sweep however it ends, also by Ctrl-C; a refused one has nothing to report."""
    try:
        yield
    except UserError:
        raise
    except BaseException:
        conclude(task)
        raise
    conclude(task)


def conclude(task: Task) -> None:
    """Write and tell what the sweep came to, where the task was one."""
    if task.sweep_dir is None or not (Path(task.sweep_dir) / "plan.jsonl").exists():
        return
    from expkit.reports.html.index_page import refresh_index
    from expkit.reports.sweep.page import refresh_sweep
    from expkit.reports.sweep.sweep_screen import closing_screen

    path = Path(task.sweep_dir)
    with explain_disk_errors(path):
        outcome = refresh_sweep(path)
    print(closing_screen(outcome), flush=True)
    refresh_index(path)
