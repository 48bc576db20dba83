"""Runs that are sent to a logger while they go on: it costs them nothing, whatever it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_loggers import epochs_in, read_ledger, write_own_loggers
from running_expkit import TINY, Expkit, expkit_command, only_run

from expkit.loggers import followers
from expkit.records.run.sent import read_sent

WORDS = ("train", *TINY, "procedure=full", "name=logged")
TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")


def numbers(run: Path) -> list[dict[str, object]]:
    """The history without what a clock says."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def senders(folder: Path) -> list[int]:
    """The processes that have opened a logger in this folder and are still there."""
    started = [int(path.name.removeprefix("pid_")) for path in folder.glob("pid_*")]
    return [each for each in started if each != os.getpid() and is_alive(each)]


def wait_for(what: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    write_own_loggers(tmp_path)
    yield tmp_path
    for process in senders(tmp_path):
        os.kill(process, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_is_sent_while_it_goes_on_and_its_numbers_are_the_same(
    here: Path, run_here: Expkit
) -> None:
    """Each epoch once, the end, the status; without a logger the history is the same to the bit."""
    assert run_here(*WORDS, "logger=ledger").code == 0
    run = only_run(here)
    lines = read_ledger(here)
    assert epochs_in(lines) == [("train", 1), ("train", 2), ("train", 3), ("train", 4)]
    assert [line["end"] for line in lines if "end" in line] == ["finished"]
    assert lines[-1]["closed"] == "finished"
    assert lines[0]["figures"]["train/loss"] == numbers(run)[0]["train/loss"]
    sent = read_sent(run, "ledger")
    assert sent is not None
    assert (sent.epochs, sent.error) == ({"train": 4}, None)
    assert not senders(here)
    assert run_here(*WORDS, "output_dir=plain").code == 0
    assert numbers(next((here / "plain").glob("2*"))) == numbers(run)


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["raises", "sleeps", "dies", "floods"])
def test_a_logger_that_fails_hangs_or_dies_ends_no_run(
    here: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    """The run passes, no process is left, and the command of the note sends it all."""
    monkeypatch.setattr(followers, "PATIENCE_SECONDS", 6.0)
    done = run_here(*WORDS, "logger=ledger", f"logger.ledger.manner={manner}")
    assert done.code == 0
    assert not senders(here)
    if manner != "floods":
        assert "not everything was sent to ledger" in done.out
        assert ("ConnectionError: nobody" in done.out) == (manner == "raises")
        assert "\x1b" not in done.out
        assert read_ledger(here) == []
        run = only_run(here)
        assert run_here("log", str(run), "--to", "ledger").code == 0
    assert epochs_in(read_ledger(here)) == [("train", n) for n in (1, 2, 3, 4)]


@pytest.mark.slow
def test_a_killed_run_sent_in_half_is_whole_once_it_was_resumed(
    here: Path, run_here: Expkit
) -> None:
    """Kill -9 leaves no sender behind; each epoch is sent once, by whoever comes first."""
    words = [*WORDS[1:], "procedure.train.max_epochs=400", "logger=ledger"]
    training = subprocess.Popen(
        expkit_command(["train", *words]), cwd=here, stdout=subprocess.DEVNULL, env=os.environ
    )
    wait_for(lambda: len(read_ledger(here)) > 1)
    training.send_signal(signal.SIGKILL)
    training.wait()
    wait_for(lambda: not senders(here), seconds=15)
    run = only_run(here)
    assert run_here("log", str(run)).code == 0
    sent = epochs_in(read_ledger(here))
    assert 1 < len(sent) <= 400
    assert len(set(sent)) == len(sent)
    assert run_here("resume", str(run)).code == 0
    assert epochs_in(read_ledger(here)) == [("train", n + 1) for n in range(400)]
    before = read_ledger(here)
    assert "it has all of it" in run_here("log", str(run)).out
    new = read_ledger(here)[len(before) :]
    assert [list(line) for line in new] == [["run", "closed"]]


@pytest.mark.slow
def test_ctrl_c_ends_the_run_and_its_sender(here: Path) -> None:
    words = [*WORDS, "procedure.train.max_epochs=5000", "logger=ledger"]
    training = subprocess.Popen(expkit_command(words), cwd=here, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: len(read_ledger(here)) > 1)
    training.send_signal(signal.SIGINT)
    training.communicate(timeout=60)
    assert training.returncode == 130
    assert not senders(here)
    assert read_ledger(here)[-1]["closed"] == "interrupted"


@pytest.mark.slow
def test_a_sweep_has_one_sender_and_each_job_is_a_run(here: Path, expkit: Expkit) -> None:
    """Three jobs, one of which fails; all are sent by one process, grouped by their sweep."""
    done = expkit(*WORDS, "-m", "seed=0,1", "model.widths=[4],[8]", "logger=ledger")
    assert done.code == 0, done.err
    lines = read_ledger(here)
    assert len(list(here.glob("pid_*"))) == 1
    names = {line["run"] for line in lines}
    assert len(names) == 4
    for name in names:
        of_run = [line for line in lines if line["run"] == name]
        assert epochs_in(of_run) == [("train", n) for n in (1, 2, 3, 4)]
        assert sum("end" in line for line in of_run) == 1
    assert not senders(here)


def test_loggers_are_refused_before_torch_is_loaded(
    here: Path, run_without_torch: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is none, a package that is not there, several without a list, no choice."""
    refused = {
        "logger=mlfow": "logger=mlflow",
        "logger=mlflow,wandb": "'logger=[mlflow,wandb]'",
        "logger=null": "logger=none",
        "logger.mlflow.experiment=a": "logger=mlflow logger.mlflow.experiment=a",
    }
    for word, advice in refused.items():
        done = run_without_torch("train", word)
        assert done.code == 2
        assert advice in done.err
    assert not (here / "outputs").exists()
