"""The latency of a run's model, as `expkit latency` measured it last: latency.json."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from expkit.errors import UserError
from expkit.records.files import read_json, write_json
from expkit.records.safe_open import is_file
from expkit.records.typed_values import Count, Finite, Positive, Seconds, check_shape

FILE = "latency.json"
MOST_SETTINGS = 64
Milliseconds = Annotated[float, Ge(1e-9), Le(1e12)]  # which a plot has a logarithm of
Speed = Annotated[float, Ge(1e-9), Le(1e18)]


@dataclass(frozen=True)
class TimedSetting:
    """The times of one batch at a batch size and a number of CPU threads."""

    batch: Positive
    threads: Positive | None  # None: a GPU does the work
    num_runs: Count
    median_ms: Milliseconds
    p95_ms: Milliseconds
    p99_ms: Milliseconds
    max_ms: Milliseconds
    samples_per_second: Speed
    round_medians_ms: Sequence[Milliseconds] = ()  # settings are measured in turns


@dataclass(frozen=True)
class FailedSetting:
    """A setting that could not be measured, and why."""

    batch: Positive
    threads: Positive | None
    reason: str


@dataclass(frozen=True)
class KeptDenormals:
    """Denormal numbers, and the milliseconds of a batch where they are kept and flushed."""

    weights: Count
    num_weights: Count
    weights_in: str  # the parameter with the most of them
    activations: Count
    num_activations: Count
    activations_in: str  # the layer with the most of them
    batch: Positive
    kept_ms: Milliseconds
    flushed_ms: Milliseconds
    is_faster: bool  # flushed, in every round, and by more than a tenth
    largest_difference: Finite | None  # of the outputs; None: not finite
    flushes: bool  # what the run's device.flush_denormals says


@dataclass(frozen=True)
class KeptLatency:
    """The figures of the first setting, and of all where there were several."""

    device: str
    shape: tuple[Positive, Positive, Positive, Positive]  # of the batch: images, channels, ...
    threads: Positive
    num_runs: Count
    median_ms: Milliseconds
    p95_ms: Milliseconds
    p99_ms: Milliseconds
    max_ms: Milliseconds
    samples_per_second: Speed
    parameters: Count
    macs: Count  # multiply-adds of an image
    file_bytes: Count
    seconds: Seconds | None = None  # that each setting was measured for
    images: str = ""  # which were predicted
    denormals: KeptDenormals | None = None  # of a CPU that can flush them
    settings: Sequence[TimedSetting] = ()
    failed: Sequence[FailedSetting] = ()

    @property
    def timed(self) -> Sequence[TimedSetting]:
        """Return every setting, also where there is only one."""
        names = TimedSetting.__dataclass_fields__.keys() - {"batch", "round_medians_ms"}
        own = {name: getattr(self, name) for name in names}
        return self.settings or (TimedSetting(batch=self.shape[0], **own),)


def keep_latency(latency: KeptLatency, run_path: Path) -> None:
    """Write it into the run's folder, in the place of an earlier one."""
    record: dict[str, Any] = asdict(latency)
    if not latency.settings:
        del record["settings"], record["failed"]
    write_json(run_path / FILE, record)


def read_latency(run_path: Path) -> KeptLatency | None:
    """The latency that a run keeps; None where nobody measured any."""
    path = run_path / FILE
    if not is_file(path, run_path):
        return None
    try:
        record = read_json(path)
        check_shape(record, KeptLatency)
        known = {key: record[key] for key in KeptLatency.__dataclass_fields__ if key in record}
        settings, failed = record.get("settings", ()), record.get("failed", ())
        if len(settings) + len(failed) > MOST_SETTINGS:
            raise ValueError(f"it holds {len(settings) + len(failed)} settings")
        denormals = record.get("denormals")
        return KeptLatency(
            **{
                **known,
                "settings": [_pick(TimedSetting, each) for each in settings],
                "failed": [_pick(FailedSetting, each) for each in failed],
                "denormals": denormals and _pick(KeptDenormals, denormals),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"'{path}' holds no latency that this version can read",
            where=f"{path}: {error}",
            fix=f"remove it, then: expkit latency {shlex.quote(str(run_path))}",
        ) from error


def _pick(kind: Any, record: dict[str, Any]) -> Any:
    """The keys that a class names; a later version may have more."""
    return kind(**{key: record[key] for key in kind.__dataclass_fields__ if key in record})
