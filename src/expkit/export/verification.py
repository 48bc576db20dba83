"""The proof of an export: the file, run by its own runtime, against the model in torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from expkit.data.store.split import Split
from expkit.export.first_difference import FirstDifference
from expkit.export.speed import Speed
from expkit.metrics.intervals import Interval, wilson
from expkit.metrics.mcnemar import McNemar
from expkit.models.exported import ExportedModel

BATCH_SIZES = (1, 2, 7)
MAX_SAMPLES = 2000  # spread over the split; each is predicted once for each batch size
# of the std of a predicted number: less is the same number
NUMBERS_AGREE = {"fp32": 1e-3, "fp16": 1e-2, "int8": 0.1}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BatchResult:
    """What came of one number of images at once."""

    num_equal: int
    largest_difference: float  # of a probability, or of a number


@dataclass(frozen=True)
class Accuracies:
    """The file beside the run's own recorded predictions of the same samples."""

    run: float
    exported: float
    only_run: int  # samples that only the run has right
    only_exported: int
    difference: Interval
    p: float


@dataclass(frozen=True)
class BesideFp32:
    """The file in 8 bits beside the same model's in fp32, on held-out samples and this machine."""

    accuracy: Accuracies | None  # `run` is the file in fp32
    bytes: int
    bytes_fp32: int
    latency_ms: float  # of one image, asked in turns
    latency_fp32_ms: float


@dataclass(frozen=True)
class Quantization:
    """The way in which a file came to 8 bits."""

    num_layers: int
    kept_in_float: Sequence[str]
    calibrated_on: int  # training images
    set_aside: int  # other training images, by which the layers in float were chosen
    agreement_set_aside: float  # with the file in fp32
    weight_bits: int
    beside_fp32: BesideFp32 | None = None


@dataclass(frozen=True)
class FromFiles:
    """The same image files through `expkit predict` and through the exported folder's script."""

    num_files: int
    num_equal: int = 0
    largest_difference: float = 0.0  # of a probability, or of a number
    reason: str = ""  # why there are no files, or why predict.py cannot predict the first of some

    @property
    def agreement(self) -> float | None:
        return self.num_equal / self.num_files if self.num_files else None

    def passed(self, required: float) -> bool:
        """Tell whether enough are equal, to the nearest whole file: 63 of 64 are about 99 %."""
        return self.num_files - self.num_equal <= round((1 - required) * self.num_files)


@dataclass(frozen=True)
class Verification:
    """How far the file predicts what the model predicts."""

    split: str
    is_held_out: bool
    num_samples: int
    required_agreement: float
    batch_sizes: Mapping[str, BatchResult]
    accuracy: Accuracies | None  # None where numbers are predicted
    from_files: FromFiles | None = None  # None: not tried yet
    speed: Speed | None = None
    quantization: Quantization | None = None
    first_difference: FirstDifference | None = None  # looked for where it is not good
    not_compared: str = ""  # why the layers could not be held together

    @property
    def num_equal(self) -> int:
        """The equal predictions of the batch size with the fewest."""
        return min(each.num_equal for each in self.batch_sizes.values())

    @property
    def agreement(self) -> float:
        return self.num_equal / self.num_samples

    @property
    def largest_difference(self) -> float:
        return max(each.largest_difference for each in self.batch_sizes.values())

    @property
    def passed(self) -> bool:
        files = self.from_files
        return self.agreement >= self.required_agreement and (
            files is None or files.passed(self.required_agreement)
        )

    def to_json(self) -> dict[str, Any]:
        """The content of verification.json, which has null where a number is not finite."""
        files = self.from_files
        tried = None if files is None else {**asdict(files), "agreement": files.agreement}
        record: dict[str, Any] = _finite(
            {
                "passed": self.passed,
                "agreement": self.agreement,
                "agreement_interval": wilson(self.num_equal, self.num_samples),
                "largest_difference": self.largest_difference,
                **asdict(self),
                "from_files": tried,
            }
        )
        return record


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def choose_split(splits: Mapping[str, Split]) -> Split:
    """The split to prove it on: the one least used before, spread out where it is large."""
    split = next(splits[name] for name in ("test", "val", "train") if name in splits)
    return split if len(split) <= MAX_SAMPLES else split.spread_out(MAX_SAMPLES)


def compare_outputs(
    reference: nn.Module,
    exported: ExportedModel,
    split: Split,
    *,
    classifies: bool,
    numbers_agree: float = NUMBERS_AGREE["fp32"],
) -> tuple[dict[str, BatchResult], Floats]:
    """Hold both against each other at each batch size; and the file's outputs, of the largest.

    `split` gives bytes, and `reference` takes them as the file does.
    """
    expected = collect_outputs(reference, split, 64, classifies=classifies)
    results, outputs = {}, expected
    for size in BATCH_SIZES if exported.batch is None else (exported.batch,):
        outputs = collect_outputs(exported, split, size, classifies=classifies)
        results[str(size)] = hold_together(
            expected, outputs, classifies=classifies, numbers_agree=numbers_agree
        )
    return results, outputs


@torch.no_grad()
def collect_outputs(model: nn.Module, split: Split, size: int, *, classifies: bool) -> Floats:
    """Probabilities, or numbers, of every sample."""
    rows = []
    for images_BCHW, _ in split.batches(size):
        outputs = model(images_BCHW).double()
        rows.append((outputs.softmax(1) if classifies else outputs).numpy())
    return np.concatenate(rows)


def hold_together(
    expected: Floats,
    outputs: Floats,
    *,
    classifies: bool,
    numbers_agree: float = NUMBERS_AGREE["fp32"],
) -> BatchResult:
    differences = np.abs(expected - outputs)
    if classifies:
        equal = expected.argmax(1) == outputs.argmax(1)
    else:
        tolerance = numbers_agree * np.maximum(expected.std(0), 1e-6)
        equal = (differences <= tolerance).all(1)
    finite = np.isfinite(outputs).all(1)  # NaN is no prediction, whatever its place
    largest = float(differences.max()) if finite.all() else float("inf")
    return BatchResult(int((equal & finite).sum()), largest)


def compare_accuracy(
    targets: Sequence[int], run: npt.NDArray[np.bool_], predictions: npt.NDArray[np.int64]
) -> Accuracies:
    """The exact test of the file against the run's recorded predictions of the same samples."""
    right = predictions == np.asarray(targets)
    test = McNemar.of(right, run)
    return Accuracies(
        run=float(run.mean()),
        exported=float(right.mean()),
        only_run=test.only_theirs,
        only_exported=test.only_ours,
        difference=test.interval(),
        p=test.p,
    )
