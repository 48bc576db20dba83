"""The result of a run, on one screen of the terminal."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.reports import formatting
from expkit.reports.run import findings
from expkit.reports.run.ensemble import MAX_SHOWN, members_table, sentences
from expkit.sanitize import one_line

WIDTH = 90
# those that a screen has room for, besides what the criteria ask; report.md has all
MAIN_METRICS = frozenset(
    {
        *("accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss"),
        *("calibration_error", "mae", "rmse", "r2"),
    }
)
Rows = list[str]


def closing_screen(summary: Mapping[str, Any], path: Path) -> str:
    """The summary as plain text; only names and paths may pass 90 columns, as they are copied."""
    lines = [
        f"{summary['run']}: {_headline(summary)}",
        *_stage_lines(summary),
        *(line for text in formatting.extensions(summary) for line in labelled("extended", text)),
        *_metric_lines(summary),
        *_ensemble_lines(summary),
        *_criteria_lines(summary),
        *findings.screen_lines(summary["findings"]),
        *_unlooked_lines(summary),
        *labelled("verdict", _verdict(summary)),
        *labelled("speed", _speed(summary)),
        f"  {'folder':<8} {short(path)}",
    ]
    command = next_command(summary, path)
    if command is None:
        written = [each for each in ("report.html", "report.md") if (path / each).exists()]
        lines.append(f"  {'pages':<8} {', '.join(written)} and plots/ in that folder")
    else:
        lines.append(f"  {'next':<8} {command}")
    return "\n".join(lines)


def next_command(summary: Mapping[str, Any], path: Path) -> str | None:
    """The command that brings a run on; None where it has ended and has its pages."""
    is_watched = "not_looked" in summary  # its own program goes on with it, if any
    if summary["status"] == "interrupted" and not is_watched:
        return f"expkit resume {handle(path)}"
    if summary["status"] == "running" or not (path / "report.md").exists():
        return f"expkit plot {handle(path)}"
    return None


def _headline(summary: Mapping[str, Any]) -> str:
    progress = summary["progress"]
    if summary["status"] not in ("running", "interrupted") or progress is None:
        return str(summary["status"])
    word = "running," if summary["status"] == "running" else "interrupted after"
    return f"{word} {progress['unit']} {progress['epoch']} of {progress['stage']}"


def short(path: Path) -> str:
    """A path relative to where the user stands, where that is inside it."""
    absolute, here = path.resolve(), Path.cwd()
    shown = absolute.relative_to(here) if absolute.is_relative_to(here) else path
    return one_line(str(shown))


def handle(path: Path) -> str:
    """The argument by which commands find the run: its name in outputs/, else its path."""
    is_found = path.resolve().parent == Path.cwd() / "outputs"
    return shlex.quote(one_line(path.name) if is_found else short(path))


def labelled(label: str, text: str) -> Rows:
    """A text beside its label, over as many lines as it takes; none of an empty one."""
    if not text:
        return []
    first, *rest = textwrap.wrap(text, WIDTH - 11, break_on_hyphens=False)
    return [f"  {label:<8} {first}", *(" " * 11 + line for line in rest)]


def _stage_lines(summary: Mapping[str, Any]) -> Rows:
    """Failed stages give their whole reason; the others keep to one line each."""
    width = max((len(stage["stage"]) for stage in summary["stages"]), default=0)
    lines = []
    for stage in summary["stages"]:
        time = formatting.duration(stage["seconds"]) if stage["seconds"] else ""
        start = f"  {formatting.stage_verdict(stage):<4}  {stage['stage']:<{width}}  {time:>11}  "
        room = max(WIDTH - len(start), 30)
        wrapped = textwrap.wrap(stage["reason"], room) or [""]
        if stage["passed"] is not False and len(wrapped) > 1:
            wrapped = [textwrap.shorten(stage["reason"], room, placeholder=" ...")]
        lines.extend([start + wrapped[0], *(" " * len(start) + text for text in wrapped[1:])])
    return lines


def _metric_lines(summary: Mapping[str, Any]) -> Rows:
    metrics = summary["metrics"].get(summary["judged_split"])
    if not metrics:
        return labelled("last", last_line(summary))
    intervals = summary["intervals"][summary["judged_split"]]
    covered = formatting.interval_percent(summary, summary["judged_split"])
    known = f" ({covered} intervals)" if intervals else ""
    lines = labelled("metrics", f"{summary['judged_on']}{known}")
    asked = {criterion["metric"] for criterion in summary["criteria"]}
    main = {name for name in MAIN_METRICS if formatting.is_worth_showing(name, summary)}
    shown = {name: value for name, value in metrics.items() if name in asked | main}
    width = max([17, *map(len, shown)])
    for name, value in shown.items():
        levels = formatting.levels_of(name, summary).items()
        ends = formatting.interval(name, intervals[name]) if name in intervals else ""
        text = f"{'':11}{name:<{width}} {formatting.figure(name, value):>8} {ends:<14} "
        lines.append(f"{text}{', '.join(f'{label} {level}' for label, level in levels)}".rstrip())
    ignorance = formatting.against_ignorance(summary)
    if ignorance is not None:
        lines.append(f"           {ignorance}")
    for sentence in formatting.beside_metrics(summary):
        lines += labelled("", sentence)
    gap = summary["held_out_gap"]
    if gap is not None and gap["gap"] is not None:
        lines.append(f"           {formatting.gap(gap)}")
    return lines


def _ensemble_lines(summary: Mapping[str, Any]) -> Rows:
    """An ensemble's members with their figures, and whether it was worth it."""
    ensemble = summary.get("ensemble")
    if ensemble is None:
        return []
    head, *rows = members_table(ensemble, MAX_SHOWN).lines()
    lines = [f"  {'members':<8} {head}".rstrip(), *(f"{'':11}{row}".rstrip() for row in rows)]
    more = len(ensemble["members"]) - MAX_SHOWN
    lines += [f"{'':11}and {more} more members"] if more > 0 else []
    for label, text in sentences(ensemble):
        lines += labelled(label, text)
    return lines


def last_line(summary: Mapping[str, Any]) -> str:
    """The last line of the history, for a run that was not evaluated; empty where there is none."""
    progress = summary["progress"]
    if progress is None:
        return ""
    shown = ", ".join(f"{k} {formatting.figure(k, v)}" for k, v in progress["figures"].items())
    return f"{progress['stage']}, {progress['unit']} {progress['epoch']}: {shown}"


def _criteria_lines(summary: Mapping[str, Any]) -> Rows:
    lines = []
    label = "criteria"
    width = max([28, *(len(formatting.asked(c)) for c in summary["criteria"])])
    for c in summary["criteria"]:
        asked = formatting.asked(c)
        found = "" if c["met"] is None else f"  {formatting.reached(c)}"
        lines.append(
            f"  {label:<8} {formatting.verdict_of(c):<12} {asked:<{width}}{found}".rstrip()
        )
        lines += [f"{'':24}{noise}"] if (noise := formatting.noise_of(c)) else []
        label = ""
    return lines


def _unlooked_lines(summary: Mapping[str, Any]) -> Rows:
    """The number of rules that could not look at a watched loop, and why."""
    unlooked: Mapping[str, Sequence[str]] = summary.get("not_looked") or {}
    if not unlooked:
        return []
    count = sum(map(len, unlooked.values()))
    reasons = "; ".join(f"{one_line(reason)} ({len(names)})" for reason, names in unlooked.items())
    return labelled("unseen", f"{count} rules could not look: {reasons}")


def _verdict(summary: Mapping[str, Any]) -> str:
    return f"{summary['verdict'].upper()}: {summary['verdict_reason']}"


def _speed(summary: Mapping[str, Any]) -> str:
    parts = [f"{formatting.duration(summary['wall_seconds'])} in all"]
    if summary["samples_per_second"]:
        parts.append(f"training {summary['samples_per_second']:,.0f} samples/s")
    if summary["best_epoch"] is not None:
        parts.append(f"best epoch {summary['best_epoch']}")
    if summary["peak_memory_bytes"]:
        parts.append(f"peak memory {formatting.memory(summary['peak_memory_bytes'])}")
    return ", ".join(parts)
