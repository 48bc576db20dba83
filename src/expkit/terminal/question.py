"""A question before something is lost: asked on a terminal, refused where nobody could answer."""

from __future__ import annotations

import sys

from expkit.errors import UserError


def confirmed(question: str, *, is_sure: bool, where: str) -> bool:
    """Tell whether the user agrees; `--yes` is an answer, and silence is none."""
    if is_sure:
        return True
    if not sys.stdin.isatty():
        raise UserError(
            "nobody is there to be asked",
            where=where,
            fix="say it beforehand: --yes",
        )
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    return answer.strip().lower() in ("y", "yes")
