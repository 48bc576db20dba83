"""Figures beside the bounds that they have to reach: what every benchmark prints and ends by."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def find_expkit() -> str:
    """The command that was installed beside this interpreter: both see the same torch."""
    return str(Path(sys.executable).with_name("expkit"))


def parse_arguments(description: str | None, *, repeats: int) -> argparse.Namespace:
    """`--report` and `--repeats`; the first line of a script's docstring is its description."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--report", action="store_true", help="print only; a miss is no failure")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"default {repeats}")
    return parser.parse_args()


def say_load() -> None:
    """How busy the machine is: above its number of cores, somebody else works on it too."""
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)


def run_quietly(command: Sequence[str], cwd: str, *, exit_code: int = 0) -> None:
    """A command that has to end with this exit code."""
    done = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True)
    if done.returncode != exit_code:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")


def find_run(parent: Path) -> Path:
    """The one run folder in here."""
    (folder,) = (
        path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    return folder


class Bounds:
    """Prints a line a figure, and remembers whether one missed its bound."""

    def __init__(self, *, is_report: bool) -> None:
        self._is_report = is_report
        self._has_missed = False

    def hold(
        self, name: str, values: Sequence[float], unit: str, *, bound: float, least: bool = False
    ) -> None:
        """The median of `values` must be at most `bound`, or at least where `least`."""
        median = statistics.median(values)
        is_reached = median >= bound if least else median <= bound
        self._has_missed |= not is_reached
        print(
            f"{'ok  ' if is_reached else 'MISS'} {name:<48} {format_figure(median)} {unit:<4}"
            f"{'>=' if least else '<='} {bound:g}{describe_spread(values)}",
            flush=True,
        )

    def finish(self) -> None:
        """End with 1 where a bound was missed."""
        sys.exit(1 if self._has_missed and not self._is_report else 0)


def inform(name: str, values: Sequence[float], unit: str) -> None:
    """A figure that has no bound."""
    median = format_figure(statistics.median(values))
    print(f"     {name:<48} {median} {unit:<4}{describe_spread(values)}", flush=True)


def format_figure(value: float) -> str:
    return f"{value:7.3f}" if abs(value) < 100 else f"{value:7.0f}"


def describe_spread(values: Sequence[float]) -> str:
    """The range from the lowest to the highest: noise that a median hides."""
    if len(values) == 1:
        return ""
    low, high = (format_figure(value).strip() for value in (min(values), max(values)))
    return f"   ({len(values)} runs, {low} to {high})"
