"""The error that a user sees when a request cannot be carried out."""

from __future__ import annotations

import difflib
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from expkit.sanitize import clean, shortened_words

WIDTH = 88  # columns of text beside the labels
MAX_COMPARED = 200  # characters of a word: the time grows with their square
COMMANDS = ("expkit ", "expkit.train(")  # a line that begins so is copied in one piece
MAX_LINES = 60  # of a detail: more is no screen


class UserError(Exception):
    """A wrong request: what was given, where, what is allowed and what to do, on one screen."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        nearest: str | None = None,
        allowed: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.details: Mapping[str, str | None] = {
            "where": where,
            "nearest": nearest,
            "allowed": allowed,
            "do": fix,
        }

    def screen(self) -> str:
        """The message as the terminal shows it: words that it echoes are cut and cleaned."""
        what = _shown(self.what)
        lines = textwrap.wrap(f"expkit: {what}", WIDTH + 11, subsequent_indent=" " * 8)
        return "\n".join([*lines, *self._detail_lines()])

    def __str__(self) -> str:
        """The same for the last lines of a traceback, which names the class in front."""
        return "\n".join([_shown(self.what), *self._detail_lines()])

    def _render_traceback_(self) -> list[str]:
        """Let a notebook's cell show the screen in place of a traceback."""
        if os.environ.get("EXPKIT_TRACEBACK") == "1":
            from traceback import format_exception

            return format_exception(self)
        return [self.screen()]

    def _detail_lines(self) -> Iterator[str]:
        for label, text in self.details.items():
            if text and text.strip():
                pieces = [
                    piece
                    for line in _shown(text).splitlines()
                    for piece in ([line] if line.startswith(COMMANDS) else _wrapped(line))
                ]
                if len(pieces) > MAX_LINES:
                    pieces = [*pieces[:MAX_LINES], f"... and {len(pieces) - MAX_LINES} more lines"]
                first, *rest = pieces
                yield f"  {label:<8} {first}"
                yield from (" " * 11 + line for line in rest)


def _wrapped(line: str) -> list[str]:
    """Wrap a line; a command is not, as it is copied in one piece."""
    return textwrap.wrap(line, WIDTH)


def _shown(text: str) -> str:
    return clean(shortened_words(text))


def nearest_of(word: str, names: Iterable[str]) -> str | None:
    """The name most like a misspelt word, or None where nothing is near."""
    matches = difflib.get_close_matches(word[:MAX_COMPARED], list(names), n=1, cutoff=0.6)
    return matches[0] if matches else None


def refuse_watched(where: str) -> UserError:
    """Return the refusal to rebuild what a watched loop trained: its code is its own."""
    return UserError(
        "this run is a loop that expkit.watch saw: model, data and weights are the program's own",
        where=f"{where}: watched: true",
        allowed="what reads records: expkit show, diagnose, compare, analyze, report, plot",
        fix="go on, evaluate and export in that program",
    )
