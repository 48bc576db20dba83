"""A picture of an ablation: how far each change lies from the recipe, and how surely."""

from __future__ import annotations

import statistics
from pathlib import Path

from matplotlib.axes import Axes

from expkit.records.measures import is_lower_better
from expkit.records.sweep import Sweep
from expkit.reports import style, wording
from expkit.reports.ablation import AblationResult, Worth, measure_ablation

COLORS = {"helps": style.GREEN, "hurts": style.RED}
ROW_INCHES = 0.42


def draw_ablation(sweep: Sweep, folder: Path) -> Path | None:
    """A row a change, the costliest on top; None where there is nothing to be drawn."""
    result = measure_ablation(sweep)
    shown = [] if result is None else [worth for worth in result.worths if worth.pairs]
    if result is None or not shown:
        return None
    with style.styled():
        figure = style.new_figure(9, 1.7 + ROW_INCHES * len(shown))
        figure.suptitle(style.wrapped(title_of(result), 8.6), fontsize=11)
        axes = figure.add_subplot()
        for row, worth in enumerate(shown):
            _draw_worth(axes, row, worth, _scale(result))
        _label(axes, result, shown)
        return style.save(figure, folder / "ablation.png")


def title_of(result: AblationResult) -> str:
    """The finding: which changes matter, and how many show nothing."""
    told = [
        f"{', '.join(names)} {verb if len(names) == 1 else verb.removesuffix('s')}"
        for verb in ("hurts", "helps")
        if (names := [worth.name for worth in result.worths if worth.word == verb])
    ]
    silent = [worth for worth in result.worths if worth.word not in COLORS and worth.verdict]
    if silent:
        verb = "shows" if len(silent) == 1 else "show"
        told.append(f"{len(silent)} of {len(result.worths)} {verb} no evidence of a difference")
    untested = [worth.name for worth in result.worths if not worth.verdict]
    if untested:
        told.append(f"{', '.join(untested)}: too few figures to tell")
    return f"{result.objective}: {'; '.join(told)}"


def _scale(result: AblationResult) -> float:
    return 100 if wording.is_share(result.objective) else 1


def _limits(shown: list[Worth], scale: float) -> tuple[float, float]:
    """All dots; an interval of two seeds may be ten times as wide, and runs out of the picture."""
    gaps = [0.0, *(scale * (ours - theirs) for worth in shown for ours, theirs in worth.pairs)]
    margin = 0.2 * (max(gaps) - min(gaps)) or 1.0
    return min(gaps) - margin, max(gaps) + margin


def _draw_worth(axes: Axes, row: int, worth: Worth, scale: float) -> None:
    color = COLORS.get(worth.word, style.GREY)
    axes.barh(row, scale * worth.gain, 0.55, color=color, alpha=0.35)
    gaps = [scale * (ours - theirs) for ours, theirs in worth.pairs]
    if worth.difference is not None and worth.difference.interval is not None:
        ends = [scale * end for end in worth.difference.interval]
        axes.plot(ends, [row, row], color=color, linewidth=2, marker="|", markersize=9)
    axes.plot(gaps, [row] * len(gaps), "o", color=color, markersize=4)


def _label(axes: Axes, result: AblationResult, shown: list[Worth]) -> None:
    axes.axvline(0, color=style.BLACK, linewidth=1)
    axes.set_yticks(range(len(shown)), [style.shortened(worth.name, 32) for worth in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(_limits(shown, _scale(result)))
    unit = " in points" if wording.is_share(result.objective) else ""
    side = "left" if is_lower_better(result.objective) else "right"
    counts = {len(worth.pairs) for worth in shown}
    seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{min(counts)}"
    recipe = wording.figure(result.objective, statistics.fmean(result.recipe))
    axes.set_xlabel(
        f"difference to the recipe ({recipe}){unit}, better to the {side}; "
        f"dots: {seeds} seeds, line: 95 % interval"
    )
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
