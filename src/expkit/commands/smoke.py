"""expkit smoke: the overfit gates of many models or experiments, for CI."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import UserError
from expkit.terminal.arguments import Parser, count, place

if TYPE_CHECKING:
    from expkit.sweeps.smoke import SmokeTest

DESCRIPTION = """\
Prove that models can still learn: each trains on one sample, then on ten, until it knows them by
heart. Without a name these are the experiments of your own conf/experiment/, or, where there are
none, the default experiment."""

EXAMPLES = """\
  expkit smoke                                      your own experiments
  expkit smoke model=resnet18,simple_conv           these models, on the default dataset
  expkit smoke --all --junit smoke.xml              every model that can be chosen as it is
  expkit smoke experiment=baseline dataset.limit=5  overrides are those of `expkit train`

Runs of a smoke test that failed stay in outputs/..._smoke/; of one that passed nothing stays.
In GitHub's CI, the summary is put on the job's page."""

SUMMARY = "GITHUB_STEP_SUMMARY"  # the file whose content GitHub shows on a job's page


def main(words: Sequence[str]) -> int:
    given = _read_words(words)
    from expkit.config.suggested_command import refuse_flags
    from expkit.sweeps.smoke import SmokeTest, choose_subjects
    from expkit.terminal.signals import stop_on_signals

    refuse_flags(given.overrides)
    _check_report(given.junit)
    subjects = choose_subjects(given.overrides, every_model=given.all)
    jobs = [] if given.jobs is None else [f"launcher.jobs={given.jobs}"]
    test = SmokeTest([*subjects, *given.overrides, *jobs], keeps=given.keep)
    with stop_on_signals():
        test.run()
    _tell(test)
    _write_reports(test, given.junit)
    return 0 if test.passed else 1


def _read_words(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "expkit smoke",
        usage="expkit smoke [model=A,B | experiment=A,B | --all] [OVERRIDE ...] [flags]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help="every model of `expkit list model`")
    parser.add_argument("--junit", type=place, metavar="FILE", help="also write JUnit XML")
    parser.add_argument("--jobs", type=count, metavar="N", help="models at once (a core each)")
    parser.add_argument("--keep", action="store_true", help="keep the runs that passed, too")
    given = parser.parse_intermixed_args(words)
    for word in given.overrides:
        if "=" not in word and not word.startswith("~"):
            raise UserError(
                f"'{word}' is no override",
                where=f"expkit smoke {shlex.join(words)}",
                allowed="model=A,B, experiment=A,B, KEY=VALUE",
                fix=f"expkit smoke model={word}",
            )
    return given


def _check_report(junit: Path | None) -> None:
    """Refuse now what could not be written once all has run."""
    if junit is None:
        return
    folder = junit.absolute().parent
    if junit.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "it is a folder" if junit.is_dir() else f"nothing can be written to '{folder}'"
        raise UserError(
            f"'{junit}' cannot be written: {reason}",
            where=f"--junit {junit}",
            allowed="a file in a folder that is there",
        )


def _tell(test: SmokeTest) -> None:
    from expkit.reports.smoke.page import closing_line

    print(closing_line(test.outcomes, test.seconds))
    if test.is_kept:
        print(f"  folder  {test.folder}")


def _write_reports(test: SmokeTest, junit: Path | None) -> None:
    from expkit.records.files import append_line, write_output
    from expkit.reports.smoke.junit import junit_xml
    from expkit.reports.smoke.page import summary_page

    if junit is not None:
        write_output(junit, junit_xml(test.outcomes, test.seconds))
        print(f"  junit   {junit}")
    if os.environ.get(SUMMARY):
        try:
            append_line(Path(os.environ[SUMMARY]), summary_page(test.outcomes, test.seconds))
        except OSError as error:  # what was found out stands on the screen, and in the exit code
            print(f"  note    no summary on the job's page: {error}")
