"""Refusals as whoever calls a function meets them: one screen, and no traceback through Hydra."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from expkit.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")


def one_screen(function: Callable[P, T]) -> Callable[P, T]:
    """Raise a function's refusals without what led to them; EXPKIT_TRACEBACK=1 leaves that on."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            if os.environ.get("EXPKIT_TRACEBACK") == "1":
                raise
            raise error.with_traceback(None) from None

    return call


def with_trust_argument(error: UserError) -> UserError:
    """Return a refusal whose advice on trust is the argument of a function, not a word."""
    details = dict(error.details)
    fix = re.sub(r"'trust=\[(\w+)\]'", r'trust=["\1"]', details.pop("do") or "")
    return UserError(error.what, **details, fix=fix or None)
