"""A smoke test: the overfit gates of many models or experiments, as one sweep on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expkit.config.compose import compose_and_run
from expkit.config.instantiate import build_part
from expkit.config.multirun.hydra_task import Outcome, Task, check_others_of, refuse_sweep
from expkit.config.paths import conf_folders, list_choices, values_to_give
from expkit.config.run_request import Request
from expkit.errors import UserError
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import Job
from expkit.reports.smoke.outcome import SUBJECTS, SmokeOutcome, name_jobs, read_outcome
from expkit.runner.run import without_collector
from expkit.sweeps.launchers.local import LocalLauncher
from expkit.sweeps.live_view import SweepScreen
from expkit.sweeps.sweep import conducted, open_sweep, outcome_of, plan
from expkit.terminal.signals import raise_if_interrupted

GATES_ALONE = ("procedure=overfit", "plots.draw=false")


def choose_subjects(words: Sequence[str], *, every_model: bool) -> list[str]:
    """The word that names what is tested, where the user's do not: own experiments, if any."""
    named = [word for word in words if word.lstrip("+~").partition("=")[0] in SUBJECTS]
    if every_model:
        if named:
            raise UserError(
                "--all is every model, and one is named beside it",
                where=f"--all {' '.join(named)}",
                fix="leave one of the two out",
            )
        choices = list_choices("model", conf_folders())
        return [_word("model", [each for each, path in choices.items() if _is_ready(path)])]
    own = list_own_experiments()
    return [] if named or not own else [_word("experiment", own)]


def list_own_experiments() -> list[str]:
    """The experiments of the working directory's conf/, without those that come with expkit."""
    folders = conf_folders()
    return list(list_choices("experiment", folders[:-1]))


def _is_ready(path: Path) -> bool:
    """Tell whether a choice can be made as it is, with no value to be given first."""
    return not values_to_give(path)


def _word(group: str, names: Sequence[str]) -> str:
    quoted = [name if re.fullmatch(r"[\w.@+-]+", name) else f"'{name}'" for name in names]
    return f"{group}={','.join(quoted)}"


@dataclass
class SmokeTest:
    """One smoke test; its sweep's folder is kept where something failed, or the user keeps it."""

    words: Sequence[str]
    keeps: bool = False
    folder: Path | None = None
    outcomes: list[SmokeOutcome] = field(default_factory=list)
    seconds: float = 0.0
    _names: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Run all gates, each model in a process of its own."""
        began = time.monotonic()
        stamp = time.strftime("%Y%m%d_%H%M%S")
        place = f"hydra.sweep.dir=${{output_dir}}/{stamp}_{os.getpid()}_smoke"
        usual = [word for word in GATES_ALONE if not _is_given(word, self.words)]
        task = Task(refuse_sweep, refuse_sweep, self._run_jobs)
        with self._tidied():
            compose_and_run(["-m", *usual, *self.words, place], task)
            self.seconds = time.monotonic() - began

    @property
    def passed(self) -> bool:
        return all(outcome.passed for outcome in self.outcomes)

    @property
    def is_kept(self) -> bool:
        return self.folder is not None and self.folder.exists()

    def _run_jobs(self, requests: Sequence[Request]) -> list[Outcome]:
        first = requests[0]
        launcher = build_part(first.launcher, "launcher", first.config.trust)
        if not isinstance(launcher, LocalLauncher) or first.engine is not None:
            raise UserError(
                "a smoke test runs on this machine, each model in a process of its own",
                where=f"launcher._target_={first.launcher.get('_target_')}",
                allowed="launcher=local, and its launcher.timeout=SECONDS",
            )
        with without_collector():
            check_others_of(requests)
        folder = open_sweep(first)
        self.folder = folder.path
        with conducted(folder):
            identities = list(dict.fromkeys(plan(folder, requests)))
            self._names = name_jobs(Sweep(folder.path).jobs)
            launcher.run(folder.path, identities, self._open_screen)
            raise_if_interrupted()
        sweep = Sweep(folder.path)
        jobs = sweep.by_id
        self.outcomes = [read_outcome(jobs[each], self._names[each]) for each in identities]
        return [outcome_of(jobs[each], sweep.objective) for each in identities]

    def _open_screen(self, sweep: Path) -> SweepScreen:
        return SweepScreen(sweep, conducts=False, describe=self._describe)

    def _describe(self, job: Job) -> str:
        width = max(map(len, self._names.values()))
        if job.status == "interrupted":
            return f"stop  {self._names[job.id]}"
        return read_outcome(job, self._names[job.id]).line(width)

    @contextlib.contextmanager
    def _tidied(self) -> Iterator[None]:
        """Remove the folder in the end, unless there is something in it to be looked at."""
        try:
            yield
        except KeyboardInterrupt:
            if self.folder is not None and not self.keeps:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise
        if self.folder is not None and self.passed and not self.keeps:
            shutil.rmtree(self.folder, ignore_errors=True)


def _is_given(word: str, words: Sequence[str]) -> bool:
    key = word.partition("=")[0]
    return any(each.partition("=")[0].lstrip("+") == key for each in words)
