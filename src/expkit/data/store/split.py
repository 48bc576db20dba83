"""A split on the device: batches are gathered by index, never decoded or moved again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from expkit.data.store.memory_mapped import MappedImages
from expkit.data.store.normalizer import Normalizer, fit_normalizer
from expkit.data.store.samples import Dataset, Samples

Augment = Callable[[Tensor], Tensor]
"""From and to images B x C x H x W in [0, 1], channels last in memory, on the device."""


@dataclass(frozen=True)
class Split:
    """The samples of one split with everything that the loop and the pages ask of them."""

    name: str
    images_NHWC: Tensor | MappedImages
    targets: Tensor  # N class indices, or N x T numbers
    sample_names: Sequence[str]
    class_names: Sequence[str] | None
    normalizer: Normalizer

    def __len__(self) -> int:
        return len(self.images_NHWC)

    @property
    def class_counts(self) -> list[int] | None:
        """Return how many samples of each class, absent classes included."""
        if self.class_names is None:
            return None
        counts: list[int] = torch.bincount(self.targets, minlength=len(self.class_names)).tolist()
        return counts

    def batches(
        self,
        size: int,
        *,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        balanced: bool = False,
        augment: Augment | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Images B x C x H x W (channels last in memory) and targets, on the device.

        `balanced` draws with replacement, each class that is there equally often.
        """
        bounds = batch_bounds(len(self), size)
        if not shuffle and not balanced:
            for start, stop in bounds:
                images = self._prepare(self.images_NHWC[start:stop], augment)
                yield images, self.targets[start:stop]
            return
        order = self.draw_order(generator, balanced=balanced)
        for start, stop in bounds:
            yield self.gather(order[start:stop], augment)

    def draw_order(
        self, generator: torch.Generator | None = None, *, balanced: bool = False
    ) -> Tensor:
        """The samples of an epoch as it takes them, by index, on the device."""
        if balanced:
            return self._draw_balanced(generator).to(self.targets.device)
        return torch.randperm(len(self), generator=generator).to(self.targets.device)

    def gather(self, chosen: Tensor, augment: Augment | None = None) -> tuple[Tensor, Tensor]:
        """The images and targets of some samples, prepared, by indices on the device."""
        # twenty times as fast on bytes as indexing with a tensor
        images = self._prepare(self.images_NHWC.index_select(0, chosen), augment)
        return images, self.targets.index_select(0, chosen)

    def _draw_balanced(self, generator: torch.Generator | None) -> Tensor:
        assert self.class_names is not None, "numbers have no classes to balance"
        targets = self.targets.cpu()
        weights = torch.bincount(targets).reciprocal()[targets]
        return torch.multinomial(weights, len(self), replacement=True, generator=generator)

    def _prepare(self, images_BHWC: Tensor, augment: Augment | None) -> Tensor:
        if augment is not None:
            images_BCHW = augment(images_BHWC.float().div_(255).permute(0, 3, 1, 2))
            images_BHWC = images_BCHW.permute(0, 2, 3, 1).contiguous() * 255
        return self.normalizer(images_BHWC).permute(0, 3, 1, 2)

    def spread_out(self, count: int) -> Split:
        """A few samples, evenly spaced: sorted by class as they may lie, they differ in it."""
        few = self.select(torch.linspace(0, len(self) - 1, min(count, len(self))).round().long())
        return replace(few, images_NHWC=few.images_NHWC[: len(few)])  # out of their file

    def select(self, chosen: Tensor) -> Split:
        """Some of the samples; images that lie in a file stay there."""
        images = self.images_NHWC
        on_device = chosen.to(self.targets.device)
        return Split(
            self.name,
            images[on_device] if isinstance(images, Tensor) else images.select(chosen),
            self.targets[on_device],
            [self.sample_names[i] for i in chosen.tolist()],
            self.class_names,
            self.normalizer,
        )


def batch_bounds(num_samples: int, size: int) -> list[tuple[int, int]]:
    """Where batches start and stop; a last one of one sample, on which batch norm fails, joins."""
    starts = list(range(0, num_samples, size))
    if size > 1 and len(starts) > 1 and num_samples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], num_samples], strict=True))


def place_splits(dataset: Dataset, device: torch.device) -> dict[str, Split]:
    """Move a dataset to the device once; what holds no train is only evaluated."""
    first = dataset.splits.get("train") or next(iter(dataset.splits.values()))
    fitted = place_images(first, torch.device("cpu"))
    normalizer = fit_normalizer(fitted, dataset.normalize).to(device)

    def place(name: str, samples: Samples) -> Split:
        return Split(
            name=name,
            images_NHWC=place_images(samples, device),
            targets=torch.from_numpy(samples.targets).to(device),
            sample_names=samples.names,
            class_names=dataset.class_names,
            normalizer=normalizer,
        )

    return {name: place(name, samples) for name, samples in dataset.splits.items()}


def place_images(samples: Samples, device: torch.device) -> Tensor | MappedImages:
    """Images on the device, or where they lie in a file."""
    if samples.is_mapped:
        return MappedImages(samples.images, samples.rows, device)
    return torch.from_numpy(samples.settle().images).to(device)


def as_bytes(splits: Mapping[str, Split]) -> dict[str, Split]:
    """The splits that hand out bytes, as floats from 0 to 255."""
    channels = next(iter(splits.values())).images_NHWC.shape[-1]
    plain = Normalizer(torch.ones(channels), torch.zeros(channels))
    return {name: replace(split, normalizer=plain) for name, split in splits.items()}
