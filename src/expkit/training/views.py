"""Views of an image for test-time augmentation: batched, on the device, each of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor
from torch.nn.functional import interpolate

from expkit.training.arguments import View

Transform = Callable[[Tensor], Tensor]
LARGE, SMALL = 7 / 8, 3 / 4  # of either side, that a crop keeps: 224 of 256, and less


def _flip(images_BCHW: Tensor, *, dims: tuple[int, ...]) -> Tensor:
    return images_BCHW.flip(dims)


def _crop(images_BCHW: Tensor, *, fraction: float, y: float, x: float) -> Tensor:
    """A part of each image at a place between 0 and 1, brought back to the whole size."""
    height, width = images_BCHW.shape[-2:]
    rows, columns = max(1, round(height * fraction)), max(1, round(width * fraction))
    top, left = round((height - rows) * y), round((width - columns) * x)
    part = images_BCHW[..., top : top + rows, left : left + columns]
    return interpolate(part, size=(height, width), mode="bilinear", align_corners=False)


_HORIZONTAL, _VERTICAL = partial(_flip, dims=(-1,)), partial(_flip, dims=(-2,))
TRANSFORMS: Mapping[View, Sequence[Transform]] = {
    "horizontal_flip": (_HORIZONTAL,),
    "vertical_flip": (_VERTICAL,),
    "flips": (_HORIZONTAL, _VERTICAL, partial(_flip, dims=(-2, -1))),
    "five_crops": tuple(
        partial(_crop, fraction=LARGE, y=y, x=x)
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5))
    ),
    "center_crops": tuple(partial(_crop, fraction=each, y=0.5, x=0.5) for each in (LARGE, SMALL)),
}


def transforms_of(views: Sequence[View]) -> list[Transform]:
    """Return what is done to an image, beside nothing, once for each further pass."""
    return [transform for view in views for transform in TRANSFORMS[view]]
