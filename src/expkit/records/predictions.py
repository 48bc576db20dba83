"""What a model answered to every sample of a split, as arrays and as the rows of a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.records.files import write_aside

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClassPredictions:
    """Answers to a classification: indices into the class names, and every probability."""

    split: str
    samples: Sequence[str]
    targets: Ints
    predictions: Ints
    ranks: Ints  # of the target among the classes; 0 is right
    probabilities: Floats  # samples x classes
    class_names: Sequence[str]

    def header(self) -> list[str]:
        return ["split", "sample", "target", "prediction", "target_rank", *self.class_names]

    def rows(self) -> Iterator[list[str]]:
        line = ",".join(["%.6g"] * len(self.class_names))
        names = self.class_names
        for sample, target, prediction, rank, probabilities in zip(
            self.samples,
            self.targets.tolist(),
            self.predictions.tolist(),
            self.ranks.tolist(),
            self.probabilities.tolist(),
            strict=True,
        ):
            numbers = (line % tuple(probabilities)).split(",")
            yield [self.split, sample, names[target], names[prediction], str(rank), *numbers]


@dataclass(frozen=True)
class ValuePredictions:
    """Answers to a regression: a true and a predicted number for each target name."""

    split: str
    samples: Sequence[str]
    targets: Floats  # samples x targets
    predictions: Floats
    target_names: Sequence[str]

    def header(self) -> list[str]:
        names = self.target_names
        return [
            "split",
            "sample",
            *(f"target_{n}" for n in names),
            *(f"predicted_{n}" for n in names),
        ]

    def rows(self) -> Iterator[list[str]]:
        for sample, target, prediction in zip(
            self.samples, self.targets.tolist(), self.predictions.tolist(), strict=True
        ):
            yield [self.split, sample, *(f"{number:.6g}" for number in (*target, *prediction))]


Predictions = ClassPredictions | ValuePredictions


def write_predictions(path: Path, splits: Sequence[Predictions]) -> None:
    """One CSV for all splits of a run."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(splits[0].header())
    for split in splits:
        writer.writerows(split.rows())
    write_aside(path, stream.getvalue().encode())


def read_class_predictions(path: Path, class_names: Sequence[str]) -> dict[str, ClassPredictions]:
    """The classification answers of a run by split."""
    import numpy as np
    import pandas as pd

    text = {"split": str, "sample": str, "target": str, "prediction": str}
    # by position: a class may be called "split" or "target" itself
    table = pd.read_csv(
        path,
        header=0,
        names=[*text, "target_rank", *(f"probability_{i}" for i in range(len(class_names)))],
        dtype=text,
        keep_default_na=False,
        na_values={f"probability_{i}": ["nan"] for i in range(len(class_names))},
    )
    index = {name: number for number, name in enumerate(class_names)}
    return {
        str(split): ClassPredictions(
            split=str(split),
            samples=part["sample"].tolist(),
            targets=np.array([index[name] for name in part["target"]]),
            predictions=np.array([index[name] for name in part["prediction"]]),
            ranks=part["target_rank"].to_numpy(np.int64),
            probabilities=part.iloc[:, 5:].to_numpy(np.float32),
            class_names=class_names,
        )
        for split, part in table.groupby("split", sort=False)
    }


def read_value_predictions(path: Path, target_names: Sequence[str]) -> dict[str, ValuePredictions]:
    """The regression answers of a run by split."""
    import numpy as np
    import pandas as pd

    table = pd.read_csv(path, dtype={"split": str, "sample": str}, keep_default_na=False)
    first, last = 2 + len(target_names), 2 + 2 * len(target_names)
    return {
        str(split): ValuePredictions(
            split=str(split),
            samples=part["sample"].tolist(),
            targets=part.iloc[:, 2:first].to_numpy(np.float32),
            predictions=part.iloc[:, first:last].to_numpy(np.float32),
            target_names=target_names,
        )
        for split, part in table.groupby("split", sort=False)
    }
