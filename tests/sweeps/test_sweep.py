"""A sweep's folder is opened by its own processes, and planned by one at a time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import expkit.sweeps.sweep as sweeping
from expkit.config.multirun.hydra_task import Outcome
from expkit.config.run_request import Request
from expkit.config.schema import Sweep as SweepSettings
from expkit.errors import UserError
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import job_id


@dataclass
class FakeRequest:
    """As much of a job's request as planning it asks for."""

    sweep_dir: str
    number: int
    sweep: SweepSettings = field(default_factory=lambda: SweepSettings("val/accuracy", False))
    overrides: list[str] = field(default_factory=list)
    change: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    ablation: Mapping[str, object] = field(default_factory=dict)

    @property
    def config(self) -> SimpleNamespace:
        return SimpleNamespace(to_plain=lambda: {"seed": self.number % 3})


def request(sweep_dir: Path, number: int = 0) -> Request:
    return cast(Request, FakeRequest(str(sweep_dir), number))


def say(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["expkit train", *words])


def test_a_folder_is_that_of_one_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later batches and a resumption say the same words; other words are another sweep."""
    path = tmp_path / "mine"
    say(monkeypatch, "seed=0,1", f"hydra.sweep.dir={path}", "-m")
    sweeping.open_sweep(request(path))
    sweeping.open_sweep(request(path))
    say(monkeypatch, "seed=0,1", "trust=[]", f"hydra.sweep.dir='{path}'", "-m")
    sweeping.open_sweep(request(path))
    say(monkeypatch, "seed=2,3", f"hydra.sweep.dir={path}", "-m")
    with pytest.raises(UserError, match="is a sweep of other words") as refused:
        sweeping.open_sweep(request(path))
    assert "seed=0,1" in str(refused.value.details["where"])


def test_jobs_that_open_their_sweep_at_once_plan_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As joblib's workers do: none finds a half-made folder, and a duplicate is planned once."""
    describe: Any = sweeping.describe_environment

    def dawdle(*arguments: Any) -> Any:
        time.sleep(0.1)
        return describe(*arguments)

    say(monkeypatch, "seed=0,1", "-m")
    monkeypatch.setattr(sweeping, "describe_environment", dawdle)
    monkeypatch.setattr(sweeping, "run_planned", lambda path, identity: 0)
    monkeypatch.setattr(sweeping, "outcome_of", lambda job, metric: Outcome(0, None))
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(
            target=lambda number: outcomes.append(
                sweeping.run_job(request(tmp_path / "s", number))
            ),
            args=[number],
        )
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert len(Sweep(tmp_path / "s").jobs) == 3


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"lr": 1}, {"lr": 1.0}, "lr: was 1, is 1.0"),
        ({"betas": [1, 2]}, {"betas": [1, 2.0]}, "betas: was [1, 2], is [1, 2.0]"),
        ({"a": 0}, {"a": 0, "b": None}, "b: was not there, is null"),
        ({"part": {"lr": 0.5}}, {"part": {"lr": 0.25}}, "part.lr: was 0.5, is 0.25"),
    ],
)
def test_a_job_that_has_changed_since_is_refused(
    before: dict[str, Any], now: dict[str, Any], told: str, tmp_path: Path
) -> None:
    """By the key that tells the two apart, also where Python calls the values equal."""
    folder = SweepFolder.create(tmp_path / "s", {"objective": "val/accuracy"})
    folder.plan(job_id(before), 0, [], {"output_dir": "there", **before})
    changed = SimpleNamespace(number=0, config=SimpleNamespace(to_plain=lambda: now))
    with pytest.raises(UserError, match="job 0 is not what it was") as refused:
        sweeping._refuse_other_jobs(Sweep(folder.path), [cast(Request, changed)])
    assert str(refused.value.details["where"]).startswith(told)
