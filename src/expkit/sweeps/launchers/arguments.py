"""The arguments of the launchers on this machine, without what they import to run jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt


@dataclass(frozen=True)
class LocalLauncher:
    """The arguments of the launcher of single jobs."""

    jobs: Literal["auto"] | Annotated[int, Ge(1)] = "auto"
    jobs_per_device: Annotated[int, Ge(1)] = 1
    timeout: Annotated[float, Gt(0)] | None = None
    fail_fast: bool = False


@dataclass(frozen=True)
class StackedLauncher:
    """The launcher of stacked seeds, which takes none."""
