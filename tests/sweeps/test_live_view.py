"""A sweep on a terminal and where there is none."""

from __future__ import annotations

import io
import os
import re
import signal
from pathlib import Path

import pytest
from running_expkit import Expkit
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.sweeps import live_view
from expkit.sweeps.live_view import SweepScreen
from expkit.terminal.live_block import TerminalBlock


class Terminal(io.StringIO):
    """What would be seen: so much of a terminal as a block makes use of."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def seen(self) -> list[str]:
        lines, row, column = [""], 0, 0
        for piece in re.findall(r"\x1b\[\d*[A-Z]|.|\n", self.getvalue(), re.DOTALL):
            if piece.endswith("A") and len(piece) > 1:
                row -= int(piece[2:-1])
            elif piece == "\x1b[J":
                lines = [*lines[:row], lines[row][:column]]
            elif piece == "\r":
                column = 0
            else:
                if piece == "\n" or column == self.size.columns:
                    row, column = row + 1, 0
                    lines += [""] * (row + 1 - len(lines))
                if piece != "\n":
                    lines[row] = lines[row][:column].ljust(column) + piece
                    column += 1
        return [line.rstrip() for line in lines]


def block_on(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> TerminalBlock:
    monkeypatch.setattr(TerminalBlock, "size", property(lambda _: terminal.size))
    return TerminalBlock(terminal)


def test_a_block_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by fewer lines than before; what is told in between stays above."""
    terminal = Terminal(20, 10)
    block = block_on(terminal, monkeypatch)
    block.draw(["bar 1", "job a", "job b"])
    block.erase()
    terminal.write("FAIL job b\n")
    block.draw(["bar 2", "job a"])
    assert terminal.seen == ["FAIL job b", "bar 2", "job a"]


def test_a_block_fits_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither wider nor higher, however small that is."""
    terminal = Terminal(10, 4)
    block_on(terminal, monkeypatch).draw([f"line {n} with more" for n in range(9)])
    assert terminal.seen == ["line 0 wi", "line 1 wi", "line 2 wi"]


def test_a_terminal_made_narrower_is_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that it has wrapped meanwhile are more rows than were drawn."""
    terminal = Terminal(20, 10)
    block = block_on(terminal, monkeypatch)
    block.draw(["0123456789abcde", "x"])
    terminal.size = os.terminal_size((10, 10))
    block.draw(["new", "y"])
    assert terminal.seen == ["new", "y"]


def run_jobs(path: Path, screen: SweepScreen, statuses: dict[str, str]) -> None:
    for job in Sweep(path).jobs:
        SweepFolder(path).note(job.id, "started")
        screen.started(job.id)
        screen.tick()
        status = statuses[job.overrides[0]]
        reason = "it is so" if status != "finished" else ""
        SweepFolder(path).note(job.id, "ended", status=status, reason=reason, seconds=2.0)
        screen.ended(job.id)
    screen.close()


STATUSES = {"model=a": "finished", "model=b": "raised"}


def test_plain_lines_tell_each_start_and_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no terminal is: a line each, once, without any control sequence."""
    path = write_sweep(tmp_path, [FakeJob({"model": name}, status="waiting") for name in "ab"])
    run_jobs(path, SweepScreen(path), STATUSES)
    out = capsys.readouterr()
    lines = out.out.splitlines()
    assert lines[:4] == [
        "start #0 a",
        "end   #0 a: 2.0 s",
        "start #1 b",
        "FAIL  #1 b: raised: it is so",
    ]
    assert lines[4].strip().startswith("see ")
    assert "\x1b" not in out.out + out.err


def test_whoever_conducts_has_the_table_written_after_each_job(tmp_path: Path) -> None:
    """By whatever engine the jobs run, that of a cluster too; one who only watches writes none."""
    path = write_sweep(tmp_path, [FakeJob({"model": name}, 0.5) for name in "ab"])
    job = Sweep(path).jobs[0].id
    SweepScreen(path, conducts=False).ended(job)
    assert not (path / "sweep.csv").exists()
    SweepScreen(path).ended(job)
    assert len((path / "sweep.csv").read_text().splitlines()) == 3


def test_a_terminal_keeps_failures_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running job has a line below the bar; when all is over, only failures stand there."""
    terminal = Terminal(80, 10)
    monkeypatch.setattr(TerminalBlock, "size", property(lambda _: terminal.size))
    monkeypatch.setattr(live_view, "DRAW_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("sys.stdout", terminal)
    path = write_sweep(tmp_path, [FakeJob({"model": name}, status="waiting") for name in "ab"])
    screen = SweepScreen(path)
    identity = Sweep(path).jobs[0].id
    SweepFolder(path).note(identity, "started")
    screen.started(identity)
    screen.tick()
    bar, job = terminal.seen
    assert "0 of 2 done, 1 running" in bar
    assert job == "  #0 a  starting"
    run_jobs(path, screen, STATUSES)
    assert terminal.seen[0] == "FAIL  #1 b: raised: it is so"
    assert not any("#0" in line or "done" in line for line in terminal.seen)


def test_show_tells_a_sweep_without_torch(run_without_torch: Expkit, tmp_path: Path) -> None:
    """By `last`, with its best, its failures and the next command; plot makes its pages anew."""
    jobs = [FakeJob({"model": "a"}, 0.5), FakeJob({"model": "b"}, None, 0, "raised", "Oops: no")]
    path = write_sweep(tmp_path / "outputs", jobs)
    for words in (("show", "last"), ("plot", "last"), ("show", path.name, "--watch")):
        done = run_without_torch(*words)
        assert done.code == 0, done.err
        if words[0] == "show":
            assert "2 jobs: 1 finished, 1 raised" in done.out
            assert "FAIL   #1 b, seed=0: raised: Oops: no" in done.out
            assert f"expkit resume {path.name}" in done.out
        else:
            assert (path / "sweep.md").exists()
            assert (path / "sweep.csv").exists()


def test_a_running_sweep_is_followed_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happens meanwhile is told; the process that runs it is another's."""
    path = write_sweep(tmp_path, [FakeJob({"model": "a"}, status="waiting")])
    identity = Sweep(path).jobs[0].id
    happenings = [
        lambda: SweepFolder(path).note(identity, "started"),
        lambda: SweepFolder(path).note(identity, "ended", status="raised", reason="no", seconds=1),
    ]
    monkeypatch.setattr(live_view, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(live_view.time, "sleep", lambda _: happenings.pop(0)())
    monkeypatch.setattr(Sweep, "is_running", property(lambda _: bool(happenings)))
    live_view.follow(Sweep(path))
    assert capsys.readouterr().out.splitlines()[:2] == ["start #0", "FAIL  #0: raised: no"]


def test_a_fault_in_showing_ends_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told once, and what comes later is shown again; Ctrl-C is no fault."""
    path = write_sweep(tmp_path, [FakeJob({"model": "a"}, status="waiting")])
    identity = Sweep(path).jobs[0].id
    monkeypatch.setattr(live_view, "LOOK_SECONDS", 0.0)
    screen = SweepScreen(path)
    with monkeypatch.context() as patch:
        patch.setattr(SweepScreen, "_look", lambda self: 1 / 0)
        for act in (screen.tick, screen.tick, screen.close, lambda: screen.ended("unknown")):
            act()
        patch.setattr(SweepScreen, "_look", lambda self: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            screen.tick()
    screen.started(identity)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "note    the sweep goes on, but cannot be shown: ZeroDivisionError: division by zero",
        "note    the sweep goes on, but cannot be shown: KeyError: 'unknown'",
        "start #0",
    ]
