"""Parts of a run's page that its Markdown and its HTML share."""

from __future__ import annotations

from expkit.records.run.kept_temperature import read_temperature
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import read_thresholds
from expkit.reports import formatting, markdown
from expkit.reports.run import summary_tables
from expkit.reports.run.summary import Summary
from expkit.reports.run.temperature_page import temperature_screen
from expkit.reports.run.threshold_page import threshold_screen

SELECTIVE = (
    "Errors among the samples that are kept where the least sure are withheld. AURC is the mean "
    "error rate over all fractions kept: 0 is perfect, the error rate itself is no order at all."
)


def metrics_section(summary: Summary) -> list[str]:
    """The figures of every split, and what is to be said of the judged one's."""
    if not summary["metrics"]:
        return []
    judged = f"Judged on `{summary['judged_split']}`: {markdown.plain(summary['judged_on'])}."
    parts = ["## Metrics", judged, summary_tables.metrics_table(summary)]
    ignorance = formatting.against_ignorance(summary)
    if ignorance is not None:
        parts.append(f"**The accuracy is {ignorance}.**")
    parts += [f"{text[0].upper()}{text[1:]}." for text in formatting.beside_metrics(summary)]
    gap = summary["held_out_gap"]
    if gap is not None and gap["gap"] is not None:
        sentence = formatting.gap(gap)
        parts.append(f"{sentence[0].upper()}{sentence[1:]}.")
    return parts


def selective_section(summary: Summary) -> list[str]:
    """The errors among the most confident predictions."""
    table = summary_tables.selective_table(summary)
    return ["## Selective prediction", SELECTIVE, table] if table else []


def temperature_section(run: Run) -> list[str]:
    kept = read_temperature(run.path)
    screen = None if kept is None else temperature_screen(kept, run)
    return ["## Calibration", markdown.block(screen)] if screen else []


def thresholds_section(run: Run) -> list[str]:
    thresholds = read_thresholds(run.path)
    screens = [markdown.block(threshold_screen(each, run.dataset)) for each in thresholds]
    return ["## Thresholds", *screens] if screens else []


def speed(summary: Summary) -> str:
    parts = [f"{formatting.duration(summary['wall_seconds'])} in all"]
    if summary["samples_per_second"]:
        parts.append(f"{summary['samples_per_second']:,.0f} samples a second in training")
    if summary["peak_memory_bytes"]:
        parts.append(f"{formatting.memory(summary['peak_memory_bytes'])} of memory at the peak")
    return ", ".join(parts) + "."
