"""Events of a run: each once, in the order in which they happened, however it is looked at."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import classes_run, failed_gate_run, write_run
from synthetic_runs import puzzle_metadata as metadata_of

from expkit.errors import UserError
from expkit.records.files import append_line, write_lines
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder, hold_lock
from expkit.reports.events.run_events import RunEvents
from expkit.reports.json.event import EndEvent, EpochEvent, Event, FindingEvent, StageEvent

STAGES = ("overfit_1", "overfit_10", "train", "evaluate")
Step = tuple[str, dict[str, Any]]  # the file, and what is appended to it


def epoch(stage: str, number: int) -> Step:
    return "history", {"stage": stage, "epoch": number, "train/loss": 1.0 / number}


def told(stage: str, number: int, rule: str, severity: str = "warning") -> Step:
    finding = {
        "severity": severity,
        "sentence": "so it is",
        "evidence": {"x": 1},
        "cause": "a cause",
        "remedies": [],
        "command": "",
        "stage": stage,
        "epoch": number,
        "unit": "epoch",
        "rule": rule,
    }
    return "findings", {"stage": stage, "epoch": number, "at": 1.0, "finding": finding}


def result(stage: str) -> Step:
    return "stages", StageResult(stage, True, "fine", "Training").to_json()


# as a run writes it: findings before, between and after the epochs of several stages
STORY: list[Step] = [
    told("overfit_1", 0, "before"),
    epoch("overfit_1", 1),
    epoch("overfit_1", 2),
    told("overfit_1", 2, "gate"),
    result("overfit_1"),
    result("overfit_10"),
    told("train", 0, "start"),
    epoch("train", 1),
    told("train", 1, "one"),
    told("train", 1, "two"),
    epoch("train", 2),
    told("train", 2, "one"),
    epoch("train", 3),
    told("train", 3, "one", "fatal"),
    result("train"),
    told("evaluate", 0, "leak"),
    result("evaluate"),
]
EXPECTED = [
    *("before", "overfit_1 1", "overfit_1 2", "gate", "overfit_1 ends", "overfit_10 ends"),
    *("start", "train 1", "one", "two", "train 2", "train 3", "one", "train ends"),
    *("leak", "evaluate ends"),
]


def shown(event: Event) -> str:
    match event:
        case EpochEvent():
            return f"{event.stage} {event.epoch}"
        case StageEvent():
            return f"{event.stage} ends"
        case FindingEvent():
            return event.finding.rule
    raise AssertionError(event)


@pytest.fixture
def begun(tmp_path: Path) -> Run:
    """A run that has its first files, and no line yet."""
    run = write_run(tmp_path, metadata_of(2, 3))
    assert tuple(run.stage_names) == STAGES
    return run


def write(run: Run, step: Step) -> None:
    append_line(run.path / f"{step[0]}.jsonl", json.dumps(step[1]))


def test_a_finished_run_is_told_in_order(begun: Run) -> None:
    """Findings between the epochs after which they were told; one told again only where worse."""
    for step in STORY:
        write(begun, step)
    events = list(RunEvents(begun).look(is_last=True))
    assert [shown(event) for event in events] == EXPECTED
    assert [e.finding.severity for e in events if isinstance(e, FindingEvent)][-2] == "fatal"


@pytest.mark.parametrize("seed", range(20))
def test_however_often_it_is_looked_at_the_order_is_the_same(
    begun: Run, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer goes on between looks, and between the files that one look reads."""
    draw, left = random.Random(seed), list(STORY)

    def go_on() -> None:
        for _ in range(draw.choice([0, 0, 1, 1, 2, 5])):
            if left:
                write(begun, left.pop(0))

    events = RunEvents(begun)
    for name in ("_read_results", "_read_history", "_read_findings"):
        monkeypatch.setattr(events, name, interrupted_by(go_on, getattr(events, name)))
    found = []
    while left:
        found += [shown(event) for event in events.look()]
    found += [shown(event) for event in events.look(is_last=True)]
    assert found == EXPECTED


def interrupted_by(others: Callable[[], None], read: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        others()
        read()
        others()

    return both


def test_a_line_that_is_half_written_waits(begun: Run) -> None:
    """Of a run that has only just begun; it is told once it is whole."""
    events = RunEvents(begun)
    assert list(events.look()) == []
    text = json.dumps(epoch("overfit_1", 1)[1])
    with (begun.path / "history.jsonl").open("w") as stream:
        stream.write(text[:20])
        stream.flush()
        assert list(events.look()) == []
        stream.write(text[20:] + "\n")
        stream.flush()
        assert [shown(event) for event in events.look()] == ["overfit_1 1"]
    assert list(events.look()) == []


def test_a_resumed_run_repeats_nothing(begun: Run) -> None:
    """It drops the epochs that its checkpoint lacks, writes the file anew, and does them again."""
    steps = [result("overfit_1"), result("overfit_10")]
    steps += [epoch("train", number) for number in (1, 2, 3)]
    for step in [*steps, told("train", 2, "one"), told("train", 3, "three")]:
        write(begun, step)
    events = RunEvents(begun)
    first = [shown(event) for event in events.look()]
    assert first[2:] == ["train 1", "train 2", "one", "train 3", "three"]
    folder = RunFolder.reopen(begun.path)
    folder.forget_after("train", 1)
    folder.close()
    assert [record["epoch"] for record in Run(begun.path).history] == [1]
    for number in (2, 3, 4):
        write(begun, epoch("train", number))
        write(begun, told("train", number, "one"))
    assert [shown(event) for event in events.look()] == ["train 4"]
    write(begun, result("train"))
    assert [shown(event) for event in events.look()] == ["train ends"]


def test_a_history_that_grew_beyond_its_former_length_between_two_looks(begun: Run) -> None:
    """Another file of the same name is read from its start, also where it is the longer one."""
    write(begun, result("overfit_1"))
    write(begun, result("overfit_10"))
    write(begun, epoch("train", 1))
    events = RunEvents(begun)
    assert len(list(events.look())) == 3
    records = [epoch("train", number)[1] for number in range(1, 30)]
    write_lines(begun.path / "history.jsonl", records)
    expected = [f"train {number}" for number in range(2, 30)]
    assert [shown(event) for event in events.look()] == expected


def test_a_long_history_is_told_whole(begun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is more than is read at once."""
    monkeypatch.setattr("expkit.records.tail.MAX_READ", 1000)
    write_lines(
        begun.path / "history.jsonl", [epoch("overfit_1", number)[1] for number in range(1, 501)]
    )
    events = list(RunEvents(begun).look())
    assert [e.epoch for e in events if isinstance(e, EpochEvent)] == list(range(1, 501))
    assert {e.unit for e in events if isinstance(e, EpochEvent)} == {"step"}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("history", "{}"),
        ("history", '{"stage": "../x", "epoch": 1}'),
        ("history", '{"stage": "train", "epoch": 1, "train/loss": "low"}'),
        ("stages", '{"stage": "train"}'),
        ("stages", "[1]"),
        ("findings", '{"stage": "train", "epoch": 0, "finding": {"rule": 3}}'),
        ("findings", json.dumps(told("train", 0, "x")[1]).replace('{"x": 1}', "{}")),
        ("findings", "\x00"),
    ],
)
def test_damage_is_refused_by_its_file(begun: Run, file: str, line: str) -> None:
    """A stranger's line is no event."""
    write(begun, result("overfit_1"))
    write(begun, result("overfit_10"))
    append_line(begun.path / f"{file}.jsonl", line)
    with pytest.raises(UserError, match=f"'{file}.jsonl' is damaged"):
        list(RunEvents(begun).look(is_last=True))


def last_of(run: Run) -> EndEvent:
    *_, end = RunEvents(run).end()
    assert isinstance(end, EndEvent)
    return end


def test_the_last_line_says_how_it_ended(tmp_path: Path) -> None:
    """Its exit code is 0 only where every stage and criterion passed."""
    passed = last_of(classes_run(tmp_path / "a"))
    assert (passed.status, passed.passed, passed.exit_code) == (
        "finished",
        passed.verdict == "met",
        int(passed.verdict != "met"),
    )
    failed = last_of(failed_gate_run(tmp_path / "b"))
    assert (failed.status, failed.exit_code) == ("failed", 1)


def test_a_run_that_goes_on_has_not_failed(begun: Run) -> None:
    """While a process holds it, the last line says so; once that is killed, it was cut off."""
    lock = hold_lock(begun.path)
    assert lock is not None
    running = last_of(begun)
    assert (running.status, running.exit_code) == ("running", 0)
    assert not RunEvents(begun).is_over
    RunFolder(begun.path, lock).close()
    killed = last_of(begun)
    assert (killed.status, killed.exit_code) == ("interrupted", 1)
    assert RunEvents(begun).is_over


def test_findings_that_nobody_was_told_of_come_before_the_end(tmp_path: Path) -> None:
    """As of a run from before findings were written down as they were told."""
    run = failed_gate_run(tmp_path)
    events = RunEvents(run)
    assert not any(isinstance(event, FindingEvent) for event in events.look(is_last=True))
    *found, end = events.end()
    assert isinstance(end, EndEvent)
    assert found
    assert all(isinstance(event, FindingEvent) and event.stage is None for event in found)
