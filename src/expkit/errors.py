"""What a user is told when a request cannot be carried out."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Mapping

WIDTH = 88  # columns of text beside the labels


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
        """The message as the terminal shows it."""
        lines = textwrap.wrap(f"expkit: {self.what}", WIDTH + 11, subsequent_indent=" " * 8)
        for label, text in self.details.items():
            if text and text.strip():
                first, *rest = [
                    piece for line in text.splitlines() for piece in textwrap.wrap(line, WIDTH)
                ]
                lines.append(f"  {label:<8} {first}")
                lines.extend(" " * 11 + line for line in rest)
        return "\n".join(lines)


def nearest_of(word: str, names: Iterable[str]) -> str | None:
    """The name most like a misspelt word, or None where nothing is near."""
    matches = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
    return matches[0] if matches else None
