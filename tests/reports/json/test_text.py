"""The text of a document: JSON of any program, with the values that were measured."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from expkit.errors import UserError
from expkit.reports.json.text import to_text
from expkit.sanitize import HIDDEN


@dataclass(frozen=True)
class Inner:
    """A part of a document."""

    b: float
    a: Path


def test_numbers_that_are_not_finite_are_null() -> None:
    """JSON has no NaN; all other numbers keep every digit."""
    given = {"nan": math.nan, "list": (math.inf, -math.inf, 0.1 + 0.2), "deep": {1: math.nan}}
    assert json.loads(to_text(given)) == {
        "nan": None,
        "list": [None, None, 0.30000000000000004],
        "deep": {"1": None},
    }


def test_keys_stand_as_the_class_has_them() -> None:
    assert to_text(Inner(1.5, Path("x/y")), is_line=True) == '{"b": 1.5, "a": "x/y"}'


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "\x9b", "\x7f", "a\nb\r", "\u2028", "\u202e", "\u200b", "\U000e0041"]
)
def test_what_a_terminal_obeys_is_escaped_and_read_back(text: str) -> None:
    """No such character is in the text, no line is broken, and a program gets the very string."""
    written = to_text({text: [text]}, is_line=True)
    assert HIDDEN.search(written) is None
    assert len(written.splitlines()) == 1
    assert json.loads(written) == {text: [text]}


def test_half_a_character_can_be_written() -> None:
    """A name of a file that is no UTF-8 comes as surrogates, which no encoder takes."""
    written = to_text(b"caf\xe9.png".decode(errors="surrogateescape"))
    written.encode()
    assert json.loads(written) == "caf\udce9.png"


def test_letters_of_all_languages_stay() -> None:
    assert to_text("köttbullar 肉") == '"köttbullar 肉"'


def test_records_that_are_nested_without_end_are_refused() -> None:
    """By an error that can be told, and not by a fault."""
    value: Any = 0
    for _ in range(5000):
        value = [value]
    with pytest.raises(UserError, match="nested too deep"):
        to_text(value)
