"""How a machine is shared out among jobs; no GPU is needed to tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expkit import hardware
from expkit.hardware import find_gpus
from expkit.sweeps.launchers import resources
from expkit.sweeps.launchers.resources import Resources, divide_machine


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and no GPU."""
    monkeypatch.setattr(resources, "count_cores", lambda: 8)
    monkeypatch.setattr(resources, "has_apple_gpu", lambda: False)
    monkeypatch.setattr(hardware, "NVIDIA_DRIVER", Path("/nowhere"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def share(**given: Any) -> Resources:
    usual = {
        "wanted": "auto",
        "num_planned": 100,
        "devices": {"auto"},
        "threads": None,
        "jobs_per_device": 1,
    }
    values = {**usual, **given}
    return divide_machine(values.pop("wanted"), **values)


@pytest.mark.parametrize(
    ("given", "num_jobs", "threads"),
    [
        ({}, 8, 1),
        ({"num_planned": 3}, 3, 2),
        ({"wanted": 2}, 2, 4),
        ({"wanted": 16}, 16, 1),
        ({"threads": 4}, 2, 4),
        ({"threads": 4, "wanted": 1}, 1, 4),
    ],
)
def test_the_cores_are_filled_and_not_fought_over(
    given: dict[str, Any], num_jobs: int, threads: int
) -> None:
    """Jobs times threads are the cores, unless the user says otherwise."""
    assert share(**given) == Resources(num_jobs, threads)


def test_what_the_user_says_of_threads_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """OMP_NUM_THREADS is a job's."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert share() == Resources(4, 2)


def test_each_gpu_is_one_jobs_or_as_many_as_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are told their GPU by the name by which it was granted."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5a")
    assert share() == Resources(2, 4, ("2", "GPU-5a"))
    assert share(jobs_per_device=2) == Resources(4, 2, ("2", "GPU-5a", "2", "GPU-5a"))
    assert share(wanted=1) == Resources(1, 8, ("2",))
    assert share(devices={"cpu"}) == Resources(8, 1)
    assert share().environ(1) == {"CUDA_VISIBLE_DEVICES": "GPU-5a"}


def test_gpus_are_counted_by_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nobody has granted any by name."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(hardware, "NVIDIA_DRIVER", tmp_path)
    assert find_gpus() == ["0", "1"]


def test_an_apple_gpu_is_for_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nobody who shares it out."""
    monkeypatch.setattr(resources, "has_apple_gpu", lambda: True)
    assert share() == Resources(1, 8)
    assert share(devices={"cpu"}) == Resources(8, 1)
