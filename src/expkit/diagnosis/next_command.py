"""The command that trains a run again with other words, to be copied as it stands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import reduce

SEEDS = ("seed=0,1,2",)


def train_again(overrides: Sequence[str], words: Sequence[str], *, is_sweep: bool = False) -> str:
    """Return the command of what was typed with these words in it; of a sweep, with -m."""
    flags = ["-m"] if is_sweep else []
    return shlex.join(["expkit", "train", *flags, *with_remedy(overrides, words)])


def with_remedy(overrides: Sequence[str], remedy: Sequence[str]) -> list[str]:
    """The overrides that were typed, with the remedy's in place of those it gives anew."""
    keys = {word.lstrip("+~").partition("=")[0] for word in remedy}
    within = tuple(f"{key}." for key in keys)  # what was said of another choice goes with it

    def is_replaced(word: str) -> bool:
        key = word.lstrip("+~").partition("=")[0]
        return key in keys or key.startswith(within)

    return [*(word for word in overrides if not is_replaced(word)), *remedy]


def advice_for_loop(command: str, remedies: Sequence[Sequence[str]], stages: Sequence[str]) -> str:
    """Return what the author of a watched loop can do: no command of ours trains it again."""
    if remedies:
        prefixes = [f"procedure.{stage}." for stage in stages]
        words = [reduce(str.removeprefix, prefixes, word) for word in remedies[0]]
        return f"in your own loop, try what expkit would write as {', '.join(words)}"
    before, found, after = command.partition("expkit train ")
    return f"{before}your own loop again, with {after.removeprefix('-m ')}" if found else command
