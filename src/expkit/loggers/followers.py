"""The processes that send a run or a sweep, as the training sees them: started, then let go."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from expkit.loggers.chosen import Parts, changed_words
from expkit.records.find_runs import find_runs
from expkit.records.run.sent import read_sent
from expkit.sanitize import one_line

PATIENCE_SECONDS = 10.0  # that the end of a run or a sweep waits for all its loggers
SILENCE_SECONDS = 2.0


@dataclass
class Followers:
    """A process a logger, whatever the number of runs: none of them can hold up the training."""

    folder: Path
    parts: Parts
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    def start(cls, folder: Path, parts: Parts, trust: Collection[str] = ()) -> Followers:
        """Begin to follow; a process that cannot be started is told of at the end."""
        started = cls(folder, parts)
        for name, part in parts.items():
            with contextlib.suppress(OSError):
                started.processes[name] = _start(folder, name, json.dumps(dict(part)), trust)
        return started

    def finish(self, say: Callable[[str], None]) -> None:
        """Let them send the rest, for some seconds at most, and say what they did not."""
        begun = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            for process in self.processes.values():
                _tell_the_end(process)
            if not self._all_end_within(SILENCE_SECONDS):
                say(f"the rest is being sent to {', '.join(self.parts)}")
                self._all_end_within(PATIENCE_SECONDS - (time.monotonic() - begun))
        codes = {name: process.poll() for name, process in self.processes.items()}
        self.close()
        for name in self.parts:
            if codes.get(name) != 0:
                say(self._note(name, has_hung=name in codes and codes[name] is None))

    def close(self) -> None:
        """End those that are still there, with all that they have started."""
        for process in self.processes.values():
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _all_end_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process in self.processes.values()):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def _note(self, name: str, *, has_hung: bool) -> str:
        reason = f"it took longer than {PATIENCE_SECONDS:.0f} seconds" if has_hung else None
        for run in find_runs([str(self.folder)]):
            sent = read_sent(run.path, name)
            if sent is not None and sent.error is not None:
                reason = one_line(sent.error)
        words = changed_words({name: self.parts[name]})
        command = shlex.join(["expkit", "log", str(self.folder), "--to", name, *words])
        return (
            f"note    not everything was sent to {name}: {reason or 'its process ended'}\n"
            f"        the records are whole; to send them: {command}"
        )


def _start(folder: Path, name: str, part: str, trust: Collection[str]) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own: Ctrl-C is the training's, and so are its children."""
    words = [str(folder), name, part, json.dumps(list(trust)), str(os.getpid())]
    return subprocess.Popen(
        # -P: no module is taken from the working directory, where wandb makes a folder wandb/
        [sys.executable, "-P", "-m", "expkit.loggers.following", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )


def _tell_the_end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None, "it has a pipe"
    with contextlib.suppress(OSError):
        process.stdin.close()
