"""What a run's tags may be: a config has them from the start, and records keep their changes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from expkit.errors import UserError
from expkit.sanitize import one_line

TAG = re.compile(r"[^\W_][\w.:/@-]{0,59}")  # a word that needs no quotes in a shell
ALLOWED = "a letter or a digit, then letters, digits and _ . : / @ - as well, at most 60 in all"


def is_tag(text: object) -> bool:
    """Tell whether a value can be a tag."""
    return isinstance(text, str) and TAG.fullmatch(text) is not None


def refuse_odd_tags(tags: Iterable[object], where: str) -> None:
    """Refuse what is no tag."""
    for tag in tags:
        if not is_tag(tag):
            shown = one_line(str(tag))
            raise UserError(f"'{shown}' is no tag", where=where, allowed=ALLOWED)
