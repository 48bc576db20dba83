"""What annotations allow, by hand-written pairs of value and answer."""

from __future__ import annotations

import ast
import math

import pytest

from expkit.config.targets.annotations import describe, fits


def read(annotation: str) -> ast.expr:
    return ast.parse(annotation, mode="eval").body


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [0, -3], [True, 1.0, "1", None, [1]]),
        ("float", [1, 0.5, math.inf, math.nan], [True, "1", None]),
        ("bool", [True, False], [0, 1, "true", None]),
        ("str", ["", "abc"], [1, True, None, ["a"]]),
        ("None", [None], [0, "null", False]),
        ("int | None", [1, None], ["a", 1.5]),
        ("typing.Optional[int]", [1, None], ["a"]),
        ("Union[int, str]", [1, "a"], [None, 1.5, [1]]),
        ("'float | None'", [0.5, None], ["a"]),
        ("Any", [None, 1, "a", {}], []),
        ("object", [None, 1, "a", {}], []),
        ("Final[int]", [1], ["a"]),
    ],
)
def test_scalars(annotation: str, good: list[object], bad: list[object]) -> None:
    """A simple type takes its own YAML values, and true is no number."""
    assert [fits(value, read(annotation)) for value in good] == [True] * len(good)
    assert [fits(value, read(annotation)) for value in bad] == [False] * len(bad)


def test_no_annotation_takes_anything() -> None:
    """A parameter without an annotation refuses nothing."""
    assert fits("abc", None)
    assert fits(None, None)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("Annotated[int, Ge(1)]", [1, 2], [0, -1, 1.5, True]),
        ("Annotated[float, Gt(0), Lt(1)]", [0.5], [0, 1, math.nan, math.inf]),
        ("Annotated[float, Ge(-1.5)]", [-1.5], [-1.6, math.inf]),
        ("Annotated[float, annotated_types.Interval(gt=0, le=2)]", [2], [0, 2.1]),
        ("Annotated[float | None, Ge(0)]", [None, 0], [-1]),
        ("Annotated[str, MinLen(1)]", ["a"], ["", 3]),
        ("Annotated[list[int], Len(1, 2)]", [[1], [1, 2]], [[], [1, 2, 3], ["a"]]),
        ("Annotated[int, Ge(LOWEST), 'said']", [1, -1], ["a"]),
        ("list[Annotated[int, Ge(1)]]", [[1, 2]], [[1, 0]]),
    ],
)
def test_bounds(annotation: str, good: list[object], bad: list[object]) -> None:
    """Limits that are written as numbers hold, and no other metadata refuses anything."""
    assert [fits(value, read(annotation)) for value in good] == [True] * len(good)
    assert [fits(value, read(annotation)) for value in bad] == [False] * len(bad)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("Literal['none', 'batch']", ["none", "batch"], ["bach", None]),
        ("Literal[1, None]", [1, None], [True, 1.0]),
        ("Literal[Mode.FAST]", ["anything"], []),
        ("list[int]", [[], [1, 2]], ["abc", [1, "a"], 1, {"a": 1}]),
        ("Sequence[str]", [["a"]], ["a", [1]]),
        ("tuple[int, ...]", [[], [1, 2, 3]], [[1, "a"]]),
        ("Tuple[int]", [[1], [1, 2]], [["a"], 1]),
        ("tuple[float, float]", [[0.9, 1]], [[0.9], [0.9, 0.99, 1], 0.9]),
        ("dict[str, int]", [{}, {"a": 1}], [{"a": "b"}, [1]]),
        ("Mapping[str, list[int]]", [{"a": [1]}], [{"a": 1}]),
        ("list", [[1, "a"]], [1]),
        ("tuple[()]", [[]], [1]),
    ],
)
def test_containers(annotation: str, good: list[object], bad: list[object]) -> None:
    """A container is judged by its shape and by each of its elements."""
    assert [fits(value, read(annotation)) for value in good] == [True] * len(good)
    assert [fits(value, read(annotation)) for value in bad] == [False] * len(bad)


def test_unknown_name_alone_takes_anything() -> None:
    """What a class or an alias allows cannot be said from its name, so nothing is refused."""
    for annotation in ("Tensor", "torch.Tensor", "Tensor | None", "Optional[Size]", "Box[int]"):
        assert fits("abc", read(annotation))
    assert not fits("abc", read("Tensor"), unknown=False)


def test_unknown_name_beside_a_simple_type_takes_no_scalar() -> None:
    """`float | Tensor` refuses text, yet takes a list or a part for its tensor."""
    annotation = read("float | Tensor")
    assert not fits("abc", annotation)
    assert not fits(None, annotation)
    assert fits([1.0], annotation)
    assert fits({"_target_": "torch.zeros"}, annotation)


def test_part_fits_everywhere() -> None:
    """What a part makes is unknown before it is made: a function may well return a list."""
    for annotation in ("Tensor", "list[int]", "float", "Literal['a']", "tuple[int, int]"):
        assert fits({"_target_": "package.make"}, read(annotation))
    assert not fits({"target": "package.make"}, read("float"))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Annotated[int, Ge(1)]", "a whole number >= 1"),
        ("Annotated[float, Gt(0), Lt(1)]", "a number > 0 and < 1"),
        ("Annotated[float | None, Ge(0)]", "a number >= 0 or null"),
        ("bool", "true or false"),
        ("str", "text"),
        ("None | int", "a whole number or null"),
        ("Literal['none', 'batch', 'group']", "one of: none, batch, group"),
        ("list[int]", "a list of whole numbers"),
        ("tuple[float, float]", "a list of 2 numbers"),
        ("tuple[int, str]", "a list of a whole number, then text"),
        ("dict[str, float]", "a mapping of names to numbers"),
        ("Annotated[str, MinLen(1)]", "text, at least 1 long"),
        ("float | Tensor", "a number"),
        ("Optional[Tensor]", "a Tensor part or null"),
    ],
)
def test_describe(annotation: str, words: str) -> None:
    """What is allowed is said in a user's words."""
    assert describe(read(annotation)) == words


def test_nothing_is_evaluated() -> None:
    """An annotation with a call in it is data: it is neither run nor a reason to fail."""
    assert fits(1, read("exec('raise SystemExit')"))
    assert fits(1, read("'not python ('"))
