"""Functions for processes of their own, which find them by this module's name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from expkit.sweeps.launchers.pool import ForkedCalls


def leave(code: int) -> int:
    print("said by", code)
    return code


def fall(signal_number: int) -> int:
    os.kill(os.getpid(), signal_number)
    return 0


def raise_error() -> int:
    raise ValueError("told in the output")


def hang(mark: Path) -> int:
    """Until it is killed: it does not listen to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen(["sleep", "60"])
    mark.with_suffix(".new").write_text(f"{os.getpid()} {helper.pid}")
    mark.with_suffix(".new").rename(mark)
    time.sleep(60)
    return 0


def say_environment() -> int:
    print(os.environ["GIVEN"], os.environ["SERVERS"])
    return 0


def begin_two(folder: Path) -> None:
    """A parent that waits to be killed."""
    with ForkedCalls([], {}) as calls:
        for key in "ab":
            output = folder / f"{key}.txt"
            calls.start(key, wait_politely, (folder / key,), output=output, environ={})
        while True:
            calls.wait(1.0)


def wait_politely(mark: Path) -> int:
    mark.write_text(str(os.getpid()))
    time.sleep(60)
    return 0
