"""A chosen threshold in words: the decision, what it costs on either half, and whether it holds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.metrics.criteria import shown_bound, value_beside
from expkit.metrics.task_types import MAYBE
from expkit.metrics.threshold_verdicts import Verdict
from expkit.metrics.thresholds import needed_samples
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.thresholds import HALVES, Threshold
from expkit.reports.formatting import interval, percent

WIDTH = 90
WORDS: Mapping[Verdict, str] = {
    "confirmed": "CONFIRMED",
    "not confirmed": "NOT CONFIRMED",
    "too few samples": "TOO FEW SAMPLES TO CONFIRM",
}


def threshold_screen(threshold: Threshold, metadata: DatasetMetadata) -> str:
    """For the terminal: the cut-offs, a table of the halves, and the verdict."""
    sizes = [threshold.evidence[half]["num_samples"] for half in HALVES]
    also = ""
    if threshold.split == metadata.monitored_split:
        also = f"\n  {threshold.split} also chose the epoch, which flatters both halves a little"
    if threshold.temperature != 1:
        also += (
            f"\n  of probabilities at temperature {threshold.temperature:.4g} (expkit calibrate)"
        )
    lines = [
        f"{threshold.class_name}: chosen on {sizes[0]} held-out samples of {threshold.split}, "
        f"confirmed on the {sizes[1]} others{also}",
        "",
        *_decision_lines(threshold),
        "",
        *_table_lines(threshold),
        "",
        verdict(threshold),
        *([] if threshold.is_confirmed else ["predict does not use it"]),
    ]
    return "\n".join(lines)


def other_name(threshold: Threshold) -> str:
    """The other of two classes by its name, else all of them in one word."""
    others = [name for name in threshold.class_names if name != threshold.class_name]
    return others[0] if len(others) == 1 else "another class"


def _decision_lines(threshold: Threshold) -> list[str]:
    low, high = f"{threshold.low:.4g}", threshold.high
    lines = [f"  {f'probability below {low}':<30}{other_name(threshold)}"]
    if high is None:
        return [*lines, f"  {f'from {low} on':<30}{MAYBE} (no cut-off is precise enough)"]
    if high > threshold.low:
        lines.append(f"  {f'from {low} to {high:.4g}':<30}{MAYBE}")
    return [*lines, f"  {f'from {high:.4g} on':<30}{threshold.class_name}"]


def _table_lines(threshold: Threshold) -> list[str]:
    rows = {
        f"kept of {threshold.class_name} (recall)": "recall",
        f"sent to {MAYBE}": MAYBE,
        f"wrong among '{threshold.class_name}'": "wrong_class",
        f"wrong among '{other_name(threshold)}'": "wrong_other",
    }
    if threshold.low == threshold.high:
        del rows[f"sent to {MAYBE}"]
    width = max(map(len, rows))
    lines = [f"  {'':<{width}}  {'chosen on':<38}confirmed on"]
    for label, key in rows.items():
        cells = [_cell(threshold.evidence[half][key]) for half in HALVES]
        lines.append(f"  {label:<{width}}  {cells[0]:<38}{cells[1]}")
    return lines


def _cell(fraction: Mapping[str, Any]) -> str:
    if fraction["fraction"] is None:
        return "none predicted so"
    ends = interval("accuracy", fraction["interval"])
    return f"{percent(fraction['fraction'])} of {fraction['total']} ({ends})"


def verdict(threshold: Threshold) -> str:
    """The verdict of the half that did not choose, with its figures beside what was asked."""
    said = "; ".join([*too_few(threshold), *_told(threshold)])
    text = f"{WORDS[threshold.verdict]}: on the samples that did not choose, {said}"
    return "\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False))


def _told(threshold: Threshold) -> list[str]:
    found = threshold.evidence["confirmed_on"]
    recall, wrong = found["recall"], found["wrong_class"]
    said = [_beside("recall", recall["fraction"], recall["interval"], threshold.asked_recall)]
    if wrong["fraction"] is None:
        return [*said, f"nothing was surely '{threshold.class_name}'"]
    low, high = wrong["interval"]
    ends, precision = (1 - high, 1 - low), 1 - wrong["fraction"]
    return [*said, _beside("precision", precision, ends, threshold.asked_precision)]


def _beside(name: str, fraction: float, ends: Sequence[float], bound: float | None) -> str:
    if bound is None:
        return f"{name} is {percent(fraction)} (none was asked for)"
    side = "misses" if fraction < bound else "reaches"
    value = value_beside(fraction, ">=", bound, is_fraction=True)
    text = f"{name} is {value} and {side} {shown_bound(bound, is_fraction=True)}"
    return f"{text} (within the noise)" if ends[0] <= bound <= ends[1] else text


def too_few(threshold: Threshold) -> list[str]:
    """List the bounds that so few samples cannot bear out, with how many samples could."""
    if threshold.verdict != "too few samples":
        return []
    found = threshold.evidence["confirmed_on"]
    asked = (
        ("recall", threshold.asked_recall, found["recall"]["total"]),
        ("precision", threshold.asked_precision, found["wrong_class"]["total"]),
    )
    said = []
    for name, bound, total in asked:
        if bound is not None and total < needed_samples(bound):
            needed = needed_samples(bound)
            enough = f"{needed:.0f} could" if math.isfinite(needed) else "no number could"
            said.append(
                f"{total} cannot show a {name} of {shown_bound(bound, is_fraction=True)} ({enough})"
            )
    return said
