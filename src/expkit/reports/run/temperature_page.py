"""A fitted temperature in words: what it changes on samples that did not fit it."""

from __future__ import annotations

import textwrap

from expkit.metrics.calibration import NUM_BINS
from expkit.records.run.kept_temperature import KeptTemperature, RecordedChange
from expkit.records.run.reader import Run
from expkit.reports.formatting import percent

WIDTH = 90


def temperature_screen(found: KeptTemperature, run: Run) -> str:
    """For the terminal and the page: the temperature, a table before and after, the verdict."""
    also = ""
    is_best = run.evaluation.get("weights", "best") == "best"
    if is_best and found.split == run.dataset.monitored_split:
        also = f"\n  {found.split} also chose the epoch, which flatters both halves a little"
    side = "less" if found.temperature > 1 else "more"
    lines = [
        f"temperature {found.temperature:.4g} ({side} sure than the plain softmax): fitted on "
        f"{found.num_fitted} samples of {found.split},",
        f"confirmed on the {found.num_confirmed} others{also}",
        "",
        f"  {'':<18}  {'before':<9}  {'after':<9}  change (95 % interval)",
        _row("log_loss", found.log_loss),
        _row("calibration_error", found.calibration_error),
        f"  {'accuracy':<18}  {percent(found.accuracy):<9}  {percent(found.accuracy):<9}  "
        "none: no ranking changes",
        f"  calibration_error is the ECE of {NUM_BINS} bins",
        "",
        verdict(found),
    ]
    return "\n".join(lines)


def _row(name: str, change: RecordedChange) -> str:
    ends = "" if change.interval is None else " ({:+.4f} to {:+.4f})".format(*change.interval)
    return (
        f"  {name:<18}  {change.before:<9.4f}  {change.after:<9.4f}  "
        f"{change.after - change.before:+.4f}{ends}"
    )


def verdict(found: KeptTemperature) -> str:
    """Say whether it helps, by the log loss of the half that did not fit it."""
    if found.helps:
        text = "HELPS: on the samples that did not fit it, the log loss falls, beyond their noise"
    elif found.log_loss.interval is not None and found.log_loss.interval[0] > 0:
        text = "DOES NOT HELP: on the samples that did not fit it, the log loss rises"
    else:
        text = (
            "DOES NOT HELP: on the samples that did not fit it, the change of the log loss lies "
            "within the noise"
        )
    return "\n".join(textwrap.wrap(text, WIDTH))
