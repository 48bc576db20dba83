"""latency.json: one setting as it always was, several in a list beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from expkit.errors import UserError
from expkit.records.run.kept_latency import (
    FILE,
    FailedSetting,
    KeptDenormals,
    KeptLatency,
    TimedSetting,
    keep_latency,
    read_latency,
)

# as versions before the list wrote it
OLD: dict[str, Any] = {
    "device": "cpu (2 cores; asked for), fp32 (asked for)",
    "shape": [2, 3, 16, 16],
    "threads": 1,
    "num_runs": 14,
    "median_ms": 4.0,
    "p95_ms": 5.0,
    "p99_ms": 6.0,
    "max_ms": 7.0,
    "samples_per_second": 500.0,
    "parameters": 10,
    "macs": 20,
    "file_bytes": 30,
}
SETTING = TimedSetting(2, 1, 14, 4.0, 5.0, 6.0, 7.0, 500.0)
DENORMALS = KeptDenormals(1, 10, "a", 0, 99, "", 1, 8.0, 2.0, True, None, True)


def test_a_file_of_an_older_version_is_one_setting(tmp_path: Path) -> None:
    """Its keys are at the top, where they still are."""
    (tmp_path / FILE).write_text(json.dumps(OLD))
    found = read_latency(tmp_path)
    assert found is not None
    assert list(found.timed) == [SETTING]
    assert found.denormals is None
    keep_latency(found, tmp_path)
    written = json.loads((tmp_path / FILE).read_text())
    assert {key: written[key] for key in OLD} == OLD
    assert not {"settings", "failed"} & written.keys()


def test_several_settings_come_back_as_they_were(tmp_path: Path) -> None:
    """With those that failed, and with what denormals cost."""
    other = TimedSetting(8, None, 10, 8.0, 8.5, 8.75, 9.0, 1000.0, [8.0, 8.0])
    failed = [FailedSetting(4096, 1, "no memory")]
    kept = KeptLatency(
        **OLD, seconds=5.0, denormals=DENORMALS, settings=[SETTING, other], failed=failed
    )
    keep_latency(kept, tmp_path)
    found = read_latency(tmp_path)
    assert found is not None
    assert found.timed[1] == other
    assert (found.failed, found.denormals) == (failed, DENORMALS)


def test_a_run_that_nobody_measured_keeps_none(tmp_path: Path) -> None:
    """There is no such file."""
    assert read_latency(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"median_ms": 0},
        {"median_ms": "fast"},
        {"shape": [2, 3]},
        {"settings": [{}] * 3},
        {"settings": [OLD | {"batch": 2}] * 65},
        {"denormals": [1]},
        {"samples_per_second": None},
    ],
)
def test_a_strangers_file_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """By its name and with a way out; a median of nothing has no logarithm."""
    (tmp_path / FILE).write_text(json.dumps(OLD | change))
    with pytest.raises(UserError) as refused:
        read_latency(tmp_path)
    assert "expkit latency" in str(refused.value.details["do"])
