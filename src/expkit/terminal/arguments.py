"""Reading a command's words: what is wrong with one is said on one screen, as all else is."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

from expkit.errors import UserError, nearest_of
from expkit.terminal.json_output import FLAG
from expkit.training.arguments import NUM_LOOKS, View

MOST = 2**31 - 1  # samples or steps that anything here is asked for
MOST_THREADS = 1024  # beyond which a machine gives none, and the process dies of it
SIGN = re.compile(r"[=<>]")  # a condition has one
LARGEST_SEED = 2**32 - 1  # as numpy takes them


class Parser(argparse.ArgumentParser):
    """Argparse, which refuses as every other part does."""

    def error(self, message: str) -> NoReturn:
        what = message.removeprefix("argument ").replace(": cannot be", " cannot be", 1)
        fix = f"{self.prog} --help"
        if message.endswith("expected one argument"):  # a class may be called `-x`
            fix = f"{what.partition(':')[0]}=VALUE   (also where it begins with a dash)\n{fix}"
        raise UserError(what, where=self.prog, fix=fix)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the flag for a program that reads the outcome; cli.dispatch looks for it, too."""
    parser.add_argument(
        FLAG, action="store_true", help="one JSON document and nothing else (docs/json.md)"
    )


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add conditions on runs; `each_where` lets several follow one `--where`."""
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="only runs of which this holds, by settings, choices, figures, tags, findings, status "
        "or verdict: model=resnet18 'optimizer.lr<1e-3' 'val/accuracy>0.9' tags=paper "
        "status!=failed; several may follow",
    )


def each_where(words: Sequence[str]) -> list[str]:
    """Return the words with a `--where` before each of several conditions that follow one."""
    found: list[str] = []
    is_listing = False
    for word in words:
        if is_listing and not word.startswith("-") and SIGN.search(word):
            if found[-1] != "--where":
                found.append("--where")
        else:
            is_listing = word.partition("=")[0] == "--where"
        found.append(word)
    return found


def add_manner(parser: argparse.ArgumentParser) -> None:
    """Add what decides how a run's model makes probabilities."""
    parser.add_argument(
        "--tta",
        type=views,
        default=[],
        metavar="VIEWS",
        help="average with further views of each image, which takes as many passes more: "
        f"{', '.join(NUM_LOOKS)}, or several between commas",
    )
    parser.add_argument(
        "--no-calibration", action="store_true", help="the plain softmax, at temperature 1"
    )


def count(text: str) -> int:
    """A whole number from 1 on."""
    return _whole(text, 1, MOST)


def batch_of(text: str) -> int | None:
    """A fixed number of images at once, or None for any."""
    from expkit.records.exported import LARGEST_BATCH

    if text == "dynamic":
        return None
    try:
        return _whole(text, 1, LARGEST_BATCH)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"cannot be '{text}': dynamic, or a whole number from 1 to {LARGEST_BATCH:,}"
        ) from None


def threads(text: str) -> int:
    """A number of threads that a machine can have."""
    return _whole(text, 1, MOST_THREADS)


def counts(text: str) -> list[int]:
    """Whole numbers from 1 on between commas, each once."""
    return list(dict.fromkeys(count(part.strip()) for part in text.split(",")))


def thread_counts(text: str) -> list[int]:
    """Numbers of threads that a machine can have, between commas, each once."""
    return list(dict.fromkeys(threads(part.strip()) for part in text.split(",")))


def seed(text: str) -> int:
    """A whole number that random draws can begin from."""
    return _whole(text, 0, LARGEST_SEED)


def _whole(text: str, least: int, most: int) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(
            f"cannot be '{text}': a whole number from {least} to {most:,} is allowed"
        )
    return number


def duration(text: str) -> float:
    """A finite number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"cannot be '{text}': a number > 0 is allowed")
    return seconds


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"cannot be '{text}': a number from 0 to 1 is allowed")
    return number


def fractions(text: str) -> tuple[float, ...]:
    """One to three fractions, of train, val and test, that sum to 1."""
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if not 1 <= len(numbers) <= 3 or min(numbers) <= 0 or abs(sum(numbers) - 1) > 1e-6:
        raise argparse.ArgumentTypeError(
            f"cannot be '{text}': one to three numbers > 0 that sum to 1, as 0.7,0.2,0.1"
        )
    return numbers


def views(text: str) -> list[View]:
    """Views for test-time augmentation, by their names between commas."""
    names: list[View] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in NUM_LOOKS:
            nearest = nearest_of(name, NUM_LOOKS)
            meant = f" (nearest: {nearest})" if nearest else ""
            raise argparse.ArgumentTypeError(
                f"cannot be '{name}'{meant}: {', '.join(NUM_LOOKS)} are allowed"
            )
        names.append(cast("View", name))
    return names


def place(text: str) -> Path:
    """A path; no file has an empty name, or a NUL in it."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"'{text}' is no path")
    return Path(text)
