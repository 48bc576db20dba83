"""Test-time augmentation: each view by hand, and the mean of their probabilities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from expkit.training.arguments import NUM_LOOKS, View, num_passes
from expkit.training.predictor import as_predictor
from expkit.training.views import TRANSFORMS, transforms_of

IMAGE = torch.arange(4.0).view(1, 1, 2, 2)  # 0 1 / 2 3


@pytest.mark.parametrize(
    ("view", "rows"),
    [
        ("horizontal_flip", [[[1, 0], [3, 2]]]),
        ("vertical_flip", [[[2, 3], [0, 1]]]),
        ("flips", [[[1, 0], [3, 2]], [[2, 3], [0, 1]], [[3, 2], [1, 0]]]),
    ],
)
def test_flips_by_hand(view: View, rows: list[list[list[int]]]) -> None:
    """Mirrored left to right, upside down, and both at once."""
    assert [change(IMAGE)[0, 0].tolist() for change in TRANSFORMS[view]] == rows


def test_crops_lie_in_the_corners_and_the_centre() -> None:
    """7 of 8 rows and columns; each is brought back to the whole size, so its corners stay."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    image = (10 * rows + columns).view(1, 1, 8, 8)
    found = [change(image)[0, 0] for change in TRANSFORMS["five_crops"]]
    assert {each.shape for each in found} == {(8, 8)}
    corners = [[round(float(each[place, place])) for place in (0, -1)] for each in found]
    assert corners == [[0, 66], [1, 67], [10, 76], [11, 77], [0, 66]]
    narrow = TRANSFORMS["center_crops"][1](image)[0, 0]  # 6 of 8: from 1 to 6
    assert [round(float(narrow[place, place])) for place in (0, -1)] == [11, 66]


def test_each_view_is_counted_as_it_passes() -> None:
    """The names that are allowed without torch are those that there are, with their passes."""
    assert {name: len(changes) for name, changes in TRANSFORMS.items()} == NUM_LOOKS
    assert num_passes(()) == 1
    assert num_passes(["flips", "five_crops"]) == 1 + len(transforms_of(["flips", "five_crops"]))


class LeftMinusRight(nn.Module):
    """Two logits: the left pixel less the right one, and nothing."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        gaps = images_BCHW[:, 0, 0, 0] - images_BCHW[:, 0, 0, 1]
        return torch.stack([gaps, torch.zeros_like(gaps)], 1)


def test_probabilities_are_averaged_after_each_has_its_temperature() -> None:
    """Logits 2 and -2 at temperature 2: the mean of sigmoid(1) and sigmoid(-1) is a half."""
    image = torch.tensor([[[[2.0, 0.0]]]])
    plain = as_predictor(LeftMinusRight())
    cooled = as_predictor(LeftMinusRight(), 2.0)
    both = as_predictor(LeftMinusRight(), 2.0, ["horizontal_flip"])
    assert plain(image).tolist() == [[2.0, 0.0]]
    assert cooled(image).tolist() == [[1.0, 0.0]]
    assert both(image).softmax(1)[0, 0].item() == pytest.approx(0.5)
    three = as_predictor(LeftMinusRight(), 2.0, ["horizontal_flip", "vertical_flip"])
    upright = torch.sigmoid(torch.tensor(1.0)).item()
    assert three(image).softmax(1)[0, 0].item() == pytest.approx((2 * upright + 1 - upright) / 3)


def test_a_plain_prediction_is_the_model_itself() -> None:
    """No number of a run that asks for neither can change, not in its last bit."""
    model = LeftMinusRight()
    assert as_predictor(model) is model
    assert as_predictor(model, 1.0, []) is model
