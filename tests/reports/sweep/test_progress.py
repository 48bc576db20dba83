"""Where a running sweep stands: told from records that other processes append to."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.tail import Tail
from expkit.reports.sweep.progress import SweepProgress


def append(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)


def epoch(number: int) -> str:
    return json.dumps({"stage": "train", "epoch": number, "val/accuracy": number / 20}) + "\n"


def test_a_tail_has_whole_new_lines_alone(tmp_path: Path) -> None:
    """A torn line comes when it is ended; a file written anew is read from its beginning."""
    path = tmp_path / "history.jsonl"
    tail = Tail(path)
    assert tail.new_lines() == []
    append(path, "one\ntw")
    assert tail.new_lines() == ["one"]
    append(path, "o\n")
    assert tail.new_lines() == ["two"]
    path.write_text("new\n")
    assert tail.new_lines() == ["new"]


def test_a_file_that_is_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    """As a resumed run's history: it may be as long as the one before, or longer."""
    path = tmp_path / "history.jsonl"
    path.write_text("one\n")
    tail = Tail(path)
    assert tail.new_lines() == ["one"]
    for text in ("new\n", "another\nlonger\n"):
        aside = tmp_path / "aside"
        aside.write_text(text)
        aside.replace(path)
        assert tail.new_lines() == text.split()


def test_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    """The sweep goes on; the last whole epoch stays on the screen."""
    path = write_sweep(tmp_path, [FakeJob({"model": "a"}, status="waiting")])
    identity = Sweep(path).jobs[0].id
    progress = SweepProgress(path)
    SweepFolder(path).note(identity, "started")
    SweepFolder(path).note(identity, "run", run="r")
    append(path / "r" / "history.jsonl", epoch(5))
    progress.look()
    append(path / "r" / "history.jsonl", '": 7}\n')
    progress.look()
    assert progress.running_lines() == ["  #0  train 5/20  val accuracy 25.0 %"]


def test_a_tail_does_not_read_a_long_past(tmp_path: Path) -> None:
    """Of a megabyte, the end; the line that its beginning falls into is left out."""
    path = tmp_path / "history.jsonl"
    path.write_text("".join(f"{number:099d}\n" for number in range(10_000)))
    lines = Tail(path).new_lines()
    assert lines[-1] == f"{9999:099d}"
    assert 600 < len(lines) < 700
    assert {len(line) for line in lines} == {99}


def test_a_job_is_followed_from_waiting_to_its_end(tmp_path: Path) -> None:
    """Its epoch of so many, its monitored figure and its newest finding; then what it came to."""
    jobs = [FakeJob({"model": name}, status="waiting") for name in "ab"]
    path = write_sweep(tmp_path, jobs)
    folder, (first, second) = SweepFolder(path), [job.id for job in Sweep(path).jobs]
    progress = SweepProgress(path)
    assert progress.headline() == "0 of 2 done"
    assert progress.look() == []
    folder.note(first, "started")
    assert [job.id for job in progress.look()] == [first]
    assert progress.running_lines() == ["  #0 a  starting"]
    folder.note(first, "run", run="r")
    append(path / "r" / "history.jsonl", epoch(1) + epoch(5))
    append(path / "r" / "log.txt", "2026-01-01 00:00:00  WARN  overfitting (train, epoch 4): the\n")
    progress.look()
    assert progress.running_lines() == ["  #0 a  train 5/20  val accuracy 25.0 %  WARN overfitting"]
    folder.note(first, "ended", status="killed", reason="killed by signal 9", seconds=3.0)
    (job,) = progress.look()
    assert progress.headline() == "0 of 2 done, 1 failed"
    assert progress.outcome(job).startswith("killed by signal 9\n      see   ")
    folder.note(second, "started")
    assert progress.look_at(second)
    assert not progress.look_at(second)


def test_the_time_left_is_told_from_finished_jobs(tmp_path: Path) -> None:
    """Jobs of 20 s, two at once, of which one is half through: (3 - 0.5) x 20 s / 2 = 25 s."""
    jobs = [FakeJob({"n": n}, 0.5 if n < 2 else None, 0, "finished") for n in range(2)]
    jobs += [FakeJob({"n": n}, status="waiting") for n in range(2, 5)]
    path = write_sweep(tmp_path, jobs)
    progress = SweepProgress(path)
    ids = [job.id for job in Sweep(path).jobs]
    for number in (2, 3):
        SweepFolder(path).note(ids[number], "started")
    SweepFolder(path).note(ids[2], "run", run="r")
    append(path / "r" / "history.jsonl", epoch(10))
    progress.look()
    assert progress.seconds_left == pytest.approx(25.0)
    assert progress.headline() == "2 of 5 done, 2 running, about 25.0 s left"


def test_jobs_that_a_search_plans_later_are_taken_in(tmp_path: Path) -> None:
    """The plan grows, and with it what there is to do."""
    path = write_sweep(tmp_path, [FakeJob({"n": 1}, 0.5)])
    progress = SweepProgress(path)
    other = Sweep(write_sweep(tmp_path, [FakeJob({"n": 2})], "other")).jobs[0]
    SweepFolder(path).plan(other.id, 1, other.overrides, other.config)
    progress.look()
    assert progress.headline().startswith("1 of 2 done")


def test_a_look_at_a_thousand_jobs_costs_little(tmp_path: Path) -> None:
    """A second look reads nothing that did not change."""
    path = write_sweep(tmp_path, [FakeJob({"n": n}, status="waiting") for n in range(1000)])
    progress = SweepProgress(path)
    began = time.perf_counter()
    assert progress.look() == []
    assert time.perf_counter() - began < 0.25
