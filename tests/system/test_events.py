"""`expkit events` beside a training: what a program that reads its lines meets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from json_documents import parse_document, parse_lines
from running_expkit import TINY_GATES, Expkit, expkit_command, only_run

# thirty epochs of a net that learns nothing, as its steps are far too large
LONG = (
    *TINY_GATES,
    *("procedure=full", "model=deep_head", "optimizer.lr=1", "procedure.train.max_epochs=30"),
)


@contextmanager
def started(*words: str, stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which does not outlive the test."""
    process = subprocess.Popen(
        expkit_command(words),
        stdout=stdout,
        stderr=subprocess.DEVNULL if stdout == subprocess.DEVNULL else subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} has no {count} lines")


def wait_for_run(folder: Path) -> Path:
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if list(folder.glob("outputs/2*")):
            return only_run(folder)
        time.sleep(0.02)
    raise AssertionError("no run has begun")


def told(events: Sequence[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(e["stage"], e["epoch"]) for e in events if e["event"] == "epoch"]


@pytest.mark.slow
def test_a_run_is_followed_through_a_kill_and_its_resumption(
    expkit: Expkit, tmp_path: Path
) -> None:
    """From its first moment: each epoch once, findings as they come, `interrupted`, then the rest.

    What is told while it runs is what is told of it afterwards.
    """
    with started("train", *LONG) as training:
        run = wait_for_run(tmp_path)
        with started("events", "last", "--follow", stdout=subprocess.PIPE) as following:
            wait_for_lines(run / "history.jsonl", 5)
            training.send_signal(signal.SIGKILL)
            out, err = following.communicate(timeout=60)
    assert err == ""
    events = parse_lines(out)
    assert following.returncode == 1
    assert (events[0]["event"], events[0]["status"]) == ("begin", "running")
    assert (events[-1]["event"], events[-1]["status"]) == ("end", "interrupted")
    epochs = told(events)
    assert len(epochs) >= 5
    assert epochs == [("train", number + 1) for number in range(len(epochs))]
    with started("resume", run.name) as resuming:
        wait_for_lines(run / "history.jsonl", len(epochs) + 1)
        following = subprocess.run(
            expkit_command(("events", run.name, "-f")), capture_output=True, text=True, check=False
        )
        resuming.wait(timeout=60)
    whole = parse_lines(following.stdout)
    assert told(whole) == [("train", number) for number in range(1, 31)]
    assert whole[-1]["status"] == "finished"
    assert any(event["event"] == "finding" for event in whole)
    afterwards = parse_lines(expkit("events", run.name).out)
    assert afterwards[1:] == whole[1:]
    assert expkit("events", run.name).code == following.returncode == whole[-1]["exit_code"]


@pytest.mark.slow
def test_ctrl_c_ends_following_and_leaves_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130 and no traceback; a reader that goes is noticed before the next line comes."""
    monkeypatch.chdir(tmp_path)
    with started("train", *LONG) as training:
        run = wait_for_run(tmp_path)
        wait_for_lines(run / "history.jsonl", 1)
        training.send_signal(signal.SIGSTOP)  # no line comes any more
        with started("events", "last", "--follow", stdout=subprocess.PIPE) as following:
            assert following.stdout is not None
            assert parse_document(following.stdout.readline())["event"] == "begin"
            following.send_signal(signal.SIGINT)
            _, err = following.communicate(timeout=30)
        assert (following.returncode, err) == (130, "expkit: interrupted\n")
        with started("events", "last", "--follow", stdout=subprocess.PIPE) as following:
            assert following.stdout is not None
            following.stdout.readline()
            following.stdout.close()
            assert following.wait(timeout=30) == 0
        training.send_signal(signal.SIGCONT)
        assert training.poll() is None


@pytest.mark.slow
def test_the_jobs_of_a_sweep_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From their start to their end, and the sweep's own end."""
    monkeypatch.chdir(tmp_path)
    words = (*TINY_GATES, "procedure=overfit", "seed=0,1")
    with started("train", "-m", *words) as training:
        deadline = time.monotonic() + 100
        while not list(tmp_path.glob("outputs/*_sweep/plan.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = subprocess.run(
            expkit_command(("events", "last", "--follow")),
            capture_output=True,
            text=True,
            check=False,
        )
        training.wait(timeout=60)
    events = parse_lines(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (events[0]["kind"], events[-1]["counts"]) == ("sweep", {"finished": 2})
    for number in (0, 1):
        states = [e["state"] for e in events if e["event"] == "job" and e["number"] == number]
        assert states == ["running", "running", "finished"]
    for event in events:
        if event["event"] == "job" and event["state"] == "finished":
            assert Path(event["run"]).exists()


def test_a_strangers_line_reaches_no_terminal(run_here: Expkit, tiny_run: Path) -> None:
    """A reason that holds commands to the terminal, and line breaks of every kind, is one line."""
    hostile = "\x1b[2J\x9b\u2028\u202ebad\r\nline"
    path = tiny_run / "stages.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[0]["reason"] = hostile
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    done = run_here("events", "last")
    assert len(done.out.splitlines()) == done.out.count("\n")
    stage = next(event for event in parse_lines(done.out) if event["event"] == "stage")
    assert stage["reason"] == hostile


def test_what_is_wrong_is_a_line_too(run_here: Expkit, tiny_run: Path) -> None:
    """Also after other lines were told."""
    with (tiny_run / "history.jsonl").open("r+") as stream:
        text = stream.read()
        stream.seek(0)
        stream.write("damaged\n" + text)
    done = run_here("events", "last")
    begin, error = parse_lines(done.out)
    assert (done.code, done.err) == (2, "")
    assert begin["event"] == "begin"
    assert error["schema"] == "expkit/error"
    assert os.path.basename(error["where"]) == "history.jsonl"  # noqa: PTH119 - as it is shown
    assert parse_document(run_here("events", "nothing").out)["exit_code"] == 2
