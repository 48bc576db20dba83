"""expkit threshold: a class's cut-offs, chosen on one half and confirmed on the other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from expkit.errors import UserError
from expkit.records.run.find_run import find_run
from expkit.records.run.kept_temperature import temperature_of
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import FILE, Threshold, keep_threshold, read_thresholds
from expkit.records.run.writer import explain_disk_errors
from expkit.records.safe_open import make_inside
from expkit.reports.run.summary import summarize
from expkit.reports.run.threshold import ThresholdRequest, choose_threshold
from expkit.reports.run.threshold_page import threshold_screen
from expkit.terminal.arguments import Parser, add_json, seed
from expkit.terminal.json_output import print_document

EXIT_CONFIRMED, EXIT_NOT_CONFIRMED = 0, 1


def main(words: Sequence[str]) -> int:
    run_word, request, plain, is_json = _read_words(words)
    run = find_run(run_word)
    if run.exported is not None:
        raise run.exported.refuse(
            "its cut-offs are written into metadata.json with it, where its own predict.py reads "
            "them",
            f"expkit threshold RUN --class={shlex.quote(request.class_name)} ...\n"
            f"{run.exported.command}",
        )
    if request.recall is None and request.precision is None:
        raise UserError(
            "nothing is asked of the cut-off",
            where="--recall or --precision",
            fix=f"expkit threshold {shlex.quote(run_word)} "
            f"--class={shlex.quote(request.class_name)} --recall 0.99",
        )
    temperature, remark = _temperature(run, is_wanted=not plain)
    if remark:
        print(f"note  {remark}")
    threshold = choose_threshold(run, replace(request, temperature=temperature))
    from expkit.reports.plots.files import format_of
    from expkit.reports.plots.style import in_format, styled
    from expkit.reports.plots.threshold import draw_thresholds
    from expkit.reports.run.pages import refresh, report

    report(run, summarize(run), [])  # nothing is kept where the pages cannot be written anew
    with explain_disk_errors(run.path):
        keep_threshold(threshold, run.path)
        plots = run.path / "plots"
        make_inside(plots, run.path)
        with styled(), in_format(format_of(run.config)):
            curves = draw_thresholds(run, plots)
        refresh(run.path, plots=False)
    kept = read_thresholds(run.path)
    place = [each.class_name for each in kept].index(request.class_name)
    others = [each for each in kept if each.class_name != request.class_name]
    if is_json:
        from expkit.reports.json.threshold import threshold_document

        print_document(threshold_document(run, threshold, others, curves[place]))
    else:
        _print(run, threshold, others, curves[place])
    return EXIT_CONFIRMED if threshold.is_confirmed else EXIT_NOT_CONFIRMED


def _print(run: Run, threshold: Threshold, others: Sequence[Threshold], curve: Path) -> None:
    print(threshold_screen(threshold, run.dataset))
    print(f"\n  kept in {run.path / FILE}\n  curve   {curve}")
    if others:
        others_found = ", ".join(f"{each.class_name} ({each.verdict})" for each in others)
        print(f"  beside  {others_found}")


def _temperature(run: Run, *, is_wanted: bool) -> tuple[float, str]:
    """The temperature of the probabilities that are cut, as predict will have them."""
    if run.config.get("evaluates") is not None:  # its records are of one temperature
        return float(run.evaluation.get("temperature", 1.0)), ""
    return temperature_of(run) if is_wanted else (1.0, "")


def _read_words(words: Sequence[str]) -> tuple[str, ThresholdRequest, bool, bool]:
    parser = Parser(
        "expkit threshold",
        description="Choose a class's cut-offs on one half of the held-out samples, confirm them "
        "on the other, and keep them in the run beside those of other classes. One bound gives "
        "one cut-off; both give two, with a maybe between them. Exit code 1 where they are not "
        "confirmed, or where the samples are too few to confirm anything: those are kept and "
        "marked, and predict does not use them.",
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a run's name, or last"
    )
    parser.add_argument("--class", required=True, dest="class_name", metavar="NAME")
    parser.add_argument(
        "--recall", type=float, metavar="SHARE", help="of the class, at most the rest is missed"
    )
    parser.add_argument(
        "--precision", type=float, metavar="SHARE", help="of the samples called the class"
    )
    parser.add_argument("--split", help="which held-out split (the judged one)")
    parser.add_argument("--seed", type=seed, default=0, help="of the halves (0)")
    parser.add_argument(
        "--no-calibration", action="store_true", help="cut probabilities of the plain softmax"
    )
    add_json(parser)
    given = parser.parse_args(words)
    request = ThresholdRequest(
        given.class_name, given.recall, given.precision, given.split, given.seed
    )
    return given.run, request, given.no_calibration, given.json
