"""New labels of the training samples, which a stage gives and later stages learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import read_json, write_json
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.safe_open import is_file
from expkit.records.typed_values import Count, check_shape

FILE = "labels.json"


@dataclass(frozen=True)
class Labels:
    """All classes, the new one last, and the class of each training sample in order."""

    class_names: Sequence[str]
    targets: Sequence[Count]

    @classmethod
    def read(cls, run_path: Path, metadata: DatasetMetadata) -> Labels | None:
        """Read the labels that a run with this data was given; None where it was given none."""
        path = run_path / FILE
        if not is_file(path):
            return None
        try:
            record = read_json(path)
            check_shape(record, cls)
            if max(record["targets"], default=0) >= len(record["class_names"]):
                raise ValueError("a label is of no class")
            labels = cls(record["class_names"], record["targets"])
            labels._check_sense(metadata)
            return labels
        except ValueError as error:
            raise UserError(
                f"'labels.json' is damaged: it holds no labels: {error}",
                where=str(path),
                fix="bring the file back from a copy",
            ) from error

    def _check_sense(self, metadata: DatasetMetadata) -> None:
        """Raise a ValueError where these cannot be the labels of this data."""
        names = metadata.class_names or ()
        if tuple(self.class_names[: len(names)]) != names:
            raise ValueError("its classes do not begin with those of dataset.json")
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("two classes have one name")
        num_samples = metadata.splits["train"].num_samples
        if metadata.trained_by is None and len(self.targets) != num_samples:
            raise ValueError(f"{len(self.targets)} labels for {num_samples} samples")

    def write(self, run_path: Path) -> None:
        write_json(run_path / FILE, asdict(self))

    def apply(self, metadata: DatasetMetadata) -> DatasetMetadata:
        """The facts with the new class: among the training samples, and nowhere else."""
        counts = Counter(self.targets)
        new = len(self.class_names) - (metadata.num_classes or 0)
        splits = {
            name: replace(split, class_counts=(*(split.class_counts or ()), *[0] * new))
            for name, split in metadata.splits.items()
        }
        here = tuple(counts[index] for index in range(len(self.class_names)))
        splits["train"] = replace(splits["train"], class_counts=here)
        return replace(metadata, class_names=tuple(self.class_names), splits=splits)
