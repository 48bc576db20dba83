"""Torchvision's classification datasets by name; its import takes seconds, and waits for `read`."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from expkit.data.store.cache import FORMAT, default_folder
from expkit.data.store.decode_options import Decoded
from expkit.data.store.decoding import to_8_bits
from expkit.data.store.progress import ProgressCallback, with_progress
from expkit.data.store.samples import Dataset, Samples
from expkit.data.store.splitting import tell_made
from expkit.errors import UserError, nearest_of

SPLITS = {"train": ("train", "trainval"), "val": ("val", "valid"), "test": ("test",)}
TARGETS = ("targets", "labels", "_labels", "y")  # where they are known without decoding
# no datasets to train on; LSUN's unpickle an index that lies beside the images
LEFT_OUT = frozenset({"FakeData", "LSUN", "LSUNClass", "VisionDataset"})


@dataclass(frozen=True, kw_only=True)
class Torchvision(Decoded):
    """A class of torchvision.datasets, with those of its splits that have labels."""

    name: str
    root: str | None = None
    download: bool = True
    arguments: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def read(self, on_progress: ProgressCallback) -> Dataset:
        parts = self._open()
        store = self.cache.open(
            self._key(parts),
            sum(map(len, parts.values())),
            lambda: self._decode(list(parts.values()), on_progress),
        )
        given, first = {}, 0
        for split, part in parts.items():
            rows = np.arange(first, first + len(part))
            first += len(part)
            names = [f"{split}_{i:0{len(str(len(part)))}}" for i in range(len(part))]
            targets = self._targets(part)
            given[split] = Samples(store.images, targets, names, rows, store.digests[rows])
        splits = self.divide(given)
        return Dataset(
            splits,
            self.normalize,
            class_names=_class_names(parts["train"], given),
            remarks=[*store.remarks, *tell_made(given, splits)],
            decoding=self.decoding,
        )

    @property
    def _root(self) -> Path:
        return Path(self.root).expanduser() if self.root else default_folder() / "torchvision"

    def _open(self) -> dict[str, Any]:
        """The dataset's parts by split; what has none comes as train."""
        from torchvision import datasets  # type: ignore[import-untyped]

        names = {
            name
            for name in set(datasets.__all__) - LEFT_OUT
            if inspect.isclass(getattr(datasets, name))
        }
        if self.name not in names:
            has = "no dataset that is read here called" if self.name in LEFT_OUT else "no dataset"
            raise UserError(
                f"torchvision has {has} '{self.name}'",
                where=f"dataset.name={self.name}",
                nearest=nearest_of(self.name, names),
            )
        make = getattr(datasets, self.name)
        known = inspect.signature(make).parameters
        arguments = dict(self.arguments)
        is_mnist = issubclass(make, datasets.MNIST)  # whose children hide what they take
        if "download" in known or is_mnist:
            arguments["download"] = self.download
        if "train" in known or is_mnist:
            return {
                s: self._make(make, {**arguments, "train": s == "train"}) for s in ("train", "test")
            }
        if "split" not in known or "split" in arguments:
            return {"train": self._make(make, arguments)}
        return self._open_splits(make, arguments)

    def _open_splits(self, make: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        parts = {}
        for split, words in SPLITS.items():
            for word in words:
                try:
                    parts[split] = self._make(make, {**arguments, "split": word})
                    break
                except ValueError:  # it has no such split
                    continue
        if "train" not in parts:
            raise UserError(
                f"{self.name} has no split for training that is known here",
                where=f"dataset.name={self.name}",
                fix="name one that it has: '+dataset.arguments={split: NAME}'",
            )
        return parts

    def _make(self, make: Any, arguments: dict[str, Any]) -> Any:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            return make(str(self._root), **arguments)
        except (RuntimeError, OSError) as error:  # URLError is an OSError
            how = "cannot be downloaded" if self.download else "is not there"
            raise UserError(
                f"{self.name} {how}: {(str(error) or repr(error)).splitlines()[0]}",
                where=f"dataset.root={self._root}",
                fix="run once where there is a network, or copy the folder from such a machine",
            ) from error
        except TypeError as error:
            raise UserError(
                f"{self.name} does not take these arguments: {error}",
                where=f"dataset.arguments={dict(self.arguments)}",
            ) from error

    def _decode(self, parts: Sequence[Any], on_progress: ProgressCallback) -> Iterator[Any]:
        indices = [(part, index) for part in parts for index in range(len(part))]
        for part, index in with_progress(indices, len(indices), on_progress):
            image, _ = self._sample(part, index)
            yield self.decoding.arrange(to_8_bits(image))

    def _sample(self, part: Any, index: int) -> tuple[Any, int]:
        from PIL import Image

        sample = part[index]
        is_labelled = isinstance(sample, tuple) and len(sample) == 2
        if not is_labelled or not isinstance(sample[0], Image.Image) or not _is_class(sample[1]):
            raise UserError(
                f"{self.name} is no classification dataset: a sample is not an image and a class",
                where=f"dataset.name={self.name}",
                allowed="CIFAR10, CIFAR100, MNIST, FashionMNIST, SVHN, STL10, Flowers102, ...",
            )
        return sample[0], int(sample[1])

    def _targets(self, part: Any) -> Any:
        self._sample(part, 0)
        for name in TARGETS:
            known = getattr(part, name, None)
            if known is not None and len(known) == len(part):
                known = known.tolist() if hasattr(known, "tolist") else list(known)
                return np.array(known, np.int64)
        return np.array([self._sample(part, i)[1] for i in range(len(part))], np.int64)

    def _key(self, parts: Mapping[str, Any]) -> str:
        sizes = {split: len(part) for split, part in parts.items()}
        metadata = [FORMAT, self.name, dict(self.arguments), str(self._root.resolve()), sizes]
        text = json.dumps([*metadata, self.decoding.to_json()])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_class(target: Any) -> bool:
    return isinstance(target, int | np.integer) or (hasattr(target, "ndim") and target.ndim == 0)


def _class_names(part: Any, given: Mapping[str, Samples]) -> list[str]:
    count = 1 + max(int(samples.targets.max()) for samples in given.values())
    names = [str(name) for name in getattr(part, "classes", ())]
    return names if len(names) >= count else [str(index) for index in range(count)]
