"""The list of runs on a terminal: a line each, no wider than the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from expkit.diagnosis.finding import counted
from expkit.errors import UserError, nearest_of
from expkit.metrics.names import METRICS, Measure
from expkit.reports import formatting
from expkit.reports.compare.filter import NOTHING, shown, value_of
from expkit.reports.runs.entries import RunEntry
from expkit.reports.tables import GAP, aligned
from expkit.sanitize import cut_off, one_line

DEFAULT = ("name", "status", "objective", "verdict", "findings", "tags", "size")
MAX_NAMES = 2  # of findings or tags, in a line
# what gives way on a narrow screen, in this order, and the width that it keeps
FLEXIBLE = {"notes": 20, "remark": 20, "findings": 14, "tags": 10, "objective": 24, "name": 24}
LEAST = 8  # of any other column


def _few(names: Sequence[str]) -> str:
    """The first by name, and how many more there are."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" +{more}" if more > 0 else "")


def _objective(entry: RunEntry, *, with_interval: bool = True) -> str:
    """`test/accuracy 94.21 % (92.8 to 95.4 %)`; without it, how far it is or what is wrong."""
    if entry.value is None:
        return entry.remark
    found, ends = formatting.figure(entry.objective, entry.value), ""
    if with_interval and entry.interval is not None:
        ends = formatting.interval(entry.objective, entry.interval)
    remark = f"; {entry.remark}" if entry.remark else ""
    return f"{entry.objective} {found}{f' ({ends})' if ends else ''}{remark}"


COLUMNS: Mapping[str, Callable[[RunEntry], str]] = {
    "name": lambda entry: entry.name,
    "kind": lambda entry: entry.kind,
    "status": lambda entry: entry.status,
    "started": lambda entry: f"{entry.started:%Y-%m-%d %H:%M}" if entry.started else "",
    "time": lambda entry: "" if entry.seconds is None else formatting.duration(entry.seconds),
    "objective": _objective,
    "verdict": lambda entry: entry.verdict,
    "findings": lambda entry: _few(entry.findings),
    "tags": lambda entry: _few(entry.tags),
    "notes": lambda entry: entry.notes[-1].text if entry.notes else "",
    "remark": lambda entry: entry.remark,
    "size": lambda entry: formatting.memory(entry.num_bytes),
}
# what lines are sorted by, where that is not what a column shows
ORDER: Mapping[str, Callable[[RunEntry], float | None]] = {
    "started": lambda entry: entry.started.timestamp() if entry.started else None,
    "time": lambda entry: entry.seconds,
    "objective": lambda entry: entry.value,
    "findings": lambda entry: len(entry.findings),
    "size": lambda entry: entry.num_bytes,
}


def sort_entries(entries: Sequence[RunEntry], key: str) -> list[RunEntry]:
    """Return them by a column, setting or figure: those without it first, the largest last.

    With a minus before the key the largest comes first; numbers stand before words.
    """
    name = key.removeprefix("-")
    read = ORDER.get(name) or COLUMNS.get(name) or _reader(name, entries, f"--sort {key}")
    values = [read(entry) for entry in entries]
    places = range(len(entries))
    lacking = [place for place in places if values[place] in (None, NOTHING)]
    known = sorted(set(places) - set(lacking), key=lambda place: _rank(values[place]))
    if key.startswith("-"):
        return [entries[place] for place in [*reversed(known), *lacking]]
    return [entries[place] for place in [*lacking, *known]]


def _rank(value: Any) -> tuple[int, float, str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, value, "") if is_number else (1, 0.0, shown(value))


def _reader(key: str, entries: Sequence[RunEntry], where: str) -> Callable[[RunEntry], Any]:
    """Return what reads a setting, a choice or a figure; refused where no run has it."""
    if entries and all(value_of(entry, key) is NOTHING for entry in entries):
        settings = dict.fromkeys(name for entry in entries for name in entry.settings)
        figures = dict.fromkeys(
            name for entry in entries for each in entry.metrics.values() for name in each
        )
        raise UserError(
            f"no run has a '{key}'",
            where=where,
            nearest=nearest_of(key, [*COLUMNS, *figures, *settings]),
            allowed=f"{', '.join(COLUMNS)}; a key of the config, as optimizer.lr or model; a "
            f"metric, as {', '.join([*list(figures)[:3], 'val/accuracy'])}",
        )
    return lambda entry: value_of(entry, key)


def runs_screen(entries: Sequence[RunEntry], columns: Sequence[str], width: int | None) -> str:
    """Return a line an entry under a header; as wide as it takes where no width is given."""
    named = [_column(name, entries) for name in columns]
    rows = [[one_line(read(entry)) for read in named] for entry in entries]
    if tuple(columns) == DEFAULT:
        columns, rows = _without_empty(columns, rows)
    table = [list(columns), *rows]
    if width is not None and _width_of(table) > width:
        if "objective" in columns:
            place = columns.index("objective")
            for row, entry in zip(rows, entries, strict=True):
                row[place] = one_line(_objective(entry, with_interval=False))
        _narrow(table, width)
    lines = [line if width is None else cut_off(line, width) for line in aligned(table)]
    return "\n".join([*lines, "", _total(entries)])


def _column(name: str, entries: Sequence[RunEntry]) -> Callable[[RunEntry], str]:
    if name in COLUMNS:
        return COLUMNS[name]
    read = _reader(name, entries, f"--columns {name}")
    is_figure = any(Measure.parse(name).metric in names for names in METRICS.values())

    def cell(entry: RunEntry) -> str:
        value = read(entry)
        if value is NOTHING:
            return "-"
        return formatting.figure(name, value) if is_figure else shown(value)

    return cell


def _without_empty(
    columns: Sequence[str], rows: Sequence[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns that no line has anything in."""
    places = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    return [columns[p] for p in places], [[row[p] for p in places] for row in rows]


def _width_of(table: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _narrow(table: list[list[str]], width: int) -> None:
    """Cut the cells of the columns that give way until the lines fit."""
    header = list(table[0])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    order = [name for name in FLEXIBLE if name in header]
    for name in [*order, *(each for each in header if each not in order)]:
        place = header.index(name)
        excess = _width_of(table) - width
        if excess <= 0:
            return
        kept = min(widths[place], max(FLEXIBLE.get(name, LEAST), widths[place] - excess))
        for row in table:
            row[place] = cut_off(row[place], kept)


def _total(entries: Sequence[RunEntry]) -> str:
    """`24 runs, 2 sweeps, 1.20 GB`; a sweep's runs are a part of it."""
    nouns = {"run": "run", "sweep": "sweep", "exported": "exported model"}
    counts = {kind: sum(entry.kind == kind for entry in entries) for kind in nouns}
    parts = [counted(count, nouns[kind]) for kind, count in counts.items() if count]
    sweeps = {entry.path for entry in entries if entry.kind == "sweep"}
    num_bytes = sum(entry.num_bytes for entry in entries if entry.path.parent not in sweeps)
    return ", ".join([*parts, formatting.memory(num_bytes)])
