"""index.html of a folder of runs: all of them in one page that lists, filters and compares."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.records.exported import RECORDS
from expkit.records.files import write_aside
from expkit.records.find_runs import INDEX
from expkit.records.run.reader import Run
from expkit.records.safe_open import is_file, read_file
from expkit.records.sweep.folder import is_sweep
from expkit.reports import formatting
from expkit.reports.html.charts import points_of
from expkit.reports.html.rendering import plain_data, render
from expkit.reports.html.written_page import last_training
from expkit.reports.runs.entries import RunEntry
from expkit.reports.runs.listing import list_entries

PAGES = {"run": "report.html", "sweep": "sweep.html", "exported": f"{RECORDS}/report.html"}
MAX_CURVES = 400  # of the newest runs
MAX_POINTS = 40
CURVES = ("val/accuracy", "train/accuracy", "val/loss", "train/loss")  # the first that is there
DATA = re.compile(rb'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
# of a row: where these are what they were, so is all else of it
COLUMNS = (
    *("name", "kind", "status", "started", "seconds", "objective", "value", "shown", "verdict"),
    *("findings", "remark", "tags", "notes", "num_bytes", "size", "page"),
)
Row = list[Any]


def write_index(folder: Path) -> Path:
    """Write index.html of a folder; what did not change is taken from the last one."""
    path = folder / INDEX
    _refuse_handwritten(path)
    known = _read_rows(path)
    entries = list_entries(folder)
    rows = []
    for place, entry in enumerate(reversed(entries)):  # newest first
        row = plain_data(_line(entry))
        before = known.get(row[0])
        with_curve = place < MAX_CURVES
        if before is None or before[:-1] != row or ("curve" in before[-1]) != with_curve:
            row.append(plain_data(_facts(entry, with_curve=with_curve)))
        else:
            row.append(before[-1])
        rows.append(row)
    data = {"columns": COLUMNS, "rows": rows}
    write_aside(path, render("index.html", folder=folder.absolute().name, num=len(rows), data=data))
    return path


def _refuse_handwritten(path: Path) -> None:
    """A page that a person has put there is not written over."""
    if is_file(path) and (page := read_file(path)).strip() and DATA.search(page) is None:
        raise UserError(
            f"'{path}' is no list of runs that expkit made: it would be written over",
            where=str(path),
            fix=f"move it, then expkit runs {path.parent} --html",
        )


def refresh_index(path: Path) -> None:
    """Write the index beside a run or a sweep that has ended, if that can be done.

    A job's run is told by its sweep.
    """
    if is_sweep(path.parent):
        return
    with contextlib.suppress(UserError, OSError):  # the run is whole without it
        write_index(path.parent)


def _read_rows(path: Path) -> dict[str, Row]:
    """The rows of the page as it was written last, by name; none of one that is none of ours."""
    try:
        found = DATA.search(read_file(path)) if is_file(path) else None
        data = json.loads(found[1], parse_constant=_refuse) if found else {}
        rows = data["rows"] if data.get("columns") == list(COLUMNS) else []
        whole = len(COLUMNS) + 1
        return {
            row[0]: row
            for row in rows
            if len(row) == whole and isinstance(row[0], str) and isinstance(row[-1], dict)
        }
    except (UserError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _refuse(constant: str) -> None:
    """Refuse a number that is none, which no browser would read."""
    raise ValueError(constant)


def _line(entry: RunEntry) -> Row:
    page = PAGES[entry.kind]
    is_shown = entry.value is not None and bool(entry.objective)
    shown = formatting.figure(entry.objective, entry.value) if is_shown else ""
    if entry.interval is not None:
        shown += f" ({formatting.interval(entry.objective, entry.interval)})"
    return [
        entry.name,
        entry.kind,
        entry.status,
        None if entry.started is None else entry.started.strftime("%Y-%m-%d %H:%M"),
        None if entry.seconds is None else round(entry.seconds, 1),
        entry.objective,
        entry.value,
        shown,
        entry.verdict,
        list(entry.findings),
        entry.remark,
        list(entry.tags),
        [[note.at, note.text] for note in entry.notes],
        entry.num_bytes,
        formatting.memory(entry.num_bytes),
        page if (entry.path / page).is_file() else "",
    ]


def _facts(entry: RunEntry, *, with_curve: bool) -> dict[str, Any]:
    """What a run is filtered by and compared in, beside its line."""
    facts = entry.facts
    metrics = {
        f"{split}/{name}": value
        for split, each in facts.metrics.items()
        for name, value in each.items()
    }
    found: dict[str, Any] = {
        "choices": dict(facts.choices),
        "settings": _asked(facts.overrides, facts.settings, facts.choices),
        "metrics": metrics,
        "judged": facts.judged_split,
    }
    if with_curve:
        found["curve"] = _curve(entry) if entry.kind == "run" else None
    return found


def _asked(
    overrides: Sequence[str], settings: Mapping[str, Any], choices: Mapping[str, str]
) -> dict[str, Any]:
    """The settings that were asked for, as the config has them; choices stand by themselves."""
    keys = [word.lstrip("+~").partition("=")[0] for word in overrides]
    own = [key for key in dict.fromkeys(["seed", *keys]) if key not in choices]
    return {key: settings[key] for key in own if key in settings}


def _curve(entry: RunEntry) -> dict[str, Any] | None:
    """The last training's curve in a few points."""
    try:
        records = last_training(Run(entry.path))
    except (UserError, OSError):
        return None
    for key in CURVES:
        if len(points := points_of(records, key)) > 1:
            step = -(-len(points) // MAX_POINTS)
            chosen = [*points[:-1:step], points[-1]]
            return {
                "metric": key,
                "points": [[x, None if y is None else _short(y)] for x, y in chosen],
            }
    return None


def _short(value: float) -> float:
    return float(f"{value:.4g}")
