"""expkit latency: how long a run's model takes to predict, and how large it is."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.hardware import count_cores
from expkit.records.run.find_run import find_run
from expkit.records.run.kept_latency import MOST_SETTINGS, KeptLatency, keep_latency
from expkit.records.run.reader import Run
from expkit.records.run.writer import explain_disk_errors
from expkit.records.safe_open import make_inside
from expkit.reports.formatting import duration as in_words
from expkit.reports.run.latency_page import latency_screen
from expkit.runner.run import EXIT_FAILED, EXIT_PASSED, without_collector
from expkit.terminal.arguments import Parser, add_json, counts, duration, thread_counts
from expkit.terminal.json_output import print_document

DESCRIPTION = (
    "Time a run's model after warm-up: median and tails of one batch, prepared images to "
    "outputs, on images that the run kept. Several batch sizes or numbers of threads are "
    "measured in turns, each combination for --seconds. Denormal numbers are counted, and what "
    "they cost. The figures go to latency.json in the run's folder, and to plots/latency.png; "
    "where none can be written there, they stand on the screen alone. Exit code 1 where there was "
    "no memory for some of the settings."
)


def main(words: Sequence[str]) -> int:
    arguments = _read_words(words)
    _refuse_many(arguments.batch, arguments.threads)
    run = find_run(arguments.run)
    _ = run.weights  # without any it is refused before torch is loaded
    with without_collector():
        from expkit.runner.latency import measure_run, settings_of
        from expkit.runner.restoring import restore

    changes: dict[str, Any] = {"precision": arguments.precision, "threads": None}
    if run.trained.exported is not None and arguments.threads:
        changes["threads"] = _one_number(arguments.threads)
    changes |= {"name": arguments.device} if arguments.device else {}
    restored = restore(run, trusted=arguments.trust, device=changes)
    kind = restored.device.torch_device.type
    settings = settings_of(arguments.batch, arguments.threads, kind)
    for remark in _remarks(arguments.threads, kind, len(settings), arguments.seconds):
        print(f"note  {remark}")
    found = measure_run(restored, settings, arguments.seconds)
    if not arguments.json:
        print(latency_screen(run.name, found))
    drawn = _keep(found, run)
    if arguments.json:
        from expkit.reports.json.latency import latency_document

        print_document(latency_document(run, found, drawn))
    else:
        print("".join(f"  plot     {path}\n" for path in drawn), end="")
    return EXIT_FAILED if found.failed else EXIT_PASSED


def _read_words(words: Sequence[str]) -> Namespace:
    parser = Parser("expkit latency", description=DESCRIPTION)
    parser.add_argument(
        "run", help="a path, a unique part of a run's name, or last; an exported folder"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="not the run's")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument(
        "--batch", type=counts, default=[1], metavar="N[,N...]", help="images at once (default 1)"
    )
    parser.add_argument(
        "--threads",
        type=thread_counts,
        default=[],
        metavar="T[,T...]",
        help="CPU threads (default: torch's choice)",
    )
    parser.add_argument(
        "--seconds",
        type=duration,
        default=5.0,
        help="to measure each setting for (default 5), after one of warm-up",
    )
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    add_json(parser)
    return parser.parse_args(words)


def _refuse_many(batches: Sequence[int], threads: Sequence[int]) -> None:
    count = len(batches) * max(1, len(threads))
    if count > MOST_SETTINGS:
        raise UserError(
            f"{count} settings are too many to be measured in turns",
            where=f"--batch: {len(batches)} sizes, --threads: {max(1, len(threads))}",
            allowed=f"{MOST_SETTINGS} settings, a batch size and a number of threads each",
            fix="--batch 1,2,4,8,16,32,64",
        )


def _one_number(threads: Sequence[int]) -> int:
    """The threads of an exported file, whose runtime is opened with a number of them."""
    if len(threads) > 1:
        raise UserError(
            "an exported file is opened with one number of threads, and keeps it",
            where=f"--threads {','.join(map(str, threads))}",
            fix=f"--threads {threads[0]}   (then once more for each other)",
        )
    return threads[0]


def _remarks(threads: Sequence[int], kind: str, num_settings: int, seconds: float) -> list[str]:
    """What a reader must know before waiting."""
    remarks, cores = [], count_cores()
    if threads and kind != "cpu":
        remarks.append(f"--threads is left out: {kind} does the work")
    elif threads and max(threads) > cores:
        remarks.append(
            f"{counted(max(threads), 'thread')} on {counted(cores, 'core')}: some wait for others"
        )
    if kind == "cpu" and (load := os.getloadavg()[0]) > cores:
        remarks.append(
            f"the machine is busy (load {load:.1f} on {counted(cores, 'core')}): other programs "
            "lengthen the times, and those of several threads the most"
        )
    if num_settings > 1:
        remarks.append(
            f"{num_settings} settings in turns, {seconds:g} s each after 1 s of warm-up: about "
            f"{in_words(num_settings * (seconds + 1))}, longer where ten batches take longer"
        )
    return remarks


def _keep(found: KeptLatency, run: Run) -> list[Path]:
    """Write the figures and their pages; where the folder takes none, they stand on the screen."""
    plots = run.path / "plots"
    try:
        make_inside(plots, run.path)
        keep_latency(found, run.path)
        drawn = _draw(run, plots)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        print(f"note  not kept, since '{run.path}' cannot be written: {reason}", file=sys.stderr)
        return []
    _refresh(run)
    return drawn


def _draw(run: Run, plots: Path) -> list[Path]:
    from expkit.reports.plots.files import format_of
    from expkit.reports.plots.latency import draw_latency
    from expkit.reports.plots.style import in_format, styled

    with styled(), in_format(format_of(run.config)):
        return draw_latency(run, plots)


def _refresh(run: Run) -> None:
    """Write the report with the plot, where the run has one."""
    from expkit.reports.run.pages import refresh

    if not run.has_pages:
        return
    try:
        with explain_disk_errors(run.path):
            refresh(run.path, plots=False)
    except UserError as error:
        print(f"note  report.md is not written anew: {error}")
