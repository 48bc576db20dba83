"""Normalizers: known constants, figures of the images, and their way to a file and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from expkit.data.store import normalizer as normalizer_module
from expkit.data.store.normalizer import Normalizer, fit_normalizer
from expkit.data.store.samples import Normalization
from expkit.errors import UserError


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def test_none_leaves_the_levels() -> None:
    """0 to 255, as log 4 fed them."""
    images = torch.tensor([0, 1, 255], dtype=torch.uint8).view(1, 1, 3, 1)
    assert fit_normalizer(images, "none")(images).flatten().tolist() == [0, 1, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_imagenet_is_timm_s(channels: int) -> None:
    """The constants that pretrained models were trained with; grey has their means."""
    images = noise(2, 3, 4, channels)
    mean, spread = torch.tensor(IMAGENET_DEFAULT_MEAN), torch.tensor(IMAGENET_DEFAULT_STD)
    if channels == 1:
        mean, spread = mean.mean(), spread.mean()
    expected = (images / 255 - mean) / spread
    torch.testing.assert_close(fit_normalizer(images, "imagenet")(images), expected)


def test_imagenet_of_two_channels_is_refused() -> None:
    """There are no such figures, and the way out is said."""
    with pytest.raises(UserError, match="these have 2") as caught:
        fit_normalizer(noise(1, 2, 2, 2), "imagenet")
    assert caught.value.details["do"] == "dataset.normalize=dataset"


def test_scan_line_normalizes_each_row() -> None:
    """By hand: a row of 0 and 10 becomes -1 and 1, a flat row zeros, whatever stands below."""
    images = torch.tensor([[0, 10], [7, 7]], dtype=torch.uint8).view(1, 2, 2, 1)
    assert fit_normalizer(images, "scan_line")(images).flatten().tolist() == [-1, 1, 0, 0]


def test_scan_line_takes_its_channels_together() -> None:
    """Mean 0 and standard deviation 1 over width and channels of each row."""
    images = noise(3, 4, 5, 3)
    spread, mean = torch.std_mean(
        fit_normalizer(images, "scan_line")(images), dim=(2, 3), correction=0
    )
    torch.testing.assert_close(mean, torch.zeros(3, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(spread, torch.ones(3, 4))


def test_counting_in_chunks_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is walked a part at a time, and the figures are those of the whole."""
    images = noise(23, 4, 5, 3)
    whole = fit_normalizer(images, "dataset")
    monkeypatch.setattr(normalizer_module, "CHUNK_BYTES", 7 * 4 * 5 * 3)
    in_chunks = fit_normalizer(images, "dataset")
    assert torch.equal(whole.scale_C, in_chunks.scale_C)
    assert torch.equal(whole.shift_C, in_chunks.shift_C)


@pytest.mark.parametrize("how", ["none", "unit", "dataset", "sample", "scan_line", "imagenet"])
def test_normalizers_come_back_from_plain_numbers(how: Normalization) -> None:
    """Through JSON and back each answers bit for bit the same, also to images of another size."""
    fitted = fit_normalizer(noise(5, 4, 6, 3), how)
    again = Normalizer.from_json(json.loads(json.dumps(fitted.to_json())))
    images = noise(2, 7, 3, 3)
    assert torch.equal(fitted(images), again(images))
