"""A sweep's folder as those write it who conduct the sweep."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from expkit.records.files import read_lines
from expkit.records.run.writer import hold_lock
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import job_id


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder.create(tmp_path / "sweep", {"objective": "val/accuracy"})


def make_aside(folder: SweepFolder, name: str, age_seconds: float) -> Path:
    path = folder.path / f".new_{name}"
    path.mkdir()
    (path / "config.yaml").touch()
    (path / ".lock").touch()
    then = time.time() - age_seconds
    os.utime(path, (then, then))
    return path


def test_mending_clears_away_what_a_kill_left_half_made(folder: SweepFolder) -> None:
    """And nothing that a process holds, or that one may have begun just now."""
    left, young, held = (
        make_aside(folder, name, age) for name, age in [("left", 120), ("young", 0), ("held", 120)]
    )
    lock = hold_lock(held)
    assert lock is not None
    folder.mend()
    os.close(lock)
    assert [path.exists() for path in (left, young, held)] == [False, True, True]


def test_mending_takes_back_a_torn_line_of_the_plan(folder: SweepFolder) -> None:
    """What is planned next is then a line of its own."""
    folder.plan("a" * 16, 0, [], {"seed": 0})
    plan = folder.path / "plan.jsonl"
    with plan.open("a") as stream:
        stream.write('{"job": "b", "num')
    folder.mend()
    folder.plan("c" * 16, 1, [], {"seed": 1})
    assert [record["job"] for record in read_lines(plan)] == ["a" * 16, "c" * 16]
    whole = plan.stat()
    folder.mend()
    assert plan.stat().st_ino == whole.st_ino  # what is whole is left alone
    assert [job.id for job in Sweep(folder.path).jobs] == ["a" * 16, "c" * 16]


def test_a_job_is_the_same_once_its_config_was_written_down() -> None:
    """Numbers that are keys become words there, by which 10 stands before 2."""
    config = {"seed": 0, "weights": {2: 0.5, 10: 1.0}, "output_dir": "a"}
    written = json.loads(json.dumps(config))
    assert job_id(config) == job_id(written) == job_id({**written, "output_dir": "b"})
    assert job_id(config) != job_id({**config, "weights": {2: 1.0, 10: 0.5}})
