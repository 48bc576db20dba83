"""The proof of an export: the file, run by its own runtime, against the model in torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from expkit.data.store.split import Split
from expkit.export.first_difference import FirstDifference
from expkit.metrics.intervals import Interval, wilson
from expkit.metrics.mcnemar import McNemar
from expkit.models.exported import ExportedModel

BATCH_SIZES = (1, 2, 7)
MAX_SAMPLES = 2000  # spread over the split; each is predicted once for each batch size
REQUIRED = {"fp32": 0.999, "fp16": 0.99, "int8": 0.99}  # agreement below which it is not good
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
class Verification:
    """How far the file predicts what the model predicts."""

    split: str
    is_held_out: bool
    num_samples: int
    required_agreement: float
    batch_sizes: Mapping[str, BatchResult]
    accuracy: Accuracies | None  # None where numbers are predicted
    quantization: Quantization | None = None
    first_difference: FirstDifference | None = None  # looked for where it is not good

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
        return self.agreement >= self.required_agreement

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "agreement": self.agreement,
            "agreement_interval": wilson(self.num_equal, self.num_samples),
            "largest_difference": self.largest_difference,
            **asdict(self),
        }


def choose_split(splits: Mapping[str, Split], judged: str) -> Split:
    """The split to prove it on: the one least used before, spread out where it is large."""
    split = splits[judged]
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
        equal = count_equal(expected, outputs, classifies=classifies, numbers_agree=numbers_agree)
        largest = np.abs(expected - outputs).max() if np.isfinite(outputs).all() else np.inf
        results[str(size)] = BatchResult(equal, float(largest))
    return results, outputs


@torch.no_grad()
def collect_outputs(model: nn.Module, split: Split, size: int, *, classifies: bool) -> Floats:
    """Probabilities, or numbers, of every sample."""
    rows = []
    for images_BCHW, _ in split.batches(size):
        outputs = model(images_BCHW).double()
        rows.append((outputs.softmax(1) if classifies else outputs).numpy())
    return np.concatenate(rows)


def count_equal(
    expected: Floats, outputs: Floats, *, classifies: bool, numbers_agree: float
) -> int:
    """The samples of which both have the same prediction; NaN is none, whatever its place."""
    if classifies:
        equal = expected.argmax(1) == outputs.argmax(1)
    else:
        tolerance = numbers_agree * np.maximum(expected.std(0), 1e-6)
        equal = (np.abs(expected - outputs) <= tolerance).all(1)
    return int((equal & np.isfinite(outputs).all(1)).sum())


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
