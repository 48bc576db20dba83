"""The document of a request that cannot be carried out, or of a fault."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from expkit.errors import UserError
from expkit.reports.json.header import Document
from expkit.sanitize import shortened_words


@dataclass(frozen=True, kw_only=True)
class ErrorDocument(Document):
    """What was wrong, as the screen says it; the command's exit code is that of the screen, too."""

    schema: Literal["expkit/error"] = "expkit/error"
    exit_code: int  # 2: the request was wrong; 70: a fault of expkit's or of the user's own code
    what: str  # what is wrong
    where: str | None  # the word, file or setting that it is about
    nearest: str | None  # the right name that is most like the one given
    allowed: str | None  # what could have been given, and what else is worth knowing
    fix: str | None  # the next thing to do: a command, or a sentence


def error_document(error: UserError, command: str, exit_code: int) -> ErrorDocument:
    """Return an error's parts; words that it echoes are cut where they are no words any more."""
    details = {
        name: text and in_words_of(command, shortened_words(text))
        for name, text in error.details.items()
    }
    return ErrorDocument(
        exit_code=exit_code,
        what=shortened_words(error.what),
        where=details["where"] or None,
        nearest=details["nearest"] or None,
        allowed=details["allowed"] or None,
        fix=details["do"] or None,
    )


def in_words_of(command: str, text: str) -> str:
    """Return advice as a command takes it: where train has the word trust, others have a flag."""
    return text if command == "train" else re.sub(r"'trust=\[(\w+)\]'", r"--trust \1", text)
