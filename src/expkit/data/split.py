"""A split on the device: batches are gathered by index, never decoded or moved again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from expkit.data.samples import Dataset, Normalisation, Samples


@dataclass(frozen=True)
class Normaliser:
    """uint8 pictures to floats, as scale * x + shift for each channel, or for each sample.

    Scale and shift are repeated over a row of pixels: the CPU has no fast loop over 3 channels.
    """

    scale_WC: Tensor
    shift_WC: Tensor
    by_sample: bool

    def __call__(self, images_BHWC: Tensor) -> Tensor:
        if self.by_sample:
            images = images_BHWC.float()
            spread, mean = torch.std_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
            return (images - mean) / spread.clamp_min(SMALLEST_SPREAD)
        rows = torch.addcmul(self.shift_WC, images_BHWC.flatten(2).float(), self.scale_WC)
        return rows.view(images_BHWC.shape)


SMALLEST_SPREAD = 1.0  # of 255: a constant channel becomes zeros, not a division by zero


def fit_normaliser(images_NHWC: Tensor, how: Normalisation) -> Normaliser:
    """What the training pictures say of their channels; the other splits are treated alike."""
    channels = images_NHWC.shape[-1]
    scale, shift = torch.full((channels,), 1 / 255), torch.zeros(channels)
    if how == "dataset":
        counts = torch.stack(
            [torch.bincount(images_NHWC[..., c].flatten(), minlength=256) for c in range(channels)]
        ).double()  # on the CPU: exact for any number of pictures, and no float copy of them
        levels = torch.arange(256, dtype=torch.double)
        total = counts.sum(1)
        mean = counts @ levels / total
        spread = (counts @ levels.square() / total - mean.square()).clamp_min(0).sqrt()
        scale = spread.clamp_min(SMALLEST_SPREAD).reciprocal()
        scale, shift = scale.float(), (-mean * scale).float()
    width = images_NHWC.shape[2]
    return Normaliser(scale.repeat(width), shift.repeat(width), by_sample=how == "sample")


@dataclass(frozen=True)
class Split:
    """The samples of one split with everything that the loop and the pages ask of them."""

    name: str
    images_NHWC: Tensor
    targets: Tensor  # N class indices, or N x T numbers
    sample_names: Sequence[str]
    class_names: Sequence[str] | None
    normaliser: Normaliser

    def __len__(self) -> int:
        return len(self.images_NHWC)

    @property
    def class_counts(self) -> list[int] | None:
        """How many samples of each class, absent classes included."""
        if self.class_names is None:
            return None
        counts: list[int] = torch.bincount(self.targets, minlength=len(self.class_names)).tolist()
        return counts

    def batches(
        self, size: int, *, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures B x C x H x W (channels last in memory) and targets, on the device."""
        bounds = batch_bounds(len(self), size)
        if not shuffle:
            for start, stop in bounds:
                yield self._batch(self.images_NHWC[start:stop], self.targets[start:stop])
            return
        order = torch.randperm(len(self), generator=generator).to(self.images_NHWC.device)
        for start, stop in bounds:
            chosen = order[start:stop]
            # twenty times as fast on bytes as indexing with a tensor
            yield self._batch(
                self.images_NHWC.index_select(0, chosen), self.targets.index_select(0, chosen)
            )

    def _batch(self, images_BHWC: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.normaliser(images_BHWC).permute(0, 3, 1, 2), targets

    def spread_out(self, count: int) -> Split:
        """A few samples, evenly spaced: sorted by class as they may lie, they differ in it."""
        chosen = torch.linspace(0, len(self) - 1, min(count, len(self))).round().long()
        kept = chosen.tolist()
        on_device = chosen.to(self.images_NHWC.device)
        return Split(
            self.name,
            self.images_NHWC[on_device],
            self.targets[on_device],
            [self.sample_names[i] for i in kept],
            self.class_names,
            self.normaliser,
        )


def batch_bounds(num_samples: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and stop; a last one of one sample, on which batch norm fails, joins."""
    starts = list(range(0, num_samples, size))
    if size > 1 and len(starts) > 1 and num_samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], num_samples], strict=True))


def place_splits(dataset: Dataset, device: torch.device) -> dict[str, Split]:
    """Move a dataset to the device once."""
    train = torch.from_numpy(dataset.splits["train"].images)
    fitted = fit_normaliser(train, dataset.normalise)
    normaliser = Normaliser(
        fitted.scale_WC.to(device), fitted.shift_WC.to(device), fitted.by_sample
    )

    def place(name: str, samples: Samples) -> Split:
        return Split(
            name=name,
            images_NHWC=torch.from_numpy(samples.images).to(device),
            targets=torch.from_numpy(samples.targets).to(device),
            sample_names=samples.names,
            class_names=dataset.class_names,
            normaliser=normaliser,
        )

    return {name: place(name, samples) for name, samples in dataset.splits.items()}
