"""A chosen threshold in words: the decision, what it costs on either half, and whether it holds."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.records.facts import DatasetFacts
from expkit.records.thresholds import MAYBE, Threshold
from expkit.reports.wording import interval, percent

WIDTH = 90
HALVES = ("chosen_on", "confirmed_on")


def threshold_screen(threshold: Threshold, facts: DatasetFacts) -> str:
    """For the terminal: the cut-offs, a table of the halves, and the verdict."""
    sizes = [threshold.evidence[half]["num_samples"] for half in HALVES]
    also = ""
    if threshold.split == facts.monitored_split:
        also = f"\n  {threshold.split} also chose the epoch, which flatters both halves a little"
    lines = [
        f"{threshold.class_name}: chosen on {sizes[0]} held-out samples of {threshold.split}, "
        f"confirmed on the {sizes[1]} others{also}",
        "",
        *_decision_lines(threshold),
        "",
        *_table_lines(threshold),
        "",
        verdict(threshold),
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
        asked = percent(threshold.asked_precision)
        reason = f"(no cut-off reaches a precision of {asked})"
        return [*lines, f"  {f'from {low} on':<30}{MAYBE} {reason}"]
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
    width = max(map(len, rows))
    lines = [f"  {'':<{width}}  {'chosen on':<38}confirmed on"]
    for label, key in rows.items():
        cells = [_cell(threshold.evidence[half][key]) for half in HALVES]
        lines.append(f"  {label:<{width}}  {cells[0]:<38}{cells[1]}")
    return lines


def _cell(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return "none answered so"
    ends = interval("accuracy", share["interval"])
    return f"{percent(share['share'])} of {share['total']} ({ends})"


def verdict(threshold: Threshold) -> str:
    """Whether the other half bears the choice out, and whether it is enough to tell."""
    found = threshold.evidence["confirmed_on"]
    recall, wrong = found["recall"], found["wrong_class"]
    said = [_beside("recall", recall["share"], recall["interval"], threshold.asked_recall)]
    if wrong["share"] is None:
        said.append(f"nothing was surely '{threshold.class_name}'")
    else:
        low, high = wrong["interval"]
        ends, precision = (1 - high, 1 - low), 1 - wrong["share"]
        said.append(_beside("precision", precision, ends, threshold.asked_precision))
    word = "CONFIRMED" if threshold.is_confirmed else "NOT CONFIRMED"
    text = f"{word}: on the samples that did not choose, {'; '.join(said)}"
    return "\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False))


def _beside(name: str, share: float, ends: Sequence[float], bound: float) -> str:
    side = "misses" if share < bound else "reaches"
    text = f"{name} is {percent(share)} and {side} {percent(bound)}"
    return f"{text} (within the noise)" if ends[0] <= bound <= ends[1] else text
