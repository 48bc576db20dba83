"""A command's own words are refused on one screen, as overrides are."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.terminal.arguments import (
    Parser,
    count,
    counts,
    duration,
    place,
    seed,
    thread_counts,
    threads,
)


def test_numbers_that_a_command_can_use() -> None:
    """The bounds themselves are allowed."""
    assert count("1") == 1
    assert count("2147483647") == 2**31 - 1
    assert seed("0") == 0
    assert seed("4294967295") == 2**32 - 1
    assert threads("1024") == 1024
    assert math.isclose(duration("0.5"), 0.5)
    assert place("a/b") == Path("a/b")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "2147483648", "9" * 5000, "\uff11"])
def test_counts_that_are_none(text: str) -> None:
    """Python refuses to read 5000 digits, and reads full-width ones."""
    with pytest.raises(ArgumentTypeError):
        count(text)


def test_several_numbers_stand_between_commas() -> None:
    """In their order, and each once."""
    assert counts("1") == [1]
    assert counts("8,1, 2,8") == [8, 1, 2]
    assert thread_counts("2,1024") == [2, 1024]


@pytest.mark.parametrize("text", ["", "1,x", "1,,2", "1,", "0,1", "1;2", "1-4"])
def test_lists_with_anything_else_are_none(text: str) -> None:
    """Nothing in them is passed over."""
    with pytest.raises(ArgumentTypeError):
        counts(text)
    with pytest.raises(ArgumentTypeError):
        thread_counts(text or "1,1025")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_durations_that_are_none(text: str) -> None:
    """An endless one would never end."""
    with pytest.raises(ArgumentTypeError):
        duration(text)


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_places_that_are_none(text: str) -> None:
    """An empty path would be the working directory."""
    with pytest.raises(ArgumentTypeError):
        place(text)


def test_the_parser_names_the_word_and_the_help() -> None:
    """No usage of many lines before it."""
    parser = Parser("expkit latency")
    parser.add_argument("--batch", type=count)
    with pytest.raises(UserError) as refused:
        parser.parse_args(["--batch", "0"])
    assert refused.value.what.startswith("--batch cannot be '0'")
    assert refused.value.details["do"] == "expkit latency --help"


def test_a_value_that_begins_with_a_dash_can_be_given_as_advised() -> None:
    """A folder of images, and so a class, may be called `-x`."""
    parser = Parser(prog="expkit threshold")
    parser.add_argument("--class", dest="class_name")
    with pytest.raises(UserError) as caught:
        parser.parse_args(["--class", "-x"])
    advised = (caught.value.details["do"] or "").split()[0].replace("VALUE", "-x")
    assert parser.parse_args([advised]).class_name == "-x"
