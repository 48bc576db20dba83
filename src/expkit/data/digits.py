"""The handwritten digits that scikit-learn carries: real data that needs no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Lt

from expkit.data.samples import Dataset, Normalisation, Samples, Watch
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Digits:
    """1,797 pictures of 8 x 8 in 17 grey levels, split by class and seed."""

    val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.15
    test_fraction: Annotated[float, Gt(0), Lt(1)] = 0.15
    split_seed: Annotated[int, Ge(0)] = 0
    normalise: Normalisation = "dataset"

    def __post_init__(self) -> None:
        if self.val_fraction + self.test_fraction >= 1:
            raise UserError(
                "the split train would be empty",
                where=f"dataset.val_fraction={self.val_fraction:g}, "
                f"dataset.test_fraction={self.test_fraction:g}",
                allowed="together less than 1",
            )

    def read(self, watch: Watch) -> Dataset:
        import numpy as np
        from sklearn.datasets import load_digits

        source = load_digits()
        # 0..16 to 0..255, so that every dataset has the same range
        images = np.round(source.images * (255 / 16)).astype(np.uint8)[..., None]
        targets = source.target.astype(np.int64)
        splits = {
            name: Samples(images[chosen], targets[chosen], [f"digit_{i:04d}" for i in chosen])
            for name, chosen in self._split(targets).items()
        }
        return Dataset(splits, self.normalise, class_names=[str(digit) for digit in range(10)])

    def _split(self, targets: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
        """Indices by split, each with the classes in the same shares."""
        import numpy as np
        from sklearn.model_selection import train_test_split

        everything = np.arange(len(targets))
        held_out = self.val_fraction + self.test_fraction
        try:
            train, rest = train_test_split(
                everything, test_size=held_out, stratify=targets, random_state=self.split_seed
            )
            val, test = train_test_split(
                rest,
                test_size=self.test_fraction / held_out,
                stratify=targets[rest],
                random_state=self.split_seed,
            )
        except ValueError as error:
            raise UserError(
                f"the digits cannot be split so: {error}",
                where=f"dataset.val_fraction={self.val_fraction:g}, "
                f"dataset.test_fraction={self.test_fraction:g}",
            ) from error
        return {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}
