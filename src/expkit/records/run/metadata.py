"""The metadata of a run's data and stages, in the shape in which it is read again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypedDict

from annotated_types import Ge, Le

from expkit.metrics.task_types import Task, has_top5
from expkit.records.typed_values import Count, Finite, Positive, Seconds, check_shape

LARGEST_IMAGE = 100_000_000  # pixels: more than any model is given


class RecordedDecoding(TypedDict, total=False):
    """The rule by which image files were brought to what the model is given."""

    size: tuple[Positive, Positive] | None
    crop_fraction: Annotated[float, Ge(0.01), Le(1)]
    resize: Literal["crop", "squash"]
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
    channels: int


class RecordedNormalizer(TypedDict):
    """The numbers by which images were normalized."""

    by: Literal["channel", "sample", "row"]
    scale: Sequence[Finite]
    shift: Sequence[Finite]


@dataclass(frozen=True)
class SplitMetadata:
    """One split: how many samples, how many of each class, and a fingerprint of the bytes."""

    num_samples: Count
    class_counts: tuple[Count, ...] | None
    fingerprint: str | None  # None: nobody has seen all of its bytes, as of a watched loop's data


@dataclass(frozen=True)
class SealedSplit:
    """The test set that this run was not given: `expkit unseal` looks at it, and counts that."""

    num_samples: Positive
    fingerprint: str
    identity: str  # the ledger of looks has it for a name
    split: Literal["test"] = "test"


@dataclass(frozen=True)
class Layout:
    """Where the samples of a split lie in one image that was cut into a grid of cells."""

    image: str
    rows: Positive
    columns: Positive
    cells: tuple[Count, ...]  # for each sample: row * columns + column


@dataclass(frozen=True)
class TrainedBy:
    """The run that made the weights, with the fingerprints of its splits."""

    run: str
    fingerprints: Mapping[str, str | None]
    monitored: str  # the split that chose its epoch
    # training samples of the run found among these samples; None: nobody looked
    leaks: Leaks | None = None


@dataclass(frozen=True)
class SplitLeaks:
    """Training samples of a run that stand in one split of other data, as they are or nearly."""

    exact: int  # byte for byte, once decoded
    near: int  # encoded anew, brighter, moved
    expected_near: float  # so many are nearly the same where nothing was copied
    pairs: Sequence[tuple[str, str, float]]  # a sample, its training sample, how alike; the first
    part_of: str | None = None  # the held-out split of the run that has all of these samples

    @property
    def count(self) -> int:
        """Samples that are training samples: near copies count where there are too many of them."""
        return self.exact + (self.near if self.near > self.expected_near else 0)


@dataclass(frozen=True)
class Leaks:
    """The outcome of a search for a run's training samples in other data."""

    unchecked: str | None  # why not all could be looked for, in words
    splits: Mapping[str, SplitLeaks]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Leaks:
        splits = {}
        for name, split in record["splits"].items():
            pairs = [
                (str(ours), str(theirs), float(alike)) for ours, theirs, alike in split["pairs"]
            ]
            splits[name] = SplitLeaks(**{**split, "pairs": pairs})
        return cls(record["unchecked"], splits)


@dataclass(frozen=True)
class DatasetMetadata:
    """All that a page needs to know about the data without having the data."""

    name: str
    task: Task
    class_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    image_shape: tuple[Positive, Positive, Positive]  # channels, height, width
    splits: Mapping[str, SplitMetadata]
    layouts: Mapping[str, Layout]
    # how an image file becomes what the model is given: its decoding and its normalizer
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    trained_by: TrainedBy | None = None  # another run, whose weights are evaluated here
    # views for test-time augmentation that are no such images, each with the reason
    unsuitable_views: Mapping[str, str] = field(default_factory=dict)
    sealed: SealedSplit | None = None

    @property
    def judged_split(self) -> str:
        """The split that the verdict is measured on: the one least used before."""
        return next(name for name in ("test", "val", "train") if name in self.splits)

    @property
    def monitored_split(self) -> str:
        """The split that chooses the best epoch and stops a run."""
        return "val" if "val" in self.splits else "train"

    @property
    def recorded_metrics(self) -> tuple[str, ...]:
        """The figures that every epoch of training records."""
        names = ["loss"]
        if self.num_classes is not None:
            names += ["accuracy", *(["top5_accuracy"] if has_top5(self.num_classes) else [])]
        splits = dict.fromkeys(["train", self.monitored_split])
        return tuple(f"{split}/{name}" for split in splits for name in names)

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Those of all splits, also of one that is sealed."""
        found: dict[str, str | None] = {
            name: split.fingerprint for name, split in self.splits.items()
        }
        sealed = self.sealed
        return found if sealed is None else {**found, sealed.split: sealed.fingerprint}

    @property
    def num_classes(self) -> int | None:
        return None if self.class_names is None else len(self.class_names)

    @property
    def num_outputs(self) -> int:
        """Return the number of outputs that a model needs."""
        return len(self.class_names or self.target_names or ())

    @property
    def chance_accuracy(self) -> float | None:
        """The accuracy of guessing every class equally often."""
        return None if self.num_classes is None else 1 / self.num_classes

    @property
    def chance_loss(self) -> float | None:
        """Cross-entropy of a net that knows nothing: ln(C)."""
        return None if self.num_classes is None else math.log(self.num_classes)

    def majority_accuracy(self, split: str) -> float | None:
        """The accuracy of always predicting the split's largest class."""
        counts = self.splits[split].class_counts
        return None if counts is None else max(counts) / sum(counts)

    def judged_on(self, *, epoch_chosen: bool = True) -> str:
        """The sentence beside every figure of the verdict; of the last epoch none was chosen."""
        split = self.judged_split
        if self.trained_by is not None:
            return self._judged_on_for(self.trained_by)
        if split == "train":
            return "measured on the training samples: there is no held-out split"
        chose = epoch_chosen and split == self.monitored_split
        used = " (which also chose the epoch)" if chose else ""
        return f"measured on held-out samples: {split}, {self.splits[split].num_samples}{used}"

    @property
    def has_training_samples(self) -> bool:
        """Tell whether the split train is what the weights were trained on."""
        trained_by = self.trained_by
        here = self.splits["train"].fingerprint
        return trained_by is None or trained_by.fingerprints["train"] == here

    def _judged_on_for(self, trained_by: TrainedBy) -> str:
        """Say how these samples were used in training, as far as their fingerprint shows."""
        split = self.splits[self.judged_split]
        where = f"{self.judged_split}, {split.num_samples}"
        theirs = {fingerprint: name for name, fingerprint in trained_by.fingerprints.items()}
        known = theirs.get(split.fingerprint)
        if known == "train":
            return f"measured on the samples that {trained_by.run} was trained on: {where}"
        if known is None:
            return self._judged_on_other(trained_by)
        used = " (which also chose its epoch)" if known == trained_by.monitored else ""
        return f"measured on samples held out from {trained_by.run}: {where}{used}"

    def _judged_on_other(self, trained_by: TrainedBy) -> str:
        """The sentence on samples of which the run has no split of its own."""
        run, split = trained_by.run, self.judged_split
        where = f"{split}, {self.splits[split].num_samples}"
        origin = f"measured on samples held out from {run}: {where}"
        found = None if trained_by.leaks is None else trained_by.leaks.splits.get(split)
        if found is None:
            overlap = "whether it was trained on some of these was not checked"
        elif found.count:
            one = found.count == 1
            overlap = f"{found.count} of them {'is' if one else 'are'} among its training samples"
        elif found.part_of is not None:
            used = ", which also chose its epoch" if found.part_of == trained_by.monitored else ""
            return f"{origin} (of its {found.part_of}{used})"
        elif trained_by.leaks is not None and trained_by.leaks.unchecked:
            overlap = f"no training sample of it was found; {trained_by.leaks.unchecked}"
        else:
            overlap = "none of them is a training sample of it"
        return f"measured on other data than {run} had: {where} ({overlap})"

    def to_json(self) -> dict[str, Any]:
        record = asdict(self)
        for name in ("unsuitable_views", "sealed"):
            if not record[name]:
                del record[name]
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DatasetMetadata:
        check_shape(record, cls)
        _check_sense(record)

        def as_tuple(value: Any) -> Any:
            return None if value is None else tuple(value)

        return cls(
            name=record["name"],
            task=record["task"],
            class_names=as_tuple(record["class_names"]),
            target_names=as_tuple(record["target_names"]),
            image_shape=as_tuple(record["image_shape"]),
            splits={
                name: SplitMetadata(
                    split["num_samples"], as_tuple(split["class_counts"]), split["fingerprint"]
                )
                for name, split in record["splits"].items()
            },
            layouts={
                name: Layout(
                    layout["image"], layout["rows"], layout["columns"], tuple(layout["cells"])
                )
                for name, layout in record["layouts"].items()
            },
            preprocessing=record.get("preprocessing", {}),
            trained_by=_trained_by(record["trained_by"]) if record.get("trained_by") else None,
            unsuitable_views=record.get("unsuitable_views", {}),
            sealed=SealedSplit(**record["sealed"]) if record.get("sealed") else None,
        )


def _trained_by(record: Mapping[str, Any]) -> TrainedBy:
    leaks = record.get("leaks")
    return TrainedBy(**{**record, "leaks": None if leaks is None else Leaks.from_json(leaks)})


def _check_sense(record: Mapping[str, Any]) -> None:
    """Raise a ValueError where the parts of a record do not belong together."""
    names, splits = record["class_names"], record["splits"]
    listed = (record["target_names"] if names is None else names) or []
    if not listed or (names is None) != (record["task"] == "regression"):
        raise ValueError(f"{record['task']} has no names of what it tells")
    for name in listed:
        name.encode(errors="surrogateescape")  # half of a character is a ValueError, too
    if len(set(listed)) < len(listed):
        raise ValueError("two classes or targets have one name")
    if "train" not in splits or splits.keys() - {"train", "val", "test"}:
        raise ValueError(f"the splits are {', '.join(splits):.40}")
    check_preprocessing(record["image_shape"], record.get("preprocessing", {}))
    for split, metadata in splits.items():
        counts = metadata["class_counts"]
        if counts is not None and (len(counts) != len(names or ()) or not any(counts)):
            raise ValueError(f"the counts of {split} are not those of the classes")
    for split, layout in record["layouts"].items():
        if split not in splits or len(layout["cells"]) != splits[split]["num_samples"]:
            raise ValueError(f"the layout of {split} is not that of its samples")
        if max(layout["cells"], default=0) >= layout["rows"] * layout["columns"]:
            raise ValueError(f"the layout of {split} has a cell outside of its image")
        place = PurePosixPath(layout["image"])
        if place.is_absolute() or not place.parts or ".." in place.parts:
            raise ValueError(f"the image of {split} lies outside of the run")


def check_preprocessing(shape: Sequence[int], record: Mapping[str, Any]) -> None:
    """Raise a ValueError where no image can be brought to a model in this way."""
    channels, height, width = shape
    decoding, normalizer = record.get("decoding"), record.get("normalizer")
    if decoding is not None:
        check_shape(decoding, RecordedDecoding)
        height, width = decoding.get("size") or (height, width)
        if decoding.get("channels", 3) not in (1, 3):
            raise ValueError(f"files are not decoded to {decoding['channels']} channels")
    crop_fraction = 1 if decoding is None else decoding.get("crop_fraction", 1)
    if height * width / crop_fraction**2 > LARGEST_IMAGE:
        raise ValueError("no image is as large as these")
    if normalizer is not None:
        check_shape(normalizer, RecordedNormalizer)
        if {len(normalizer["scale"]), len(normalizer["shift"])} != {channels}:
            raise ValueError("the normalizer is not that of the channels")


@dataclass(frozen=True)
class StageResult:
    """The result of a stage: what it was asked, what it reached, and why it stopped."""

    stage: str
    passed: bool
    reason: str  # one sentence for the terminal and the report
    kind: str  # the stage's class name: OverfitGate, Training, Evaluation
    num_epochs: Count = 0
    num_samples: Count = 0
    best_epoch: Count | None = None
    seconds: Seconds = 0.0
    samples_per_second: Seconds = 0.0
    peak_memory_bytes: Count = 0
    figures: Mapping[str, float] | None = None  # the last recorded metrics

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> StageResult:
        check_shape(record, cls)
        return cls(**record)
