"""expkit compare: what differs between runs, and whether what came of it is more than luck."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from expkit.records.files import made_whole
from expkit.records.run.writer import explain_disk_errors
from expkit.reports.compare.comparison import Comparison
from expkit.reports.compare.named_runs import NamedComparison, compare_named
from expkit.reports.compare.screen import WIDTH, comparison_screen
from expkit.reports.plots.files import FORMATS, add_format
from expkit.terminal.arguments import Parser, add_json, add_where, each_where, place
from expkit.terminal.json_output import print_document


def main(words: Sequence[str]) -> int:
    given = _parser().parse_intermixed_args(each_where(words))
    named = compare_named(
        given.runs, where=given.where, baseline=given.baseline, metric=given.metric
    )
    if not given.json:
        _print(named)
    written: list[Path] = []
    if given.to is not None:
        written = _write(named.comparison, given.to, named.left_out, given.format)
    if given.json:
        from expkit.reports.json.comparison import comparison_document

        document = comparison_document(named.comparison, named.left_out, named.note, written)
        print_document(document)
    return 0


def _print(named: NamedComparison) -> None:
    for line in named.left_out:
        print(f"left out: {line}")
    print(comparison_screen(named.comparison))
    if named.note:
        text = f"note: {named.note}"
        print("\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False)))


def _parser() -> Parser:
    parser = Parser(
        "expkit compare",
        description="What differs between runs, their figures with the difference to a baseline, "
        "and whether that is more than luck. Runs alike but for their seed are one recipe.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a path, a part of a run's name, last, a sweep, a folder of runs, an exported "
        "folder, or a glob of these",
    )
    parser.add_argument("--baseline", metavar="RUN", help="default: the first run")
    parser.add_argument("--metric", metavar="M", help="as accuracy, val/macro_f1, recall[CLASS]")
    add_where(parser)
    parser.add_argument(
        "--to",
        type=place,
        metavar="FOLDER",
        help="write compare.html, .md, .csv, changes.csv and plots",
    )
    add_format(parser)
    add_json(parser)
    return parser


def _write(
    comparison: Comparison, folder: Path, left_out: Sequence[str], plot_format: str | None
) -> list[Path]:
    from expkit.reports.compare.page import NO_IMAGE, write_comparison

    with explain_disk_errors(folder), made_whole(folder):
        written = write_comparison(comparison, folder, left_out, plot_format)
    print("\n".join(["", *map(str, written)]))
    if not any(path.suffix.lstrip(".") in FORMATS for path in written):
        print(NO_IMAGE)
    return written
