"""The style of all plots, and how one is saved."""

from __future__ import annotations

import contextlib
import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from expkit.records.files import write_aside
from expkit.reports.plots.files import FORMATS

# Okabe and Ito: told apart by the colour-blind, and by their lightness in a grey print
GREEN, RED, BLUE, SKY = "#009E73", "#D55E00", "#0072B2", "#56B4E9"
ORANGE, PURPLE, GREY, BLACK = "#E69F00", "#CC79A7", "#777777", "#111111"
STRIPE = "#f4f4f4"  # behind every second row
LINES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)  # of one plot, in their order

# of the plots that are being drawn
FORMAT: ContextVar[str] = ContextVar("FORMAT", default=FORMATS[0])
KEPT: ContextVar[dict[str, Figure] | None] = ContextVar("KEPT", default=None)

DPI = 110
RC: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,  # a class may be called "$5"
}

Pixels = npt.NDArray[np.uint8]


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw with our settings, and leave the caller's as they were."""
    with mpl.rc_context(RC), warnings.catch_warnings():
        # a class name in a script that the font lacks is drawn as boxes, which is enough
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@contextlib.contextmanager
def in_format(plot_format: str) -> Iterator[None]:
    """Save every plot in this format, whatever its path ends with."""
    token = FORMAT.set(plot_format)
    try:
        yield
    finally:
        FORMAT.reset(token)


@contextlib.contextmanager
def kept() -> Iterator[dict[str, Figure]]:
    """Keep the figures by their names, and write no file."""
    figures: dict[str, Figure] = {}
    token = KEPT.set(figures)
    try:
        yield figures
    finally:
        KEPT.reset(token)


class Plot(Figure):
    """A figure that a notebook shows, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        with styled():
            return _encode_pixels(self, None)


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches that arranges itself so that nothing overlaps."""
    figure = Plot(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def pixel_figure(width: int, height: int) -> Figure:
    """A figure in pixels whose axes are placed by hand: sharp, and quick for many of them."""
    figure = Plot(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def pixel_axes(figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
    """Axes whose upper left corner lies so many pixels from that of the figure."""
    whole_width, whole_height = figure.get_size_inches() * DPI
    bottom = whole_height - top - height
    return figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    )


def save(figure: Figure, path: Path, *, num_colors: int | None = None) -> Path:
    """Write a plot in the format that is asked for; the path that it was given.

    A palette makes a PNG of few colours over a photograph smaller.
    """
    path = path.with_suffix(f".{FORMAT.get()}")
    if (figures := KEPT.get()) is not None:
        figures[path.stem] = figure
        return path
    data = _encode_pixels(figure, num_colors) if path.suffix == ".png" else _encode_lines(figure)
    write_aside(path, data)
    return path


def _encode_lines(figure: Figure) -> bytes:
    """An SVG or a PDF, without a date: the same records give the same bytes."""
    stream, kind = io.BytesIO(), FORMAT.get()
    undated = {"svg": "Date", "pdf": "CreationDate"}[kind]
    with mpl.rc_context({"svg.hashsalt": "expkit", "pdf.fonttype": 42}):
        figure.savefig(stream, format=kind, metadata={undated: None})
    return stream.getvalue()


def _encode_pixels(figure: Figure, num_colors: int | None) -> bytes:
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    image = Image.fromarray(pixels).convert("RGB")
    if num_colors is not None:
        image = image.quantize(num_colors, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    image.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()


def wrapped(text: str, inches: float, size: float = 11) -> str:
    """Text broken so that it fits a width; a long name without spaces at its underscores."""
    characters = int(inches * 72 / (0.58 * size))
    lines = [""]
    for given in text.splitlines():
        for part in re.findall(r"[^ _/,-]*[ _/,-]?", given):
            if lines[-1] and len(lines[-1]) + len(part.rstrip()) > characters:
                lines.append("")
            lines[-1] += part
        lines.append("")
    broken = [textwrap.wrap(line, characters) or [""] for line in lines[:-1]]
    return "\n".join(part for parts in broken for part in parts)


def shortened(name: str, length: int) -> str:
    """A name cut to a length, and seen to be cut."""
    return name if len(name) <= length else name[: length - 1] + "…"


def plain_log_ticks(axes: Axes) -> None:
    """0.02 and 10 instead of powers, which the eye need not translate."""
    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    subs = (1.0,) if decades > 5 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(range(1, 10))
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
