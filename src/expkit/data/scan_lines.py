"""Scans of four kinds of microscope tip, made up in the class shares of log 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le, Lt

from expkit.data.samples import Dataset, Normalisation, Samples
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHARES = (0.088, 0.439, 0.169, 0.304)  # of the tips in microscope.TIPS; log 3's weights mean these
CHUNK = 128  # images drawn at once: more do not stay in the processor's cache


@dataclass(frozen=True)
class ScanLines:
    """One-channel images in which each line has its own offset; what made them is the class.

    The images of log 3 are not public. These have its class shares and its difficulty: see
    `expkit.data.microscope` for how they are drawn. `seed` draws the images and deals them out.
    """

    num_samples: Annotated[int, Ge(40)] = 1700
    size: Annotated[int, Ge(16), Le(1024)] = 128
    seed: Annotated[int, Ge(0)] = 0
    val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.15
    test_fraction: Annotated[float, Gt(0), Lt(1)] = 0.15
    normalise: Normalisation = "scan_line"

    def __post_init__(self) -> None:
        if self.val_fraction + self.test_fraction >= 1:
            raise UserError(
                "the split train would be empty",
                where=f"dataset.val_fraction={self.val_fraction:g}, "
                f"dataset.test_fraction={self.test_fraction:g}",
                allowed="together less than 1",
            )

    def read(self) -> Dataset:
        import numpy as np

        from expkit.data.microscope import TIPS, draw_scans

        rng = np.random.default_rng(self.seed)
        tips = rng.permutation(np.repeat(np.arange(len(SHARES)), class_counts(self.num_samples)))
        images = np.concatenate(
            [
                draw_scans(tips[start : start + CHUNK], self.size, rng)
                for start in range(0, self.num_samples, CHUNK)
            ]
        )[..., None]
        splits = {
            name: Samples(images[chosen], tips[chosen], [f"scan_{i:05d}" for i in chosen])
            for name, chosen in self._deal(tips).items()
        }
        return Dataset(splits, self.normalise, class_names=TIPS)

    def _deal(self, tips: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
        """Indices by split, each class dealt out in the same shares; in random order already."""
        import numpy as np

        dealt: dict[str, list[npt.NDArray[np.int64]]] = {"train": [], "val": [], "test": []}
        for tip in range(len(SHARES)):
            of_tip = np.flatnonzero(tips == tip)
            num_val = round(self.val_fraction * len(of_tip))
            num_test = round(self.test_fraction * len(of_tip))
            bounds = [num_val, num_val + num_test]
            for name, part in zip(("val", "test", "train"), np.split(of_tip, bounds), strict=True):
                dealt[name].append(part)
        return {name: np.sort(np.concatenate(parts)) for name, parts in dealt.items()}


def class_counts(num_samples: int) -> list[int]:
    """How many samples of each class: the shares rounded down, and what is left to the nearest."""
    exact = [share * num_samples for share in SHARES]
    counts = [int(number) for number in exact]
    most_cut = sorted(range(len(SHARES)), key=lambda tip: counts[tip] - exact[tip])
    for tip in most_cut[: num_samples - sum(counts)]:
        counts[tip] += 1
    return counts
