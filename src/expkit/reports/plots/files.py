"""The files of plots: in which format they are drawn, and which lie in a folder."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from expkit.config.schema import Plots
from expkit.records.safe_open import list_inside
from expkit.reports.markdown import link

FORMATS: tuple[str, ...] = get_args(get_type_hints(Plots)["format"])  # the default one first


def format_of(config: Mapping[str, Any]) -> str:
    """Return the format that a recorded config asks for; an older run's asks for none."""
    plots = config.get("plots")
    given = plots.get("format") if isinstance(plots, Mapping) else None
    return given if given in FORMATS else FORMATS[0]


def add_format(parser: ArgumentParser) -> None:
    """Add `--format` to a command that draws."""
    parser.add_argument(
        "--format", choices=FORMATS, help="of the plots (what the runs' plots.format says)"
    )


def find_plots(folder: Path, stem: str = "*", root: Path | None = None) -> list[Path]:
    """The images of a folder in any format, by name; `stem` is a glob, `root` the run's."""
    return sorted(
        path for each in FORMATS for path in list_inside(folder, f"{stem}.{each}", root or folder)
    )


def link_to(plot: Path, place: str) -> str:
    """Markdown that shows a plot, or leads to a PDF, which no page shows."""
    return f"{'' if plot.suffix == '.pdf' else '!'}{link(plot.stem, place)}"
