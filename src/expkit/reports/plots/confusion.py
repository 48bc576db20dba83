"""Which classes are taken for which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from expkit.metrics.confusions import MATRIX_LIMIT, Pair, confused_pairs, count_confusions
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.reader import Run
from expkit.reports.formatting import percent, samples_of
from expkit.reports.plots import style

NUM_PAIRS = 20

Ints = npt.NDArray[np.int64]


def draw_confusion(run: Run, folder: Path) -> list[Path]:
    """On the judged split: a matrix, or the most confused pairs where it would be too large."""
    predictions = run.predictions.get(run.dataset.judged_split)
    if not isinstance(predictions, ClassPredictions):
        return []
    if len(predictions.class_names) <= MATRIX_LIMIT:
        return [_draw_matrix(run, predictions, folder / "confusion.png")]
    return [_draw_pairs(run, predictions, folder / "confused_pairs.png")]


def _title(run: Run, predictions: ClassPredictions, what: str) -> str:
    right = predictions.ranks == 0
    where = samples_of(predictions.split, len(right))
    title = f"{run.name}\n{what} on {where}, {percent(float(right.mean()))} right"
    num_ties = int(((predictions.predictions == predictions.targets) & ~right).sum())
    if num_ties:
        title += f"\n{num_ties} on the diagonal are ties or not numbers, and count as wrong"
    return title


def _draw_matrix(run: Run, predictions: ClassPredictions, path: Path) -> Path:
    counts = count_confusions(predictions)
    num_classes = len(counts)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = 0.85 if num_classes <= 6 else 0.6 if num_classes <= 15 else 0.29
    names = [style.shortened(name, 22) for name in predictions.class_names]
    margin = 0.085 * max(map(len, names)) + 0.6
    side = max(cell * num_classes, 2.6)
    rotated = 0.085 * max(map(len, names)) > side / num_classes
    width = max(side + margin + 1.3, 6.5)
    figure = style.new_figure(width, side + (margin if rotated else 0.6) + 0.9)
    axes = figure.add_subplot()
    figure.suptitle(style.wrapped(_title(run, predictions, "confusion"), width - 0.4), fontsize=11)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    small = 7 if num_classes > 15 else 9
    axes.set_xticks(range(num_classes), names, rotation=90 if rotated else 0, fontsize=small)
    axes.set_yticks(range(num_classes), names, fontsize=small)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(num_classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(num_classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#e5e5e5", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    _write_counts(axes, counts, fractions)
    bar = figure.colorbar(
        image, ax=axes, shrink=0.7, aspect=30, pad=0.02, label="fraction of the true class (row)"
    )
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    return style.save(figure, path)


def _write_counts(axes: Axes, counts: Ints, fractions: npt.NDArray[np.float64]) -> None:
    """Zeros stay blank, so that the mistakes stand out; small matrices give the fraction too."""
    num_classes = len(counts)
    size = 10 if num_classes <= 6 else 8 if num_classes <= 15 else 6
    for row, column in np.argwhere(counts):
        fraction = fractions[row, column]
        text = str(counts[row, column])
        if num_classes <= 15:
            text += f"\n{percent(fraction, 1 if num_classes <= 6 else 0)}"
        color = "white" if fraction > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def _draw_pairs(run: Run, predictions: ClassPredictions, path: Path) -> Path:
    found = confused_pairs(predictions)
    pairs = found[:NUM_PAIRS]
    figure = style.new_figure(9, 1.6 + 0.27 * max(len(pairs), 3))
    # where no pair occurs twice, all bars would be equal: show how sure each mistake was
    once = bool(pairs) and pairs[0].count == 1
    what = "most confident errors" if once else "most confused pairs"
    if len(found) > len(pairs):
        what = f"{len(pairs)} {what} of {len(found)} pairs"
    figure.suptitle(style.wrapped(_title(run, predictions, what), 8.6), fontsize=11)
    axes = figure.add_subplot()
    if not pairs:
        axes.axis("off")
        text = "no class was taken for another"
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, color=style.GREEN)
        return style.save(figure, path)
    _draw_bars(axes, pairs, predictions, once=once)
    return style.save(figure, path)


def _draw_bars(axes: Axes, pairs: list[Pair], predictions: ClassPredictions, *, once: bool) -> None:
    names = [style.shortened(name, 28) for name in predictions.class_names]
    sizes = np.bincount(predictions.targets, minlength=len(names))
    lengths = [pair.sureness if once else pair.count for pair in pairs]
    bars = axes.barh(range(len(pairs)), lengths, color=style.RED, height=0.7)
    texts = [
        f" {pair.sureness:.3g}" if once else f" {pair.count} of {sizes[pair.true]}"
        for pair in pairs
    ]
    axes.bar_label(bars, texts, fontsize=9)
    labels = [f"{names[pair.true]} → {names[pair.predicted]}" for pair in pairs]
    axes.set_yticks(range(len(pairs)), labels, fontsize=9)
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max(lengths) or 1)
    if once:
        axes.set(xlabel="probability given to the wrong class (each pair occurs once)")
    else:
        axes.set(xlabel="samples of the true class")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_ylabel("true → predicted")
