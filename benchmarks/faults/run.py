"""Does expkit name the cause, and is it silent where there is none?

Command         python benchmarks/faults/run.py [--part tuning|reported|unseen] [--only NAME...]
                [--jobs 2]
Compares        what a run's summary says with what was broken in it, a row a case; controls are
                sound runs, each of which must learn, or it is none
Aims            97 % of faults detected, 90 % with the right cause first, no false fatal finding,
                at most one false warning in 60 controls; exit code 1 where one is missed
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import get_args

import one_thread  # noqa: F401  isort: skip
from case import Case, Part
from judging import Row
from running import load_what_runs_need, run_cases
from suite import CASES
from table import aims_missed, line, totals, write_tables


def parse_words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", choices=get_args(Part), help="default: all")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="cases by a part of their name; =NAME= is all of it",
    )
    parser.add_argument("--controls", action="store_true", help="no faults")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for the runs; else they are removed")
    parser.add_argument("--to", type=Path, default=Path("outputs/faults"), help="of the tables")
    return parser.parse_args()


def choose(words: argparse.Namespace) -> list[Case]:
    """The cases that were asked for."""
    return [
        each
        for each in CASES
        if words.part in (None, each.part)
        and (not words.only or any(name in f"={each.name}=" for name in words.only))
        and (not words.controls or each.kind == "control")
    ]


def main() -> None:
    words = parse_words()
    cases = choose(words)
    keep = None if words.keep is None else words.keep.absolute()
    to = words.to.absolute()
    load_what_runs_need()
    started, rows = time.monotonic(), list[Row]()
    for row in run_cases(cases, words.jobs, keep):
        rows.append(row)
        print(line(row), flush=True)
    order = [each.name for each in cases]
    rows.sort(key=lambda row: order.index(row.case_name))
    print(f"\n{totals(rows)}\n{time.monotonic() - started:.0f} s")
    write_tables(rows, to)
    missed = aims_missed(rows)
    print("\n".join(f"MISS {each}" for each in missed) or "ok   all aims reached")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
