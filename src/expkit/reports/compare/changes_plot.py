"""Images of the samples that one model mends, and of those that it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import SubFigure

from expkit.records.run.reader import Run
from expkit.reports.compare.changes import Changes, Kind, prediction_of
from expkit.reports.formatting import percent, samples_of
from expkit.reports.plots import style
from expkit.reports.plots.confident_errors import as_colours

COLUMNS, MAX_OF_A_KIND = 6, 12
LINE_LENGTH = 24
SHOWN: tuple[Kind, ...] = ("fixed", "broken")

Pixels = npt.NDArray[np.uint8]


def draw_changes(changes: Changes, ours: Run, theirs: Run, path: Path) -> list[Path]:
    """A grid for the fixed and one for the broken, the most confident errors first.

    Only of samples whose images the runs' records hold; nothing where there are none.
    """
    images = images_of(changes, ours, theirs)
    chosen = {kind: _most_confident(changes, kind, images) for kind in SHOWN}
    if not any(chosen.values()):
        return []
    num_rows = {kind: -(-len(chosen[kind]) // COLUMNS) for kind in SHOWN}
    heights = [2.4 * num_rows[kind] + 0.45 for kind in SHOWN]
    figure = style.new_figure(1.85 * COLUMNS, sum(heights) + 0.8)
    where = samples_of(changes.ours.split, len(changes.ours.targets))
    title = f"{ours.name}\nbeside {theirs.name}, on {where}\ntarget, baseline → this run"
    figure.suptitle(style.wrapped(title, 1.8 * COLUMNS), fontsize=11)
    parts = figure.subfigures(len(SHOWN), 1, squeeze=False, height_ratios=heights).ravel()
    for part, kind in zip(parts, SHOWN, strict=True):
        head = _head(kind, changes.where(kind).tolist(), images)
        part.suptitle(head, fontsize=10, ha="left", x=0.01)
        if num_rows[kind]:
            _draw_kind(part, changes, chosen[kind], images, num_rows[kind])
    return [style.save(figure, path)]


def _head(kind: Kind, places: Sequence[int], images: Mapping[int, Pixels]) -> str:
    """Return how many are shown of how many, and why not all."""
    num_kept = sum(place in images for place in places)
    if not places:
        return f"{kind}: none"
    if not num_kept:
        return f"{kind}: {len(places)}, of which the records hold no image"
    shown = min(num_kept, MAX_OF_A_KIND)
    told = f"{kind}: the {shown} most confident wrong predictions of {len(places)}"
    if num_kept < len(places):
        return f"{told}, and of {num_kept} whose images the records hold"
    return told if num_kept > MAX_OF_A_KIND else f"{kind}: all {len(places)}"


def _most_confident(changes: Changes, kind: Kind, images: Mapping[int, Pixels]) -> list[int]:
    wrong = changes.theirs if kind == "fixed" else changes.ours
    places = [place for place in changes.where(kind).tolist() if place in images]
    places.sort(key=lambda place: -float(prediction_of(wrong, place)[1]))
    return places[:MAX_OF_A_KIND]


def _draw_kind(
    part: SubFigure,
    changes: Changes,
    places: list[int],
    images: Mapping[int, Pixels],
    num_rows: int,
) -> None:
    panels = part.subplots(num_rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, place in zip(panels, places, strict=False):
        panel.imshow(as_colours(images[place]), interpolation="nearest", vmin=0, vmax=255)
        answers = [
            f"{style.shortened(name, LINE_LENGTH - 10)}, {percent(float(confidence))}"
            for name, confidence in (
                prediction_of(side, place) for side in (changes.theirs, changes.ours)
            )
        ]
        target = changes.ours.class_names[changes.ours.targets[place]]
        lines = [style.shortened(target, LINE_LENGTH), answers[0], f"→ {answers[1]}"]
        panel.set_title("\n".join(lines), fontsize=7.5)
        name = style.shortened(Path(changes.ours.samples[place]).name, LINE_LENGTH)
        panel.text(0.5, -0.03, name, transform=panel.transAxes, ha="center", va="top", fontsize=6)


def images_of(changes: Changes, ours: Run, theirs: Run) -> dict[int, Pixels]:
    """By place in the split: from the runs' kept mistakes, or cut from a puzzle's image."""
    split = changes.ours.split
    found = {}
    places = {name: place for place, name in enumerate(changes.ours.samples)}
    for run in (ours, theirs):
        arrays = run.samples(f"wrong_{split}")
        if arrays is not None:
            for name, image in zip(arrays["names"].tolist(), arrays["images"], strict=True):
                if name in places:
                    found[places[name]] = image
    return {**_pieces(ours, split), **found}


def _pieces(run: Run, split: str) -> dict[int, Pixels]:
    layout = run.dataset.layouts.get(split)
    image = None if layout is None else run.image(layout)
    if layout is None or image is None:
        return {}
    pixels = np.asarray(image)
    height, width = pixels.shape[0] // layout.rows, pixels.shape[1] // layout.columns
    pieces = {}
    for place, cell in enumerate(layout.cells):
        row, column = divmod(cell, layout.columns)
        top, left = row * height, column * width
        pieces[place] = pixels[top : top + height, left : left + width]
    return pieces
