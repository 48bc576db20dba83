"""Views that would make another class of an image, or no image of its kind, are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_metadata import DIGITS, POSITIONS

from expkit.data.datasets.puzzle import Puzzle
from expkit.data.datasets.scan_lines import ScanLines
from expkit.data.store.progress import silent
from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata
from expkit.runner.unsuitable_views import refuse_unsuitable
from expkit.training.arguments import View

BY_ROW = {"normalizer": {"by": "row", "scale": [1.0], "shift": [0.0]}}


@pytest.mark.parametrize("view", ["horizontal_flip", "vertical_flip", "flips"])
def test_a_turned_piece_may_not_be_mirrored(view: View) -> None:
    """A quarter turn to the left is one to the right in a mirror; a crop changes nothing."""
    read = Puzzle(rows=2, columns=2, piece_size=8, target="rotation").read(silent)
    data = replace(DIGITS, unsuitable_views=dict(read.unsuitable_views))
    with pytest.raises(UserError, match="another class") as caught:
        refuse_unsuitable([view], data, f"--tta {view}")
    assert caught.value.details["allowed"] == "five_crops, center_crops"
    refuse_unsuitable(["five_crops"], data, "--tta five_crops")
    assert not Puzzle(rows=2, columns=2, piece_size=8).read(silent).unsuitable_views


@pytest.mark.parametrize("view", ["vertical_flip", "flips", "five_crops"])
def test_scan_lines_keep_their_order_and_their_length(view: View) -> None:
    """Scanned downwards, each normalized as a whole; the log's own horizontal flip is right."""
    read = ScanLines(num_samples=100, size=16).read(silent)
    data = replace(DIGITS, preprocessing=BY_ROW, unsuitable_views=dict(read.unsuitable_views))
    with pytest.raises(UserError, match="does not suit") as caught:
        refuse_unsuitable([view], data, f"--tta {view}")
    assert caught.value.details["allowed"] == "horizontal_flip"
    refuse_unsuitable(["horizontal_flip"], data, "")


def test_numbers_are_not_averaged_over_views() -> None:
    """A mirrored piece lies elsewhere."""
    with pytest.raises(UserError, match="predicts numbers"):
        refuse_unsuitable(["horizontal_flip"], POSITIONS, "--tta horizontal_flip")
    refuse_unsuitable([], POSITIONS, "")


def test_a_view_that_is_named_twice_is_refused() -> None:
    """It would weigh twice as much."""
    with pytest.raises(UserError, match="twice"):
        refuse_unsuitable(["horizontal_flip", "horizontal_flip"], DIGITS, "")


def test_what_does_not_suit_is_recorded_where_there_is_any() -> None:
    """Predicting has no dataset to ask; records of other data are the same as before."""
    assert "unsuitable_views" not in DIGITS.to_json()
    data = replace(DIGITS, unsuitable_views={"vertical_flip": "because"})
    assert DatasetMetadata.from_json(data.to_json()).unsuitable_views == data.unsuitable_views
    assert DatasetMetadata.from_json(DIGITS.to_json()) == DIGITS
