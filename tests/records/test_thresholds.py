"""The stored cut-offs: what they decide, and that a stranger's file is only data."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expkit.errors import UserError
from expkit.records.thresholds import Threshold

PIT = Threshold("pit", ["clean", "pit"], 0.1, 0.8, 0.99, 0.99, "val", 0, True, {})


def decide_two(threshold: Threshold, *scores: float) -> list[str]:
    return threshold.decide(np.array([[1 - s, s] for s in scores], np.float64))


def test_three_ways_and_both_ends() -> None:
    """A cut-off belongs to the side above it."""
    answers = decide_two(PIT, 0.05, 0.1, 0.5, 0.79, 0.8, 1.0)
    assert answers == ["clean", "maybe", "maybe", "maybe", "pit", "pit"]


def test_equal_cut_offs_leave_no_maybe() -> None:
    """Where one cut-off does for both."""
    assert decide_two(replace(PIT, low=0.8), 0.79, 0.8) == ["clean", "pit"]


def test_without_an_upper_cut_off_nothing_is_sure() -> None:
    """Even a probability of 1 is a maybe."""
    assert decide_two(replace(PIT, high=None), 0.05, 1.0) == ["clean", "maybe"]


def test_not_a_number_is_a_maybe() -> None:
    """A broken answer is nobody's sure answer."""
    assert decide_two(PIT, math.nan) == ["maybe"]


def test_of_many_classes_the_best_other_is_meant() -> None:
    """Surely not a pit: the most probable of the others, though the pit be likelier."""
    threshold = replace(PIT, class_names=["clean", "pit", "stone"], low=0.5)
    table = np.array([[0.25, 0.4, 0.35], [0.4, 0.3, 0.3], [0.05, 0.9, 0.05]])
    assert threshold.decide(table) == ["stone", "clean", "pit"]


def test_float32_answers_are_taken(tmp_path: Path) -> None:
    """As a model gives them, without changing them."""
    table = np.array([[0.1, 0.9]], np.float32)
    assert PIT.decide(table) == ["pit"]
    assert table[0, 1] == np.float32(0.9)


def test_written_and_read_again(tmp_path: Path) -> None:
    """The same threshold; none where none was written."""
    assert Threshold.read(tmp_path) is None
    for threshold in (PIT, replace(PIT, high=None)):
        threshold.write(tmp_path)
        assert Threshold.read(tmp_path) == threshold


@pytest.mark.parametrize(
    "changes", [{"low": 0.9}, {"high": 1.5}, {"class_name": "stone"}, {"low": "0"}, {"more": 1}]
)
def test_a_file_that_is_no_threshold_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    """Cut-offs in the wrong order, of an unknown class, of a wrong type, or with other keys."""
    PIT.write(tmp_path)
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match="holds no threshold"):
        Threshold.read(tmp_path)
