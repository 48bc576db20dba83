"""The document of `expkit latency`: the times of a run's model, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from expkit.records.run.kept_latency import FailedSetting, KeptDenormals, KeptLatency, TimedSetting
from expkit.records.run.reader import Run
from expkit.reports.json.header import Document
from expkit.reports.run.latency_page import mark_best


@dataclass(frozen=True)
class MeasuredSetting(TimedSetting):
    """The times of one batch at a batch size and a number of CPU threads."""

    remark: str = ""  # that it has the lowest latency, or the most images/s


@dataclass(frozen=True, kw_only=True)
class LatencyDocument(Document):
    """What was measured now, and stands in the run's latency.json."""

    schema: Literal["expkit/latency"] = "expkit/latency"
    run: str
    path: str
    device: str
    shape: Sequence[int]  # of the first batch: images, channels, height, width
    images: str  # which were predicted
    parameters: int  # 0 where they are not known, as of an exported file
    macs: int  # multiply-adds of an image
    file_bytes: int
    seconds: float | None  # that each setting was measured for
    settings: Sequence[MeasuredSetting]
    failed: Sequence[FailedSetting]  # for which there was no memory
    denormals: KeptDenormals | None  # of a CPU that can flush them
    plots: Sequence[str]


def latency_document(run: Run, found: KeptLatency, plots: Sequence[Path]) -> LatencyDocument:
    """Return what was measured, each setting as one of a list."""
    names = [each.name for each in fields(TimedSetting)]
    return LatencyDocument(
        run=run.name,
        path=str(run.path),
        device=found.device,
        shape=found.shape,
        images=found.images,
        parameters=found.parameters,
        macs=found.macs,
        file_bytes=found.file_bytes,
        seconds=found.seconds,
        settings=[
            MeasuredSetting(**{name: getattr(each, name) for name in names}, remark=remark)
            for each, remark in zip(found.timed, mark_best(found.timed), strict=True)
        ],
        failed=found.failed,
        denormals=found.denormals,
        plots=[str(path) for path in plots],
    )
