"""Who runs the jobs of a sweep on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

from annotated_types import Ge, Gt

from expkit.commands.job import run_planned


class Launcher(Protocol):
    """Runs planned jobs; what becomes of each is told by the sweep's records alone."""

    def run(self, sweep: Path, jobs: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class LocalLauncher:
    """Each job in a process of its own."""

    jobs: Literal["auto"] | Annotated[int, Ge(1)] = "auto"
    jobs_per_device: Annotated[int, Ge(1)] = 1
    timeout: Annotated[float, Gt(0)] | None = None
    fail_fast: bool = False

    def run(self, sweep: Path, jobs: Sequence[str]) -> None:
        for job in jobs:
            run_planned(sweep, job)
