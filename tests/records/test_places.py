"""Where things lie on a machine is cut from what is read elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from expkit.records.places import is_same_place, without_places


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/olga smith/my data/cherry", "PATH/cherry"),
        ("/data", "PATH/data"),
        ("/", "PATH"),
        ("~/cherry", "PATH/cherry"),
        ("data/cherry", "data/cherry"),
        ("dataset.root=/home/olga smith/x", "dataset.root=PATH/x"),
        ("made by /home/olga/train.py", "made by PATH/train.py"),
        ("expkit.models.conv.ConvNet", "expkit.models.conv.ConvNet"),
        ({"members": ["/a/b", 2, None]}, {"members": ["PATH/b", 2, None]}),
    ],
)
def test_a_whole_path_keeps_its_last_part(value: Any, expected: Any) -> None:
    """Also one with spaces in it; a relative one says nothing of a machine, and stays."""
    assert without_places(value) == expected
    assert without_places(expected) == expected


def test_a_cut_place_is_any_of_that_name() -> None:
    assert is_same_place("PATH/x", "/home/x")
    assert is_same_place(["/a/x", 1], ["PATH/x", 1])
    assert not is_same_place("/a/x", "/b/x")  # both are whole: two places
    assert not is_same_place("PATH/x", "/home/y")
    assert not is_same_place("PATH/x", 1)
