"""How a word finds a sweep among runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep, SweepFolder, find_run_or_sweep


def make_sweep(parent: Path, name: str) -> Path:
    path = parent / f"{name}_sweep"
    SweepFolder.create(path, {"objective": "held_out/accuracy"})
    return path


def make_run(parent: Path, name: str) -> Path:
    path = parent / name
    path.mkdir(parents=True)
    for file in ("config.yaml", "environment.json"):
        (path / file).write_text("{}")
    return path


def test_a_word_finds_a_sweep_or_a_run(tmp_path: Path) -> None:
    """By path, by a part of the name, and `last`; a sweep's runs do not stand before it."""
    make_run(tmp_path, "20260101_000000_net")
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    inside = make_run(sweep, "20260102_000009_net_inside")
    assert find_run_or_sweep("last", tmp_path) == Sweep(sweep)
    assert find_run_or_sweep(str(sweep)) == Sweep(sweep)
    assert find_run_or_sweep("7_sweep", tmp_path) == Sweep(sweep)
    assert find_run_or_sweep("net_inside", tmp_path) == Run(inside)
    newer = make_run(tmp_path, "20260103_000000_net")
    assert find_run_or_sweep("last", tmp_path) == Run(newer)


def test_a_word_of_several_or_none_is_refused(tmp_path: Path) -> None:
    """With the names that there are, sweeps among them."""
    make_sweep(tmp_path, "20260102_000000_7")
    make_sweep(tmp_path, "20260102_000000_8")
    for word in ("sweep", "nothing"):
        with pytest.raises(UserError) as caught:
            find_run_or_sweep(word, tmp_path)
        assert "20260102_000000_7_sweep" in str(caught.value.details["allowed"])


def test_a_sweeps_damaged_facts_are_refused(tmp_path: Path) -> None:
    """A file without the words that began it is named, and no KeyError comes of it."""
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    (sweep / "sweep.json").write_text('{"command": "train"}')
    with pytest.raises(UserError, match="no command"):
        _ = Sweep(sweep).command
    with pytest.raises(UserError, match="no objective"):
        _ = Sweep(sweep).objective


ID = "0123456789abcdef"
PLAN: dict[str, object] = {"job": ID, "number": 0, "overrides": ["seed=1"], "config": {"seed": 1}}


def write_records(path: Path, *records: dict[str, object]) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in (*records, {"torn": 1})))


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": "../../../etc/passwd"},
        {"job": f"{ID}\n"},
        {"job": 7},
        {"number": "1"},
        {"overrides": "seed=1"},
        {"overrides": [1]},
        {"config": []},
        {"config": None},
        {"change": 1},
        {"choices": []},
    ],
)
def test_a_plan_that_is_none_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    """A stranger's, or a damaged one: ids become paths, and no traceback comes of a type."""
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    write_records(sweep / "plan.jsonl", PLAN)
    assert [job.id for job in Sweep(sweep).jobs] == [ID]
    write_records(sweep / "plan.jsonl", {**PLAN, **wrong})
    with pytest.raises(UserError, match=r"'plan.jsonl' is damaged: line 1 of 2"):
        _ = Sweep(sweep).jobs


@pytest.mark.parametrize(
    "event",
    [
        {"event": "run"},
        {"event": "run", "run": "/any/run"},
        {"event": "run", "run": "../other_sweep/run"},
        {"event": "run", "run": ".."},
        {"event": "run", "run": ""},
        {"event": "reused", "run": None},
        {"event": "ended"},
        {"event": "ended", "status": "splendid"},
        {"event": "ended", "status": "raised", "seconds": "long"},
        {"event": ["run"]},
    ],
)
def test_an_event_that_is_none_is_refused(tmp_path: Path, event: dict[str, object]) -> None:
    """A run lies in its sweep's own folder: a resumed sweep would write into any other."""
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    write_records(sweep / "plan.jsonl", PLAN)
    events = sweep / "jobs" / f"{ID}.jsonl"
    write_records(events, {"event": "run", "run": "20260102_000009_net"})
    assert len(Sweep(sweep).find_job(ID).events) == 1
    write_records(events, event)
    with pytest.raises(UserError, match="is damaged: line 1 of 2"):
        Sweep(sweep).find_job(ID)


def test_a_ticket_is_a_name_of_the_engines(tmp_path: Path) -> None:
    """It becomes a path, and a word of the engine's own commands."""
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    write_records(sweep / "tickets.jsonl", {"job": ID, "ticket": "12_0"})
    assert Sweep(sweep).tickets[ID]["ticket"] == "12_0"
    write_records(sweep / "tickets.jsonl", {"job": ID, "ticket": "../../evil"})
    with pytest.raises(UserError, match="is damaged"):
        _ = Sweep(sweep).tickets


def test_a_run_that_names_no_job_is_no_stray(tmp_path: Path) -> None:
    """Its environment may say anything."""
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    for number, job in enumerate((["a list"], 7, None, ID)):
        run = make_run(sweep, f"20260102_00000{number}_net")
        (run / "environment.json").write_text(json.dumps({"job": job}))
    assert Sweep(sweep).find_strays() == {ID: "20260102_000003_net"}
