"""Calls in processes of their own, forked from a server that has loaded what they need.

The server is multiprocessing's forkserver. What it lacks is here: a child whose parent was killed
stops, one whose server was killed is found, and none leaves descendants behind.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from expkit.records.safe_open import open_regular
from expkit.sanitize import CleanStream

GRACE_SECONDS = 10.0  # between SIGTERM, at which a run keeps its last epoch, and SIGKILL
SERVER_LOST = 255  # what multiprocessing says of a child whose server has died
MOST_STARTS = 5  # of a server that dies while it is asked for a child
DYING_SECONDS = 1.0  # in which a killed process has let go of its pipes, and still counts as alive
SAFE_PATH = "PYTHONSAFEPATH"
SERVER: Any = forkserver._forkserver  # of which the public functions tell too little
_server_has: dict[str, Any] = {}  # what the one that runs, or runs next, begins with


@dataclass(frozen=True)
class ProcessResult:
    """The result of a call's process; its own results it has written down if it could."""

    key: str
    code: int  # as subprocess has it: a signal is negative
    seconds: float
    timed_out: bool
    is_lost: bool  # it was cut off by its server's death, and nothing that it did


@dataclass
class _Child:
    process: BaseProcess
    began: float
    server: int
    times_out_at: float
    killed_at: float = float("inf")
    timed_out: bool = False

    @property
    def next_deadline(self) -> float:
        return min(self.times_out_at, self.killed_at)

    def stop(self, now: float) -> None:
        """Ask it to end, and see to it later."""
        self.times_out_at, self.killed_at = float("inf"), now + GRACE_SECONDS
        _send(os.kill, self.process, signal.SIGTERM)

    def kill(self) -> None:
        """With all that it has started: it leads a process group of its own."""
        self.killed_at = float("inf")
        _send(os.kill, self.process, signal.SIGKILL)
        _send(os.killpg, self.process, signal.SIGKILL)


class ForkedCalls:
    """Starts calls in processes, and tells when each has ended."""

    def __init__(self, preload: Sequence[str], environ: Mapping[str, str]) -> None:
        """`preload`: the modules that the server imports; `environ`: what it is started with."""
        self._context = multiprocessing.get_context("forkserver")
        self._preload = list(preload)
        self._environ = environ
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> ForkedCalls:
        """A search launches batch after batch: a server that has the same loaded is used again."""
        wanted = {"modules": self._preload, "environment": dict(self._environ)}
        if wanted != _server_has:
            _stop_server()
            _server_has.update(wanted)
            self._context.set_forkserver_preload(self._preload)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def keys(self) -> list[str]:
        """The calls under way."""
        return list(self._children)

    def start(
        self,
        key: str,
        call: Callable[..., int],
        arguments: Sequence[Any],
        *,
        output: Path,
        environ: Mapping[str, str],
        timeout_seconds: float | None = None,
    ) -> None:
        """Run a module's function in a process whose prints go to the file `output`."""
        assert key not in self._children
        # as it is now: the server's is of the time at which it began
        seen = {**os.environ, **self._environ, **environ}
        process = self._start(_live, (call, tuple(arguments), output, seen))
        now = time.monotonic()
        server = SERVER._forkserver_pid
        times_out_at = float("inf") if timeout_seconds is None else now + timeout_seconds
        self._children[key] = _Child(process, now, server, times_out_at)

    def _start(self, call: Callable[..., None], arguments: tuple[Any, ...]) -> BaseProcess:
        for attempt in range(1, MOST_STARTS + 1):
            process = self._context.Process(target=call, args=arguments)
            try:
                with _server_environment(self._environ):
                    process.start()
            except (OSError, EOFError):
                if attempt == MOST_STARTS:
                    raise
                self._server_has_died(SERVER._forkserver_pid)
            else:
                return process
        raise AssertionError

    def wait(self, seconds: float) -> list[ProcessResult]:
        """The calls that have ended since, at once where there are any."""
        now = time.monotonic()
        deadlines = [child.next_deadline for child in self._children.values()]
        timeout = max(0.0, min([seconds, *(each - now for each in deadlines)]))
        sentinels = {child.process.sentinel: key for key, child in self._children.items()}
        ended = [sentinels[each] for each in connection.wait(list(sentinels), timeout)]  # type: ignore[index]
        self._keep_deadlines(set(self._children) - set(ended))
        return [self._end(key) for key in ended]

    def stop(self) -> None:
        """Ask all to end; those that do not are killed in time."""
        for child in self._children.values():
            if child.killed_at == float("inf"):
                child.stop(time.monotonic())

    def kill(self) -> None:
        for child in self._children.values():
            child.kill()

    def _keep_deadlines(self, keys: set[str]) -> None:
        now = time.monotonic()
        for child in map(self._children.__getitem__, keys):
            if now >= child.killed_at:
                child.kill()
            elif now >= child.times_out_at:
                child.timed_out = True
                child.stop(now)

    def _end(self, key: str) -> ProcessResult:
        child = self._children.pop(key)
        child.process.join()
        code = child.process.exitcode
        assert code is not None
        is_lost = code == SERVER_LOST and self._server_has_died(child.server)
        if is_lost:
            _send(os.kill, child.process, signal.SIGKILL)
        _send(os.killpg, child.process, signal.SIGKILL)  # what it has left behind
        seconds = time.monotonic() - child.began
        return ProcessResult(key, code, seconds, child.timed_out, is_lost)

    def _server_has_died(self, pid: int) -> bool:
        """Tell whether the server that had this number is dead; there is another one then."""
        deadline = time.monotonic() + DYING_SECONDS
        while True:
            with _server_environment(self._environ):
                SERVER.ensure_running()
            if SERVER._forkserver_pid != pid or time.monotonic() > deadline:
                return bool(SERVER._forkserver_pid != pid)
            time.sleep(0.02)


def _send(
    send: Callable[[int, int], None], process: BaseProcess, signal_number: signal.Signals
) -> None:
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses zombies' groups
        send(process.pid, signal_number)


def _stop_server() -> None:
    """End the server, whose children have ended; one that is let be ends with this process."""
    pid = SERVER._forkserver_pid
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        SERVER._stop()


@contextlib.contextmanager
def _server_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Yield what a server and its children inherit that are started now.

    These variables, no Ctrl-C while modules load, no `__main__`, which would run again, and no
    module from the working directory, where `python -c` looks first.
    """
    values = {**values, SAFE_PATH: "1"}
    before = {name: os.environ.get(name) for name in values}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(values)
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _live(
    call: Callable[..., int], arguments: tuple[Any, ...], output: Path, environ: Mapping[str, str]
) -> None:
    """In the child."""
    os.setsid()  # the terminal's Ctrl-C is the parent's to pass on
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.pop(SAFE_PATH, None)  # the server's own; a job's programs run as the user's do
    os.environ.update(environ)
    _print_to(output)
    gc.freeze()  # what the server has loaded is no garbage: looking through it costs 0.2 s
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    sys.exit(call(*arguments))


def _print_to(output: Path) -> None:
    descriptor = open_regular(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        os.dup2(descriptor, number)
        stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[union-attr]
    sys.stdout, sys.stderr = CleanStream(sys.stdout), CleanStream(sys.stderr)
    os.close(descriptor)
    faulthandler.enable()  # a segmentation fault says where


def _stop_with_parent() -> None:
    """End as at Ctrl-C when the parent was killed; this pipe breaks then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)
