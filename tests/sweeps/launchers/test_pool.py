"""Calls in processes of their own: how each ends is told, and none outlives whom it works for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_functions import fall, hang, leave, raise_error, say_environment

from expkit.sweeps.launchers.pool import SERVER, ForkedCalls, ProcessResult


@pytest.fixture
def calls() -> Iterator[ForkedCalls]:
    with ForkedCalls([], {"SERVERS": "server's"}) as calls:
        yield calls


def wait_for(calls: ForkedCalls, count: int) -> dict[str, ProcessResult]:
    results: dict[str, ProcessResult] = {}
    deadline = time.monotonic() + 30
    while len(results) < count and time.monotonic() < deadline:
        results.update({each.key: each for each in calls.wait(0.1)})
    return results


def wait_until_gone(pids: list[int]) -> bool:
    """A zombie, whom nobody has asked after yet, is gone too."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(map(is_alive, pids)):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for_file(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.read_text()


def test_each_ending_is_told_and_none_touches_the_others(
    calls: ForkedCalls, tmp_path: Path
) -> None:
    """Exit codes, a raise and a kill, with what each printed in a file of its own."""
    for key, call, arguments in (
        ("zero", leave, (0,)),
        ("three", leave, (3,)),
        ("raised", raise_error, ()),
        ("killed", fall, (signal.SIGKILL,)),
        ("environ", say_environment, ()),
    ):
        output = tmp_path / f"{key}.txt"
        calls.start(key, call, arguments, output=output, environ={"GIVEN": "job's"})
    codes = {key: ended.code for key, ended in wait_for(calls, 5).items()}
    assert codes == {"zero": 0, "three": 3, "raised": 1, "killed": -9, "environ": 0}
    assert (tmp_path / "three.txt").read_text() == "said by 3\n"
    assert "told in the output" in (tmp_path / "raised.txt").read_text()
    assert (tmp_path / "environ.txt").read_text() == "job's server's\n"
    assert "GIVEN" not in os.environ
    assert "SERVERS" not in os.environ


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(
    calls: ForkedCalls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it does not listen to the first, polite signal."""
    monkeypatch.setattr("expkit.sweeps.launchers.pool.GRACE_SECONDS", 0.3)
    output, mark = tmp_path / "out.txt", tmp_path / "mark"
    calls.start("hung", hang, (mark,), output=output, environ={}, timeout_seconds=1.0)
    pids = list(map(int, wait_for_file(mark).split()))
    ended = wait_for(calls, 1)["hung"]
    assert ended.timed_out
    assert ended.code == -signal.SIGKILL
    assert wait_until_gone(pids)


def test_a_child_whose_server_died_is_found_and_ended(calls: ForkedCalls, tmp_path: Path) -> None:
    """It is told as lost, not as failed; the next call finds a new server."""
    mark, output = tmp_path / "mark", tmp_path / "out.txt"
    calls.start("lost", hang, (mark,), output=output, environ={})
    pids = list(map(int, wait_for_file(mark).split()))
    os.kill(SERVER._forkserver_pid, signal.SIGKILL)
    ended = wait_for(calls, 1)["lost"]
    assert ended.is_lost
    assert wait_until_gone(pids)
    calls.start("next", leave, (4,), output=output, environ={})
    assert wait_for(calls, 1)["next"].code == 4


def test_children_of_a_killed_parent_stop(tmp_path: Path) -> None:
    """No orphan works on for nobody."""
    program = f"import forked_functions as f; f.begin_two(f.Path({str(tmp_path)!r}))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environ)
    pids = [int(wait_for_file(tmp_path / key)) for key in "ab"]
    parent.kill()
    parent.wait()
    assert wait_until_gone(pids)


def test_a_server_that_is_dying_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipes are closed before it can be seen to be dead; its child is lost, and not bad."""

    class Dying:
        _forkserver_pid, num_looks = 1, 0

        def ensure_running(self) -> None:
            self.num_looks += 1
            self._forkserver_pid = 1 if self.num_looks < 3 else 2

    with monkeypatch.context() as patch:
        patch.setattr("expkit.sweeps.launchers.pool.SERVER", Dying())
        assert ForkedCalls([], {})._server_has_died(1)
        patch.setattr("expkit.sweeps.launchers.pool.DYING_SECONDS", 0.0)
        patch.setattr("expkit.sweeps.launchers.pool.SERVER", Dying())
        assert not ForkedCalls([], {})._server_has_died(1)


def test_no_module_of_the_working_directory_is_loaded_by_the_server(tmp_path: Path) -> None:
    """One may stand in a stranger's folder; `python -c`, which starts the server, looks there."""
    here, bin_folder = tmp_path / "here", tmp_path / "bin"
    here.mkdir()
    bin_folder.mkdir()
    for name in ("selectors", "tracemalloc", "preloaded"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (bin_folder / "script").write_text(
        "from pathlib import Path\n"
        "from expkit.sweeps.launchers.pool import ForkedCalls\n"
        "with ForkedCalls(['preloaded'], {}) as calls:\n"
        "    calls.start('a', len, ([1, 2, 3],), output=Path('said.txt'), environ={})\n"
        "    (ending,) = calls.wait(30)\n"
        "assert ending.code == 3, Path('said.txt').read_text()\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(bin_folder / "script")]
    done = subprocess.run(
        command, check=False, cwd=here, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
