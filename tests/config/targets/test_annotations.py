"""What annotations allow, by hand-written pairs of value and answer."""
# ruff: noqa: UP006, UP007, UP045 - libraries write their annotations in older ways, too

from __future__ import annotations

import enum
import math
import numbers
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import annotated_types
import numpy
import pytest
from annotated_types import Ge, Gt, Len, Lt, MinLen

from expkit.config.targets.annotations import describe, fits

T = TypeVar("T")


class Tensor: ...


class Box(Generic[T]): ...


class Mode(enum.Enum):
    FAST = "fast"


class Reads(Protocol):
    def read(self) -> int: ...


class Options(TypedDict):
    size: int


class Pair(NamedTuple):
    left: int


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1]]),
        (float, [1, 0.5, math.inf, math.nan], [True, "1", None]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "abc"], [1, True, None, ["a"]]),
        (None, [None], [0, "null", False]),
        (int | None, [1, None], ["a", 1.5]),
        (Optional[int], [1, None], ["a"]),
        (Union[int, str], [1, "a"], [None, 1.5, [1]]),
        (float | None, [0.5, None], ["a"]),
        (Any, [None, 1, "a", {}], []),
        (object, [None, 1, "a", {}], []),
        (typing.Final[int], [1], ["a"]),
    ],
)
def test_scalars(annotation: Any, good: list[object], bad: list[object]) -> None:
    """A simple type takes its own YAML values, and true is no number."""
    assert [fits(value, annotation) for value in good] == [True] * len(good)
    assert [fits(value, annotation) for value in bad] == [False] * len(bad)


def test_no_annotation_takes_anything() -> None:
    """A parameter without an annotation refuses nothing."""
    assert fits("abc", Any)
    assert fits(None, Any)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Annotated[int, Ge(1)], [1, 2], [0, -1, 1.5, True]),
        (Annotated[float, Gt(0), Lt(1)], [0.5], [0, 1, math.nan, math.inf]),
        (Annotated[float, Ge(-1.5)], [-1.5], [-1.6, math.inf]),
        (Annotated[float, annotated_types.Interval(gt=0, le=2)], [2], [0, 2.1]),
        (Annotated[float | None, Ge(0)], [None, 0], [-1]),
        (Annotated[str, MinLen(1)], ["a"], ["", 3]),
        (Annotated[list[int], Len(1, 2)], [[1], [1, 2]], [[], [1, 2, 3], ["a"]]),
        (Annotated[int, Ge(datetime.min), "said"], [1, -1], ["a"]),
        (list[Annotated[int, Ge(1)]], [[1, 2]], [[1, 0]]),
    ],
)
def test_bounds(annotation: Any, good: list[object], bad: list[object]) -> None:
    """Limits that are written as numbers hold, and no other metadata refuses anything."""
    assert [fits(value, annotation) for value in good] == [True] * len(good)
    assert [fits(value, annotation) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Literal["none", "batch"], ["none", "batch"], ["bach", None]),
        (Literal[1, None], [1, None], [True, 1.0]),
        (Literal[Mode.FAST], ["anything"], []),
        (list[int], [[], [1, 2]], ["abc", [1, "a"], 1, {"a": 1}]),
        (Sequence[str], [["a"]], ["a", [1]]),
        (tuple[int, ...], [[], [1, 2, 3]], [[1, "a"]]),
        (typing.Tuple[int], [[1], [1, 2]], [["a"], 1]),
        (tuple[float, float], [[0.9, 1]], [[0.9], [0.9, 0.99, 1], 0.9]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, [1]]),
        (Mapping[str, list[int]], [{"a": [1]}], [{"a": 1}]),
        (list, [[1, "a"]], [1]),
        (tuple[()], [[]], [1]),
    ],
)
def test_containers(annotation: Any, good: list[object], bad: list[object]) -> None:
    """A container is judged by its shape and by each of its elements."""
    assert [fits(value, annotation) for value in good] == [True] * len(good)
    assert [fits(value, annotation) for value in bad] == [False] * len(bad)


def test_a_class_alone_takes_anything() -> None:
    """A part may make an instance of it, and what makes one is not known from here."""
    for annotation in (Tensor, Tensor | None, Box[int], Callable[[int], int]):
        assert fits("abc", annotation)


def test_a_class_beside_a_simple_type_takes_no_scalar() -> None:
    """`float | Tensor` refuses text, yet takes a list or a part for its tensor."""
    annotation = float | Tensor
    assert not fits("abc", annotation)
    assert not fits(None, annotation)
    assert fits([1.0], annotation)
    assert fits({"_target_": "torch.zeros"}, annotation)


@pytest.mark.parametrize("kind", [Mode, Reads, Options, Pair, Path, numpy.float64, T])
def test_plain_data_may_pass_for_some_classes(kind: Any) -> None:
    """An enum by its value, a protocol, a path by its text: beside a simple type they refuse
    nothing."""
    assert fits("fast", Union[int, kind])


def test_abstract_numbers_are_numbers() -> None:
    """`numbers.Real` is as good as float."""
    assert [fits(value, numbers.Real) for value in (1, 0.5, "a")] == [True, True, False]
    assert [fits(value, numbers.Integral) for value in (1, 0.5)] == [True, False]


def test_a_number_beyond_64_bits_is_refused_where_there_is_a_limit() -> None:
    """Torch and numpy could not hold it."""
    assert fits(2**63 - 1, Annotated[int, Ge(1)])
    assert not fits(2**63, Annotated[int, Ge(1)])
    assert not fits(10**400, Annotated[float, Gt(0)])


def test_part_fits_everywhere() -> None:
    """What a part makes is unknown before it is made: a function may well return a list."""
    for annotation in (Tensor, list[int], float, Literal["a"], tuple[int, int]):
        assert fits({"_target_": "package.make"}, annotation)
    assert not fits({"target": "package.make"}, float)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Ge(1)], "a whole number >= 1"),
        (Annotated[float, Gt(0), Lt(1)], "a number > 0 and < 1"),
        (Annotated[float | None, Ge(0)], "a number >= 0 or null"),
        (bool, "true or false"),
        (str, "text"),
        (None | int, "a whole number or null"),
        (Literal["none", "batch", "group"], "one of: none, batch, group"),
        (list[int], "a list of whole numbers"),
        (tuple[float, float], "a list of 2 numbers"),
        (tuple[int, str], "a list of a whole number, then text"),
        (dict[str, float], "a mapping of names to numbers"),
        (Annotated[str, MinLen(1)], "text, at least 1 long"),
        (float | Tensor, "a number"),
        (Optional[Tensor], "a Tensor part or null"),
    ],
)
def test_describe(annotation: Any, words: str) -> None:
    """What is allowed is said in a user's words."""
    assert describe(annotation) == words
