"""Drift of incoming images in words: what differs, in numbers, and no cause."""

from __future__ import annotations

from expkit.metrics.drift import STEP, Comparison, DriftWatch, Look
from expkit.metrics.percentages import percent, percent_range
from expkit.reports.tables import aligned
from expkit.sanitize import one_line

MOST_ALIKE = 6  # figures that do not differ, in a summary


def describe_look(look: Look) -> list[str]:
    """A line for each figure that has begun to differ, or has ceased to; none of a quiet look."""
    return [
        *(f"drift begins: {_sentence(each)}" for each in look.began),
        *(f"drift ends: {_sentence(each)}" for each in look.ended),
    ]


def summarize_drift(watch: DriftWatch) -> list[str]:
    """The figures of the last look, those that differ first; none where nothing is watched."""
    nothing_known = watch.last is None and watch.num_seen >= STEP
    if nothing_known or (watch.held_out is None and watch.images is None):
        return []
    if watch.last is None:
        return [f"drift     not looked for yet: {watch.num_seen} of {STEP} images"]
    figures = watch.last.figures
    differing = [each for each in figures if each.name in watch.differing]
    alike = sorted((e for e in figures if e.name not in watch.differing), key=lambda e: e.p)
    listed = [*differing, *alike[:MOST_ALIKE]]
    num_images = max(each.num_images for each in figures)
    lines = aligned([_cells(each, each in differing) for each in listed])
    if more := len(figures) - len(listed):
        lines.append(f"and {more} more that {'does' if more == 1 else 'do'} not differ")
    return [
        f"drift     {len(differing)} of {len(figures)} figures of the last {num_images} images "
        f"{'differs' if len(differing) == 1 else 'differ'} beyond chance (look {watch.num_looks})",
        *(f"          {line}" for line in lines),
    ]


def _sentence(figure: Comparison) -> str:
    value, ends, expected = _numbers(figure)
    return (
        f"{one_line(figure.name)}: {value} of the last {figure.num_images} images ({ends}), "
        f"{expected} of {figure.of}"
        if figure.is_fraction
        else f"{one_line(figure.name)}: {value} in the last {figure.num_images} images ({ends}), "
        f"{expected} in {figure.of}"
    )


def _cells(figure: Comparison, differs: bool) -> list[str]:
    value, ends, expected = _numbers(figure)
    name, of = (
        one_line(figure.name),
        f"{expected} {'of' if figure.is_fraction else 'in'} {figure.of}",
    )
    return [name, value, f"({ends})", of, "differs" if differs else ""]


def _numbers(figure: Comparison) -> tuple[str, str, str]:
    """The value, its 95 % interval and the expectation."""
    if figure.is_fraction:
        value, expected = percent(figure.value, 1), percent(figure.expected, 1)
        most = "at most " if figure.at_most else ""
        return value, percent_range(*figure.interval), f"{most}{expected}"
    low, high = figure.interval
    return f"{figure.value:.1f}", f"{low:.1f} to {high:.1f}", f"{figure.expected:.1f}"
