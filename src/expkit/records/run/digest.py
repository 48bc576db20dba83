"""A digest of a finished run for comparisons, small enough to read ten thousand of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from expkit.metrics.names import CHOOSING, Measure
from expkit.records.files import parse_json, write_json
from expkit.records.safe_open import read_file
from expkit.records.typed_values import Count, Finite, Seconds, check_shape
from expkit.sanitize import one_line

VERSION = 2  # of the names in it, too


@dataclass(frozen=True)
class Digest:
    """A run in short; every figure of it stands in the run's other records too."""

    run: str
    name: str
    job: str | None  # its id in its sweep
    status: str
    verdict: str
    judged_split: str
    metrics: Mapping[str, Mapping[str, float | None]]  # by split
    best_epoch: Count | None
    num_epochs: Count  # trained
    findings: list[str]  # names, worst first
    seconds: Seconds
    overrides: list[str]
    config: Mapping[str, Any]  # flat: {"model.depth": 2}
    fingerprints: Mapping[str, str | None]  # by split; None: not known
    num_samples: Mapping[str, Count]  # by split
    code: Mapping[str, Any]  # commit, dirty, and the versions of packages
    # older runs tell of none of these
    choices: Mapping[str, str] = field(default_factory=dict)  # by group
    intervals: Mapping[str, tuple[Finite, Finite]] = field(default_factory=dict)  # judged split
    started: str = ""  # with the time zone
    version: int = VERSION

    def figure(self, metric: str) -> float | None:
        """`held_out/accuracy` is the judged split's; the training samples' where none is held out.

        Whoever shows it says which (`judged_split`).
        """
        return figure_of(self.metrics, self.judged_split, metric)

    def write(self, run_path: Path) -> None:
        write_json(run_path / "digest.json", asdict(self))


def figure_of(
    metrics: Mapping[str, Mapping[str, float | None]], judged_split: str, metric: str
) -> float | None:
    """A metric by its name; one that names no split is the judged split's."""
    measure = Measure.parse(metric)
    split = measure.split_of(judged_split)
    if split == CHOOSING:
        split = "val" if "val" in metrics else judged_split
    return metrics.get(split, {}).get(measure.unsplit)


def read_digest(run_path: Path) -> Digest | None:
    """None where there is none, or one of another version: it can be made anew."""
    try:
        record = parse_json(read_file(run_path / "digest.json"))
        check_shape(record, Digest)
        is_shown = all(one_line(record[key]) == record[key] for key in ("run", "name"))
        return Digest(**record) if is_shown and record["version"] == VERSION else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
