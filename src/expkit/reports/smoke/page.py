"""A smoke test as Markdown, for the page that GitHub shows of a job."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.reports import formatting, markdown
from expkit.reports.smoke.outcome import GateOutcome, SmokeOutcome
from expkit.reports.tables import Table

SIGNS = {"passed": "✅", "failed": "❌", "error": "❌", "skipped": "-"}


def closing_line(outcomes: Sequence[SmokeOutcome], seconds: float) -> str:
    """`12 of 13 passed every gate, in 41.0 s`."""
    num_passed = sum(outcome.passed for outcome in outcomes)
    duration = formatting.duration(seconds)
    return f"{num_passed} of {len(outcomes)} passed every gate, in {duration}"


def summary_page(outcomes: Sequence[SmokeOutcome], seconds: float) -> str:
    """A table with a row a model, then what is known of each that failed."""
    names = list(dict.fromkeys(gate.name for each in outcomes for gate in each.gates))
    table = Table(
        ["", *names, "time"],
        [[each.name, *_cells(each, names), formatting.duration(each.seconds)] for each in outcomes],
    )
    parts = ["## expkit smoke", closing_line(outcomes, seconds), table.markdown()]
    for each in outcomes:
        if each.details:
            parts += [f"### {markdown.plain(each.name)}", markdown.block(each.details)]
    return "\n\n".join(parts) + "\n"


def _cells(outcome: SmokeOutcome, names: Sequence[str]) -> list[str]:
    by_name = {gate.name: gate for gate in outcome.gates}
    return [_cell(by_name[name]) if name in by_name else "" for name in names]


def _cell(gate: GateOutcome) -> str:
    return f"{SIGNS[gate.status]} {gate.reason}".strip()
