"""expkit tag: words by which runs and sweeps are found again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from expkit.errors import UserError
from expkit.records.run.annotations import change_tags
from expkit.records.run.reader import Run
from expkit.records.run.writer import explain_disk_errors
from expkit.records.sweep.folder import Sweep, find_run_or_sweep
from expkit.reports.run.noted import noted_of
from expkit.reports.run.pages import rewrite_report
from expkit.tags import is_tag, refuse_odd_tags
from expkit.terminal.arguments import Parser

HELP = """usage: expkit tag RUN ... [+TAG ...] [-TAG ...]

Gives tags to runs or sweeps and takes them away; without any, shows those that there are.

  expkit tag last +paper -draft                   one comes, one goes
  expkit tag RUN RUN SWEEP +baseline              of several
  expkit runs --where tags=paper                  what has it
  expkit train ... 'tags=[paper,baseline]'        from the start"""


def main(words: Sequence[str]) -> int:
    if not words or any(word in ("-h", "--help") for word in words):
        print(HELP)
        return 0
    signed = [word for word in words if word[:1] in ("+", "-")]
    named = [word for word in words if word[:1] not in ("+", "-")]
    refuse_odd_tags([word[1:] for word in signed], " ".join(["expkit tag", *words]))
    if not named:
        Parser("expkit tag").error("the following arguments are required: RUN")
    all_found = [_find(word, named) for word in named]
    add = [word[1:] for word in signed if word[0] == "+"]
    remove = [word[1:] for word in signed if word[0] == "-"]
    for found in all_found:
        _refuse_absent(found, remove)
    for found in all_found:
        if signed:
            with explain_disk_errors(found.path, key=""):
                change_tags(found.path, add, remove)
                rewrite_report(found)
        print(f"{found.name}: {', '.join(noted_of(found).tags) or 'no tags'}")
    return 0


def _find(word: str, named: Sequence[str]) -> Run | Sweep:
    """A word without a sign is a run; the first one always."""
    try:
        return find_run_or_sweep(word)
    except UserError as error:
        if word == named[0] or not is_tag(word):
            raise
        run = shlex.quote(named[0])
        raise UserError(
            error.what,
            where=f"expkit tag {run} {word}",
            nearest=error.details["nearest"],
            fix=f"expkit tag {run} +{word}   (if it is to be a tag: + gives it, - takes it away)",
        ) from error


def _refuse_absent(found: Run | Sweep, remove: Sequence[str]) -> None:
    tags = noted_of(found).tags
    for tag in remove:
        if tag not in tags:
            raise UserError(
                f"'{found.name}' has no tag '{tag}'",
                where=f"-{tag}",
                allowed=", ".join(tags) or "it has no tags",
            )
