"""Augmentation of whole batches on their device, with a draw of its own for each sample."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from expkit.augment.mixing import mix_pairs
from expkit.errors import UserError

MOST_OUTSIDE = 0.5  # of the trial's values: strong noise stays below, a normalization does not


@dataclass(frozen=True)
class Augmentation:
    """Named transforms in order, then mixed pairs; all draw from torch's global generators.

    Nothing is remembered from batch to batch, so whoever seeds each epoch also resumes it.
    """

    transforms: Mapping[str, nn.Module] = field(default_factory=dict)
    mixup_alpha: Annotated[float, Ge(0)] = 0.0
    cutmix_alpha: Annotated[float, Ge(0)] = 0.0

    def __post_init__(self) -> None:
        for name, transform in self.transforms.items():
            if not isinstance(transform, nn.Module):
                raise UserError(
                    f"augment.transforms.{name} is no transform",
                    where=f"augment.transforms.{name}={transform}",
                    allowed="a mapping with a _target_, such as kornia.augmentation.RandomErasing",
                    fix=_fix(name),
                )

    @property
    def is_identity(self) -> bool:
        """Tell whether a call would hand the images back as they are."""
        return not self.transforms

    @property
    def mixes(self) -> bool:
        """Tell whether targets become soft: each sample's label shared with its partner's."""
        return self.mixup_alpha > 0 or self.cutmix_alpha > 0

    @torch.no_grad()
    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Images in [0, 1], channels last in memory, before and after."""
        if self.is_identity:
            return images_BCHW
        # kornia's kernels are up to four times as slow on images that lie channels last
        changed = images_BCHW.contiguous()
        for transform in self.transforms.values():
            changed = transform(changed)
        return changed.contiguous(memory_format=torch.channels_last).clamp(0, 1)

    @torch.no_grad()
    def mix(
        self, images_BCHW: Tensor, targets_B: Tensor, num_classes: int
    ) -> tuple[Tensor, Tensor]:
        """Images mixed in pairs with the fractions B x C of the classes; or both as they are."""
        if not self.mixes:
            return images_BCHW, targets_B
        return mix_pairs(
            images_BCHW,
            targets_B,
            num_classes,
            mixup_alpha=self.mixup_alpha,
            cutmix_alpha=self.cutmix_alpha,
        )

    def check(self, image_shape: Sequence[int]) -> None:
        """Refuse, by name, a transform that cannot take images C x H x W or spoils them."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            for name, transform in self.transforms.items():
                _try_out(name, transform, tuple(image_shape))


@dataclass(frozen=True)
class LoneTransform(Augmentation):
    """One transform in the place of an augmentation, which no key of `transforms` names."""

    def check(self, image_shape: Sequence[int]) -> None:
        try:
            super().check(image_shape)
        except UserError as error:
            (name,) = self.transforms
            raise UserError(
                error.what.replace(f"augment.transforms.{name}", "augment"),
                where=f"augment ({name})",
                allowed=error.details["allowed"],
                fix="expkit train ... augment=none",
            ) from error


def _try_out(name: str, transform: nn.Module, image_shape: tuple[int, ...]) -> None:
    images_BCHW = torch.rand(2, *image_shape)
    trial = copy.deepcopy(transform)
    for probability in ("p", "p_batch"):  # kornia gates a sample, or a batch, by one of them
        if hasattr(trial, probability):
            setattr(trial, probability, 1.0)  # a rare transform must not slip through
    try:
        result = trial(images_BCHW)
    except Exception as error:
        raise _refusal(name, transform, f"fails: {error}", image_shape) from error
    if not isinstance(result, Tensor):
        fault = f"returns a {type(result).__name__}, not images"
    elif result.shape != images_BCHW.shape:
        fault = f"makes them {_times(result.shape[1:])}"
    elif not result.isfinite().all():
        fault = "makes values that are not finite"
    elif _fraction_outside(result) > MOST_OUTSIDE:
        fault = "leaves the range from 0 to 1; to normalize is the dataset's: dataset.normalize"
    else:
        return
    raise _refusal(name, transform, fault, image_shape)


def _fraction_outside(images_BCHW: Tensor) -> float:
    is_outside = (images_BCHW < 0) | (images_BCHW > 1)
    return float(is_outside.float().mean())


def _refusal(
    name: str, transform: nn.Module, fault: str, image_shape: tuple[int, ...]
) -> UserError:
    return UserError(
        f"augment.transforms.{name} cannot augment these images, {_times(image_shape)}: it {fault}",
        where=f"augment.transforms.{name} ({type(transform).__name__})",
        allowed="a transform that keeps the shape of images in [0, 1]",
        fix=_fix(name),
    )


def _fix(name: str) -> str:
    return f"leave it out: '~augment.transforms.{name}'"


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
