"""A run in a notebook's cell: its verdict, metrics, criteria, findings and stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expkit.api import html
from expkit.diagnosis.finding import Finding
from expkit.reports import formatting
from expkit.reports.run.findings import BY_SEVERITY, describe
from expkit.reports.run.run_screen import short

KINDS = {"met": "good", "not met": "bad", "not judged": "open"}
STATUSES = {"finished": "good", "failed": "bad", "interrupted": "bad", "running": "open"}
SEVERITIES = {"fatal": "bad", "warning": "bad", "info": "open"}


def headline(summary: Mapping[str, Any]) -> str:
    """Return a run in a few words: `finished, met; test accuracy 95.93 %`."""
    split = summary["judged_split"]
    figures = summary["metrics"].get(split) or {}
    name = next((each for each in ("accuracy", "rmse") if each in figures), None)
    figure = f"; {split} {name} {formatting.figure(name, figures[name])}" if name else ""
    return f"{summary['status']}, {summary['verdict']}{figure}"


def run_html(summary: Mapping[str, Any], path: Path) -> str:
    """Return the run as HTML that is whole in itself, and escaped."""
    verdict, status = str(summary["verdict"]), str(summary["status"])
    return html.box(
        html.paragraph(
            f"<b>{html.text(summary['run'])}</b>",
            html.mark(status, STATUSES[status]),
            html.mark(verdict, KINDS.get(verdict, "open")),
        ),
        html.paragraph(html.text(summary["verdict_reason"])),
        _metrics(summary),
        _criteria(summary),
        *_findings(summary),
        html.folded("stages", _stages(summary)),
        html.paragraph(f'<span style="opacity:.7">{html.text(short(path))}</span>'),
    )


def _metrics(summary: Mapping[str, Any]) -> str:
    """The judged split's, with their intervals and baselines; the other splits' beside them."""
    judged, found = summary["judged_split"], summary["metrics"]
    if not found.get(judged):
        return ""
    others = [split for split in found if split != judged]
    asked = {criterion["metric"] for criterion in summary["criteria"]}
    rows = []
    for name, value in found[judged].items():
        if name not in asked and not formatting.is_worth_showing(name, summary):
            continue
        levels = formatting.levels_of(name, summary)
        rows.append(
            [
                name,
                formatting.figure(name, value),
                formatting.interval(name, summary["intervals"].get(judged, {}).get(name)),
                *(levels.get(label, "-") for label in formatting.level_names(summary)),
                *(_other(name, found[split]) for split in others),
            ]
        )
    covered = f"{formatting.interval_percent(summary, judged)} interval"
    header = ["metric", judged, covered, *formatting.level_names(summary), *others]
    return html.paragraph(html.text(summary["judged_on"])) + html.table(header, rows)


def _other(name: str, figures: Mapping[str, float | None]) -> str:
    return formatting.figure(name, figures[name]) if name in figures else "-"


def _criteria(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            formatting.asked(each),
            formatting.reached(each),
            ", ".join(filter(None, (formatting.verdict_of(each), formatting.noise_of(each)))),
        ]
        for each in summary["criteria"]
    ]
    return html.table(["criterion", "reached", "verdict"], rows)


def _findings(summary: Mapping[str, Any]) -> list[str]:
    """Each by its sentence; its evidence, cause and next command are folded."""
    parts = []
    for finding in map(Finding.from_json, summary["findings"]):
        word = html.mark(BY_SEVERITY[finding.severity].lower(), SEVERITIES[finding.severity])
        head = f"<b>{html.text(finding.rule)}</b>: {html.text(finding.sentence)}"
        parts.append(
            '<details style="margin:3px 0"><summary style="cursor:pointer">'
            f"{word} {head}</summary>{html.block(describe(finding))}</details>"
        )
    return parts


def _stages(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            each["stage"],
            formatting.stage_verdict(each),
            formatting.duration(each["seconds"]) if each["seconds"] else "-",
            each["reason"],
        ]
        for each in summary["stages"]
    ]
    return html.table(["stage", "verdict", "time", "why"], rows)
