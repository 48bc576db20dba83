"""The interface of an augmentation to the loop, and the one that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Augmentation(Protocol):
    """An augmentation, which changes the training samples anew in every epoch."""

    def __call__(self, images_BCHW: Tensor) -> Tensor: ...

    @property
    def is_identity(self) -> bool: ...

    def mix(
        self, images_BCHW: Tensor, targets_B: Tensor, num_classes: int
    ) -> tuple[Tensor, Tensor]: ...


class AugmentationSource(Augmentation, Protocol):
    """The type that an augmentation's `_target_` makes."""

    @property
    def mixes(self) -> bool: ...

    def check(self, image_shape: Sequence[int]) -> None: ...


class Unchanged:
    """The augmentation of gates and of those who want none."""

    is_identity = True

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW

    def mix(
        self, images_BCHW: Tensor, targets_B: Tensor, num_classes: int
    ) -> tuple[Tensor, Tensor]:
        return images_BCHW, targets_B


UNCHANGED = Unchanged()
