"""expkit calibrate: a temperature fitted on one half of val, confirmed on the other, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.records.run.find_run import find_run
from expkit.records.run.kept_temperature import (
    FILE,
    KeptTemperature,
    keep_temperature,
    read_temperature,
)
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import read_thresholds
from expkit.records.run.writer import explain_disk_errors
from expkit.records.safe_open import make_inside
from expkit.reports.run.summary import summarize
from expkit.reports.run.temperature_fit import fit_kept_temperature
from expkit.reports.run.temperature_page import temperature_screen
from expkit.terminal.arguments import Parser, seed

EXIT_HELPS, EXIT_DOES_NOT = 0, 1


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit calibrate",
        description="Fit the temperature of a run's softmax on one half of val, by class, and "
        "confirm it on the other half: log loss and calibration error before and after, with "
        "95 % intervals of the change. Where the log loss surely falls, the temperature is kept "
        "in the run, and predict, threshold and evaluate use it. No ranking and no accuracy "
        "changes; test is not read. Exit code 1 where it does not help: nothing is kept then.",
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a run's name, or last"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the halves (0)")
    parser.add_argument(
        "--force", action="store_true", help="keep the temperature also where it does not help"
    )
    given = parser.parse_args(words)
    run = find_run(given.run)
    found, before = fit_kept_temperature(run, given.seed), read_temperature(run.path)
    keeps = found.helps or given.force
    drawn = _keep(run, found) if keeps else None
    print(temperature_screen(found, run))
    for line in _outcome(run, before, drawn):
        print(line)
    return EXIT_HELPS if found.helps else EXIT_DOES_NOT


def _keep(run: Run, found: KeptTemperature) -> Path:
    """Write the temperature, the plots and the pages; nothing where the pages cannot be made."""
    from expkit.reports.plots.files import format_of
    from expkit.reports.plots.reliability import draw_temperature
    from expkit.reports.plots.style import in_format, styled
    from expkit.reports.run.pages import refresh, report

    report(run, summarize(run), [])
    with explain_disk_errors(run.path):
        keep_temperature(found, run.path)
        plots = run.path / "plots"
        make_inside(plots, run.path)
        with styled(), in_format(format_of(run.config)):
            (drawn,) = draw_temperature(run, plots)
        refresh(run.path, plots=False)
    return drawn


def _outcome(run: Run, before: KeptTemperature | None, drawn: Path | None) -> list[str]:
    """What was kept, what it took the place of, and what was chosen by other probabilities."""
    if drawn is None:
        return [f"\n  nothing is kept{_still(before)}; --force keeps it all the same"]
    lines = [""]
    if before is not None:
        lines.append(
            f"  instead of {before.temperature:.4g}, which was fitted with seed {before.seed}"
        )
    lines += [
        f"  kept in {run.path / FILE}: predict, threshold and evaluate use it",
        f"  diagrams {drawn}",
    ]
    kept = read_temperature(run.path)
    stale = [
        each.class_name
        for each in read_thresholds(run.path)
        if kept is not None and each.temperature != kept.temperature
    ]
    if stale:
        lines.append(
            f"  choose anew: the thresholds of {', '.join(stale)}, which are of other "
            "probabilities (expkit threshold)"
        )
    return lines


def _still(before: KeptTemperature | None) -> str:
    return "" if before is None else f"; {before.temperature:.4g}, which was kept before, stays"
