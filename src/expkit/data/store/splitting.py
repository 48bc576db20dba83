"""Which samples a run gets: splits made where there are none, folds, the first few, a fraction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.store.samples import Samples

    Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The fields that every dataset of classes has; all draws are by class and by `split_seed`.

    What is held out of a learning curve (`fraction`) or of a try-out (`limit`) stays held out.
    """

    val_fraction: Annotated[float, Ge(0), Lt(1)] = 0.15
    test_fraction: Annotated[float, Ge(0), Lt(1)] = 0.15
    split_seed: Annotated[int, Ge(0)] = 0
    limit: Annotated[int, Ge(1)] | None = None
    fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    fold: Annotated[int, Ge(0)] | None = None
    num_folds: Annotated[int, Ge(2)] = 5
    evaluate_only: bool = False  # nothing is held out of it: no sample of it is trained on
    sealed: bool = False  # test is kept from the run: `expkit unseal` looks at it, and counts that

    def __post_init__(self) -> None:
        if self.val_fraction + self.test_fraction >= 1:
            raise UserError(
                "the split train would be empty",
                where=self._fractions,
                allowed="together less than 1",
            )
        if self.fold is not None and self.fold >= self.num_folds:
            raise UserError(
                f"there is no fold {self.fold} of {self.num_folds}",
                where=f"dataset.fold={self.fold}, dataset.num_folds={self.num_folds}",
                allowed=f"0 to {self.num_folds - 1}",
            )

    def divide(
        self, given: Mapping[str, Samples], class_names: Sequence[str] | None = None
    ) -> dict[str, Samples]:
        """The splits that a run uses, from those that the data came in."""
        splits = self._hold_out(given, class_names)
        if self.fold is not None and not self.evaluate_only:
            splits = self._take_fold(splits, self.fold)
        if self.limit is not None:
            splits = {
                name: samples.select(take_first(samples.targets, self.limit))
                for name, samples in splits.items()
            }
        if self.fraction < 1 and "train" in splits:
            chosen = draw_fraction(splits["train"].targets, self.fraction, self.split_seed)
            splits["train"] = splits["train"].select(chosen)
        return {name: samples.settle() for name, samples in splits.items()}

    def _hold_out(
        self, given: Mapping[str, Samples], class_names: Sequence[str] | None
    ) -> dict[str, Samples]:
        """A val where there is none, and a test where nothing is held out, both out of train."""
        if self.evaluate_only:
            return {"test": given["train"]} if set(given) == {"train"} else dict(given)
        is_val_made = "val" not in given and self.fold is None
        val_fraction = self.val_fraction if is_val_made else 0.0
        test_fraction = self.test_fraction if set(given) == {"train"} else 0.0
        if not val_fraction + test_fraction:
            return dict(given)
        train = given["train"]
        self._check_counts(train.targets, val_fraction, test_fraction, class_names)
        try:
            parts = split_by_class(train.targets, val_fraction, test_fraction, self.split_seed)
        except ValueError as error:
            raise UserError(
                f"the samples cannot be split so: {error}", where=self._fractions
            ) from error
        return {**given, **{name: train.select(chosen) for name, chosen in parts.items()}}

    def _check_counts(
        self,
        targets: npt.NDArray[np.generic],
        val_fraction: float,
        test_fraction: float,
        class_names: Sequence[str] | None,
    ) -> None:
        """Every class needs a sample in every split, or its figures are of nothing."""
        if len(targets) == 0:
            raise UserError("no sample is left to be split", where="dataset")
        classes, counts = np.unique(targets, return_counts=True)
        asked = {"val": val_fraction, "test": test_fraction}
        held_out = [fraction for fraction in asked.values() if fraction]
        wanted = len(held_out) + 1
        if counts.min() >= wanted and all(
            fraction * len(targets) >= len(classes) for fraction in held_out
        ):
            return
        fewest = int(counts.argmin())
        name = f"class {classes[fewest]}"
        if class_names is not None:
            name = f"'{class_names[int(classes[fewest])]}'"
        raise UserError(
            f"{len(targets)} samples of {len(classes)} classes are too few for {wanted} splits: "
            f"{name} has {counts[fewest]}",
            where=self._fractions,
            allowed="a sample of each class in each split",
            fix=self._fractions_that_fit(targets, asked)
            or f"more images of {name}, or a folder val beside train",
        )

    def _fractions_that_fit(
        self, targets: npt.NDArray[np.generic], asked: Mapping[str, float]
    ) -> str | None:
        """Return the words for larger fractions, or for a val alone, by which this can be split."""
        num_classes = len(np.unique(targets))
        least = math.ceil(100 * num_classes / len(targets)) / 100
        larger = {
            name: max(fraction, least) if fraction else 0.0 for name, fraction in asked.items()
        }
        for fractions in (larger, {"val": larger["val"] or least, "test": 0.0}):
            try:
                parts = split_by_class(
                    targets, fractions["val"], fractions["test"], self.split_seed
                )
            except ValueError:
                continue
            if all(len(np.unique(targets[part])) == num_classes for part in parts.values()):
                return " ".join(f"dataset.{k}_fraction={v:g}" for k, v in fractions.items())
        return None

    def _take_fold(self, splits: Mapping[str, Samples], fold: int) -> dict[str, Samples]:
        from sklearn.model_selection import StratifiedKFold

        pool = splits["train"].join(splits["val"]) if "val" in splits else splits["train"]
        counts = np.bincount(pool.targets.astype(np.int64))
        fewest = int(counts[counts > 0].min())
        if fewest < self.num_folds:
            raise UserError(
                f"a class has {fewest} samples, too few for each of {self.num_folds} folds",
                where=f"dataset.num_folds={self.num_folds}",
                allowed=f"at most {fewest}" if fewest > 1 else "no folds with such a class",
            )
        folds = StratifiedKFold(self.num_folds, shuffle=True, random_state=self.split_seed)
        train, val = list(folds.split(pool.targets, pool.targets))[fold]
        return {**splits, "train": pool.select(train), "val": pool.select(val)}

    @property
    def _fractions(self) -> str:
        return (
            f"dataset.val_fraction={self.val_fraction:g}, "
            f"dataset.test_fraction={self.test_fraction:g}"
        )


def tell_made(given: Mapping[str, Samples], splits: Mapping[str, Samples]) -> list[str]:
    """A remark on splits that the data did not come in."""
    if "train" not in splits:
        return []
    made = [f"{len(splits[name])} {name}" for name in splits if name not in given]
    return [f"held out of the training samples, by class: {', '.join(made)}"] if made else []


def split_by_class(
    targets: npt.NDArray[np.generic], val_fraction: float, test_fraction: float, seed: int
) -> dict[str, Indices]:
    """Indices by split, in order, with the classes in equal fractions; ValueError if none."""
    from sklearn.model_selection import train_test_split

    held_out = val_fraction + test_fraction
    train, rest = train_test_split(
        np.arange(len(targets)),
        test_size=round(held_out, 9),  # 0.2 + 0.1 is more than 0.3
        stratify=targets,
        random_state=seed,
    )
    if not (val_fraction and test_fraction):
        return {"train": np.sort(train), "val" if val_fraction else "test": np.sort(rest)}
    val, test = train_test_split(
        rest, test_size=test_fraction / held_out, stratify=targets[rest], random_state=seed
    )
    return {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}


def take_first(targets: npt.NDArray[np.generic], limit: int) -> Indices:
    """The first few of each class, in order."""
    chosen = [np.flatnonzero(targets == each)[:limit] for each in np.unique(targets)]
    return np.sort(np.concatenate(chosen))


def draw_fraction(targets: npt.NDArray[np.generic], fraction: float, seed: int) -> Indices:
    """A fraction of each class, one sample at least; a larger one holds all of a smaller one."""
    rng = np.random.default_rng(seed)
    chosen = []
    for each in np.unique(targets):
        members = rng.permutation(np.flatnonzero(targets == each))
        chosen.append(members[: max(1, round(fraction * len(members)))])
    return np.sort(np.concatenate(chosen))
