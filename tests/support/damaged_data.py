"""Small real data, ways to damage it, and the evidence that a data profile of it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from synthetic_evidence import make_evidence, make_signal

from expkit.data.audit.data_profile import profile_dataset
from expkit.data.datasets.digits import Digits
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, Samples
from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata

Array = npt.NDArray[Any]


def digits() -> Dataset:
    """1,257 to train on and twice 270 held out."""
    return Digits().read(silent)


def of_arrays(**splits: tuple[Array, Array]) -> Dataset:
    """Images and labels by split; a sample's name is its split and number."""
    classes = max(int(labels.max()) for _, labels in splits.values()) + 1
    return Dataset(
        {
            name: Samples(
                images, labels.astype(np.int64), [f"{name}_{i}" for i in range(len(labels))]
            )
            for name, (images, labels) in splits.items()
        },
        "dataset",
        class_names=[f"class_{i}" for i in range(classes)],
    )


def change(
    dataset: Dataset,
    split: str,
    images: Callable[[Array], Array] | None = None,
    targets: Callable[[Array], Array] | None = None,
) -> Dataset:
    """One split with other images or other labels."""
    samples = dataset.splits[split]
    changed = replace(
        samples,
        images=samples.images if images is None else np.ascontiguousarray(images(samples.images)),
        targets=samples.targets if targets is None else targets(samples.targets),
        digests=None,
    )
    return replace(dataset, splits={**dataset.splits, split: changed})


def flip(targets: Array, share: float, seed: int = 0) -> Array:
    """That share of the labels turned into another class, each as likely."""
    rng = np.random.default_rng(seed)
    flipped = rng.permutation(len(targets))[: round(share * len(targets))]
    wrong = targets.copy()
    num_classes = int(targets.max()) + 1
    wrong[flipped] += rng.integers(1, num_classes, len(flipped))
    return np.asarray(wrong % num_classes)


def metadata_of(dataset: Dataset) -> DatasetMetadata:
    return DatasetMetadata(
        name="Damaged",
        task="classification",
        class_names=tuple(dataset.class_names or ()),
        target_names=None,
        image_shape=(1, 8, 8),
        splits={
            name: SplitMetadata(len(samples), dataset.class_counts(name), name)
            for name, samples in dataset.splits.items()
        },
        layouts={},
    )


def evidence_of(
    dataset: Dataset, signals: Sequence[Mapping[str, Any]] = (), **others: Any
) -> Evidence:
    """What a run on this data has after its data profile, and whatever else is given."""
    profile = make_signal("data", "preflight", **profile_dataset(dataset))
    return make_evidence(metadata=metadata_of(dataset), signals=[profile, *signals], **others)
