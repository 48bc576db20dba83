"""What verification.json of an exported folder says, read without believing it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypedDict, cast

from annotated_types import Ge, Le

from expkit.records.exported import VERIFICATION
from expkit.records.files import read_json
from expkit.records.run.reader import explain_damage
from expkit.records.typed_values import Count, Finite, Positive, check_shape

Fraction = Annotated[float, Ge(0), Le(1)]
Ends = Annotated[float, Ge(-1), Le(1)]
Milliseconds = Annotated[float, Ge(0), Le(1e12)]


class BatchSize(TypedDict):
    """What came of one number of images at once."""

    num_equal: Count


class Accuracies(TypedDict):
    """The file's accuracy beside that which its run recorded, on the same samples."""

    run: Fraction
    exported: Fraction
    difference: tuple[Ends, Ends]
    p: Fraction


class Latency(TypedDict):
    """Milliseconds of one image."""

    median_ms: Milliseconds
    p95_ms: Milliseconds


class Speed(TypedDict):
    """The file and the model in torch, timed in turns on one machine, and their sizes."""

    exported: Latency
    torch: Latency
    threads: Positive
    exported_bytes: Count
    torch_bytes: Count


class Verification(TypedDict):
    """The figures of the proof that pages show."""

    passed: bool
    split: str
    num_samples: Positive
    required_agreement: Fraction
    agreement: Fraction
    agreement_interval: tuple[Fraction, Fraction]
    largest_difference: Finite | None  # null: not a number
    batch_sizes: Mapping[str, BatchSize]
    accuracy: Accuracies | None
    speed: Speed | None


def read_verification(folder: Path) -> Verification:
    """Read the proof of an exported folder; a damaged one is refused by its file."""
    path = folder / VERIFICATION
    record = read_json(path)
    with explain_damage(path):
        check_shape(record, Verification)
    return cast("Verification", record)


def num_equal(proof: Verification) -> int:
    """The equal predictions at the batch size that has the fewest."""
    return min((each["num_equal"] for each in proof["batch_sizes"].values()), default=0)
