"""expkit show: a run's results on one screen, also while it runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from expkit.records.run import find_run
from expkit.reports.screen import closing_screen
from expkit.reports.summary import recall


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("expkit show", description="A run's results on one screen.")
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a run's name, or last"
    )
    run = find_run(parser.parse_args(words).run)
    print(closing_screen(recall(run), run.path))
    return 0
