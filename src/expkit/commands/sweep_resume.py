"""Going on with a sweep: the words that began it, composed again in the same folder."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from expkit.commands.running import run_request
from expkit.commands.sweep_ending import concluded
from expkit.commands.sweeping import MISSING, Resumption, run_job, run_jobs
from expkit.config.compose import compose_and_run
from expkit.config.sweeping import Task
from expkit.errors import UserError
from expkit.records.sweep import FAILED, Status, Sweep

HYDRA = "hydra"  # what --trust says for words that configure Hydra itself


def resume_sweep(sweep: Sweep, trusted: Sequence[str], *, failed: bool, missing: bool) -> int:
    """Run what is missing, cut off or failed, or one of these alone; the exit code."""
    given = sweep.command[2:]
    words = list(_harmless(given, sweep, trusted))
    statuses: list[Status] = []
    if missing or not failed:
        statuses += MISSING
    if failed or not missing:
        statuses += FAILED
    is_fixed = not any(word.startswith("hydra/sweeper=") for word in given)
    resumption = Resumption(statuses, is_fixed)
    task = Task(run_request, run_job, functools.partial(run_jobs, resumption=resumption))
    trust = [f"trust=[{','.join(name for name in trusted if name != HYDRA)}]"] if trusted else []
    with concluded(task):
        compose_and_run([*words, *trust, f"hydra.sweep.dir={_quoted(sweep.path)}"], task)
    return max(task.codes, default=0)


def _harmless(words: Sequence[str], sweep: Sweep, trusted: Sequence[str]) -> Iterator[str]:
    """Without the words that a stranger's sweep would say of whom the user trusts.

    Hydra builds what its own keys name, and takes choices from the folders that flags name.
    """
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if key.partition(".")[0] == "trust" or key == "hydra.sweep.dir":
            continue
        is_choice = key in ("hydra/launcher", "hydra/sweeper")
        is_number = re.fullmatch(r"[^=]+=[\d.eE+-]+", word) is not None  # it names nothing
        is_hydras = key.startswith(HYDRA) and not is_choice and not is_number
        is_flag = word.startswith("-") and word not in ("-m", "--multirun")
        if (is_hydras or is_flag) and HYDRA not in trusted:
            raise UserError(
                f"a word of '{sweep.name}' could run code of whoever began it: {word}",
                where=str(sweep.path / "sweep.json"),
                fix=f"if that was you: expkit resume {sweep.path} --trust {HYDRA}",
            )
        yield word


def _quoted(path: Path) -> str:
    text = str(path.absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
