"""Rows as lines, as tables in files, and as totals beside the aims."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from judging import Row

LEAST_DETECTED = 0.97
LEAST_NAMED = 0.90
CONTROLS_PER_FALSE_WARNING = 60
COLUMNS = (
    "case", "kind", "part", "outcome", "rules", "epoch", "best", "seconds", "said",
)  # fmt: skip


def line(row: Row) -> str:
    """One case on the terminal."""
    found = ", ".join(row.rules) or row.note[-300:] or "-"
    epoch = "-" if row.epoch is None else str(row.epoch)
    score = "-" if row.score is None else f"{row.score:.3f}"
    return (
        f"{verdict(row):<12} {row.part:<8} {row.case_name:<32} epoch {epoch:>3}  "
        f"best {score:>6} {row.seconds:5.1f} s  {found}"
        + (f"  ({', '.join(row.remarks)})" if row.remarks else "")
    )


def verdict(row: Row) -> str:
    if row.is_control:
        if not row.learnt:
            return "NOT SOUND"
        return "silent" if not row.detected else "FALSE FATAL" if row.is_fatal else "FALSE"
    return "named" if row.named else "detected" if row.detected else "MISSED"


def totals(rows: Sequence[Row]) -> str:
    """Each part, and all of them."""
    names = ("tuning", "reported", "unseen")
    parts = {name: [r for r in rows if r.part == name] for name in names} | {"all": list(rows)}
    return "\n".join(f"{name:<9} {total(part)}" for name, part in parts.items() if part)


def total(rows: Sequence[Row]) -> str:
    faults, controls = split(rows)
    epochs = sorted(row.epoch for row in faults if row.epoch is not None)
    median = epochs[len(epochs) // 2] if epochs else "-"
    return (
        f"{len(faults)} faults of {len({row.kind for row in faults})} kinds: "
        f"{sum(row.detected for row in faults)} detected, "
        f"{sum(row.named for row in faults)} named right, median epoch {median}; "
        f"{len(controls)} controls: {sum(row.is_fatal for row in controls)} false fatal, "
        f"{sum(row.detected and not row.is_fatal for row in controls)} false warnings, "
        f"{sum(not row.learnt for row in controls)} not sound"
    )


def split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    return [r for r in rows if not r.is_control], [r for r in rows if r.is_control]


def aims_missed(rows: Sequence[Row]) -> list[str]:
    """What is short of its aim, in words."""
    faults, controls = split(rows)
    missed = []
    detected, named = (sum(r.detected for r in faults), sum(r.named for r in faults))
    if detected < LEAST_DETECTED * len(faults):
        missed.append(f"{detected} of {len(faults)} faults detected, not {LEAST_DETECTED:.0%}")
    if named < LEAST_NAMED * len(faults):
        missed.append(f"{named} of {len(faults)} causes named right, not {LEAST_NAMED:.0%}")
    fatal = [row.case_name for row in controls if row.is_fatal]
    if fatal:
        missed.append(f"false fatal findings on {', '.join(fatal)}")
    warned = [row.case_name for row in controls if row.detected and not row.is_fatal]
    if len(warned) > max(1, len(controls) // CONTROLS_PER_FALSE_WARNING):
        missed.append(f"false warnings on {', '.join(warned)}")
    unsound = [row.case_name for row in controls if not row.learnt]
    if unsound:
        missed.append(f"controls that do not learn: {', '.join(unsound)}")
    return missed


def write_tables(rows: Sequence[Row], folder: Path) -> None:
    """faults.csv, and faults.md for people."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [cells_of(row) for row in rows]
    with (folder / "faults.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *cells])
    lines = [" | ".join(COLUMNS[:-1]), " | ".join("---" for _ in COLUMNS[:-1])]
    lines += [" | ".join(each[:-1]) for each in cells]
    table = "\n".join(f"| {each} |" for each in lines)
    (folder / "faults.md").write_text(f"{table}\n\n```\n{totals(rows)}\n```\n")


def cells_of(row: Row) -> list[str]:
    return [
        row.case_name, row.kind, row.part, verdict(row),
        ", ".join(row.rules), "" if row.epoch is None else str(row.epoch),
        "" if row.score is None else f"{row.score:.3f}", f"{row.seconds:.1f}", row.note,
    ]  # fmt: skip
