"""The list of a folder: each run has its line, whatever state it is in."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.files import read_json, write_json
from expkit.records.run.annotations import add_note, change_tags
from expkit.records.run.digest import read_digest
from expkit.records.run.writer import hold_lock
from expkit.reports.runs import listing_index
from expkit.reports.runs.entries import RunEntry
from expkit.reports.runs.listing import list_entries


def only_entry(folder: Path) -> RunEntry:
    (entry,) = list_entries(folder)
    return entry


def test_a_finished_run_is_listed_as_its_records_have_it(tiny_run: Path) -> None:
    """Figure and interval are those of summary.json, the size that of its files."""
    summary = read_json(tiny_run / "summary.json")
    entry = only_entry(tiny_run.parent)
    assert (entry.name, entry.kind, entry.status) == (tiny_run.name, "run", "finished")
    assert entry.objective == "train/accuracy"
    assert entry.value == summary["metrics"]["train"]["accuracy"]
    assert entry.interval is not None
    assert list(entry.interval) == summary["intervals"]["train"]["accuracy"]
    assert entry.verdict == summary["verdict"]
    assert list(entry.findings) == [finding["rule"] for finding in summary["findings"]]
    assert entry.seconds == summary["wall_seconds"]
    files = [path for path in tiny_run.rglob("*") if path.is_file()]
    assert entry.num_bytes == sum(path.stat().st_size for path in files)
    started = read_json(tiny_run / "environment.json")["started"]
    assert entry.started == datetime.datetime.fromisoformat(started)
    assert entry.settings["procedure.train.max_epochs"] == 4
    assert entry.choices["model"] == "simple_conv"
    assert entry.metrics == summary["metrics"]


def cut_off(path: Path) -> None:
    """As a kill in the middle of training leaves it."""
    for name in ("digest.json", "summary.json", "report.md"):
        (path / name).unlink()
    (path / "stages.jsonl").write_text("")
    lines = (path / "history.jsonl").read_text().splitlines(keepends=True)
    (path / "history.jsonl").write_text("".join(lines[:-1]))


def lose_environment(path: Path) -> None:
    (path / "environment.json").unlink()


def be_newer(path: Path) -> None:
    record = read_json(path / "environment.json")
    write_json(path / "environment.json", {**record, "format_version": 99})
    write_json(path / "digest.json", {**read_json(path / "digest.json"), "version": 99})


def be_older(path: Path) -> None:
    digest = read_json(path / "digest.json")
    for key in ("intervals", "started", "choices"):
        del digest[key]
    write_json(path / "digest.json", {**digest, "version": 1})


def lose_pages(path: Path) -> None:
    for name in ("digest.json", "summary.json"):
        (path / name).unlink()


def be_damaged(path: Path) -> None:
    (path / "digest.json").unlink()
    (path / "config.yaml").write_text("!!python/object:os.system [")


def be_a_link(path: Path) -> None:
    (path / "digest.json").unlink()
    (path / "config.yaml").unlink()
    (path / "config.yaml").symlink_to("/etc/passwd")


def be_a_pipe(path: Path) -> None:
    (path / "digest.json").unlink()
    (path / "stages.jsonl").unlink()
    os.mkfifo(path / "stages.jsonl")


STATES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "cut off": (cut_off, "interrupted", "train, epoch 3 of 4"),
    "half-written": (lose_environment, "unreadable", "half-written: it lacks its environment.json"),
    "newer": (be_newer, "unreadable", "was written by a newer expkit"),
    "older": (be_older, "finished", ""),
    "without pages": (lose_pages, "finished", "its pages are not written: expkit plot"),
    "damaged": (be_damaged, "unreadable", "config.yaml is damaged"),
    "a link": (be_a_link, "unreadable", "config.yaml is a link"),
    "a pipe": (be_a_pipe, "unreadable", "stages.jsonl is a pipe"),
}


@pytest.mark.parametrize("state", STATES)
def test_every_folder_has_its_line(state: str, tiny_run: Path) -> None:
    """One that is odd says so, and the sound one beside it is listed as ever."""
    change, status, remark = STATES[state]
    odd = shutil.copytree(tiny_run, tiny_run.with_name("20200101_000000_odd"))
    change(odd)
    entries = {entry.name: entry for entry in list_entries(tiny_run.parent)}
    assert entries[tiny_run.name].status == "finished"
    assert entries[odd.name].status == status
    assert entries[odd.name].remark.replace("'", "").startswith(remark)


def test_a_run_under_way_says_how_far_it_is(tiny_run: Path) -> None:
    """Its lock is held, and its process has written three epochs."""
    cut_off(tiny_run)
    lock = hold_lock(tiny_run)
    assert lock is not None
    try:
        entry = only_entry(tiny_run.parent)
    finally:
        os.close(lock)
    assert (entry.status, entry.remark) == ("running", "train, epoch 3 of 4")
    assert entry.settings["seed"] == 0


def test_what_is_nothing_of_expkits_has_no_line(tmp_path: Path) -> None:
    """A project's own conf, a hidden folder that is being made, a file."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("a: 1")
    (tmp_path / ".new_abc").mkdir()
    (tmp_path / ".new_abc" / "environment.json").write_text("{}")
    (tmp_path / "file").write_text("")
    assert list_entries(tmp_path) == []


def test_runs_of_a_plain_folder_are_listed_with_it(tiny_run: Path) -> None:
    """One level down, as the other commands find them."""
    group = tiny_run.parent / "group"
    group.mkdir()
    tiny_run.rename(group / tiny_run.name)
    assert only_entry(tiny_run.parent).name == f"group/{tiny_run.name}"


def test_a_sweep_is_one_line_and_its_runs_are_asked_for(tmp_path: Path) -> None:
    """Its objective is the mean of its best setting; a job that raised makes it a failed one."""
    jobs = [
        FakeJob({"lr": 1}, 0.8, seed=0),
        FakeJob({"lr": 1}, 0.9, seed=1),
        FakeJob({"lr": 2}, 0.5, findings=["lr_too_high"]),
        FakeJob({"lr": 3}, status="raised"),
    ]
    path = write_sweep(tmp_path, jobs)
    entry = only_entry(tmp_path)
    assert (entry.kind, entry.status, entry.objective) == ("sweep", "failed", "val/accuracy")
    assert entry.value == pytest.approx(0.85)
    assert entry.remark == "4 jobs: 3 finished, 1 raised"
    assert entry.findings == ["lr_too_high"]
    within = list_entries(tmp_path, inside_sweeps=True)
    assert sorted(each.name.partition("/")[0] for each in within) == [path.name] * 4
    assert len(list_entries(path)) == 3


@pytest.fixture
def indexed(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's folder, with an index of its one run."""
    monkeypatch.setattr(listing_index, "MIN_KEPT", 1)
    monkeypatch.setattr(listing_index, "SETTLED_SECONDS", 0.0)
    list_entries(tiny_run.parent)
    assert (tiny_run.parent / listing_index.FILE).exists()
    return tiny_run


def test_the_index_gives_the_same_lines(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look into the run; its settings are read when they are asked for."""
    before = only_entry(indexed.parent)
    (indexed.parent / listing_index.FILE).unlink()
    anew = only_entry(indexed.parent)
    monkeypatch.setattr("expkit.reports.runs.listing.read_entry", None)
    after = only_entry(indexed.parent)
    plain = {"findings": list(anew.findings), "tags": [], "notes": []}
    for entry in (before, after):
        assert replace(entry, interval=None) == replace(anew, **plain, interval=None)
        assert list(entry.interval or ()) == list(anew.interval or ())
        assert entry.settings == anew.settings


def rewrite_digest(path: Path) -> None:
    digest = read_digest(path)
    assert digest is not None
    replace(digest, verdict="met").write(path)


CHANGES: dict[str, tuple[Callable[[Path], object], Callable[[RunEntry], object]]] = {
    "a note": (lambda path: add_note(path, "odd"), lambda entry: [n.text for n in entry.notes]),
    "a tag": (lambda path: change_tags(path, ["a"], []), lambda entry: list(entry.tags)),
    "a digest": (rewrite_digest, lambda entry: entry.verdict),
    "a checkpoint": (
        lambda path: next(path.glob("checkpoints/*/*.safetensors")).unlink(),
        lambda entry: entry.num_bytes,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_index_never_hides_a_change(change: str, indexed: Path) -> None:
    """What was added, rewritten or removed is seen at the next look, as a look without it does."""
    make, read = CHANGES[change]
    before = read(only_entry(indexed.parent))
    make(indexed)
    after = read(only_entry(indexed.parent))
    (indexed.parent / listing_index.FILE).unlink()
    assert before != after == read(only_entry(indexed.parent))


def test_a_damaged_index_is_made_anew(indexed: Path) -> None:
    """Also one of a stranger's, whose lines lead outside or are of the wrong kinds."""
    index = indexed.parent / listing_index.FILE
    sound = only_entry(indexed.parent)
    version, line = map(json.loads, index.read_text().splitlines())
    lines = [
        "not json",
        json.dumps({**line, "times": {"../../": 1}}),
        json.dumps({**line, "times": {"a\0b": 1}}),
        json.dumps({**line, "value": "x"}),
        json.dumps({**line, "findings": 3}),
        json.dumps([]),
    ]
    for each in lines:
        index.write_text(f"{json.dumps(version)}\n{each}\n{each}\n")
        assert only_entry(indexed.parent).value == sound.value


def test_an_unsettled_folder_is_not_indexed(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system's clock is coarse: what was written just now may change once more, unseen."""
    monkeypatch.setattr(listing_index, "MIN_KEPT", 1)
    (tiny_run / "new").write_text("")
    list_entries(tiny_run.parent)
    assert not (tiny_run.parent / listing_index.FILE).exists()
    long_ago = time.time() - 60
    os.utime(tiny_run, (long_ago, long_ago))
