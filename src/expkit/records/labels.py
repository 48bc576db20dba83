"""New labels of the training samples, which a stage gives and later stages learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from expkit.errors import UserError
from expkit.records.facts import DatasetFacts
from expkit.records.files import read_json, write_json
from expkit.records.opening import is_file
from expkit.records.shapes import Count, check_shape

FILE = "labels.json"


@dataclass(frozen=True)
class Labels:
    """All classes, the new one last, and the class of each training sample in order."""

    class_names: Sequence[str]
    targets: Sequence[Count]

    @classmethod
    def read(cls, run_path: Path) -> Labels | None:
        path = run_path / FILE
        if not is_file(path):
            return None
        try:
            record = read_json(path)
            check_shape(record, cls)
            if max(record["targets"], default=0) >= len(record["class_names"]):
                raise ValueError("a label is of no class")
            return cls(record["class_names"], record["targets"])
        except ValueError as error:
            raise UserError(
                f"'labels.json' is damaged: it holds no labels: {error}",
                where=str(path),
                fix="bring the file back from a copy",
            ) from error

    def write(self, run_path: Path) -> None:
        write_json(run_path / FILE, asdict(self))

    def apply(self, facts: DatasetFacts) -> DatasetFacts:
        """The facts with the new class: among the training samples, and nowhere else."""
        counts = Counter(self.targets)
        new = len(self.class_names) - (facts.num_classes or 0)
        splits = {
            name: replace(split, class_counts=(*(split.class_counts or ()), *[0] * new))
            for name, split in facts.splits.items()
        }
        here = tuple(counts[index] for index in range(len(self.class_names)))
        splits["train"] = replace(splits["train"], class_counts=here)
        return replace(facts, class_names=tuple(self.class_names), splits=splits)
