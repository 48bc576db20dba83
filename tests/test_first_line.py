"""The first line on a terminal, which stands there before torch is loaded."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = "from expkit.cli import main; main()"


def read_terminal(words: list[str], cwd: Path, seconds: float) -> tuple[str, float]:
    """What a command has written to a terminal by its first line, and when that came."""
    ours, theirs = pty.openpty()
    started = time.perf_counter()
    command = [sys.executable, "-c", PROGRAM, *words]
    process = subprocess.Popen(command, cwd=cwd, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = ""
    try:
        while "\n" not in text and time.perf_counter() - started < seconds:
            text += os.read(ours, 4096).decode()
        return text, time.perf_counter() - started
    except OSError:  # it has ended
        return text, time.perf_counter() - started
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_line_stands_there_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    """Against python's own start, which is most of it: on a quiet machine within 0.4 s."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import argparse"], check=True)
    python_seconds = time.perf_counter() - started
    text, seconds = read_terminal(["train", "procedure=full"], tmp_path, 20)
    assert text.startswith("start   reading the config")
    assert seconds < 0.3 + 5 * python_seconds


@pytest.mark.parametrize("words", [["train", "--help"], ["list", "model"]])
def test_what_is_quick_says_nothing_before(words: list[str], tmp_path: Path) -> None:
    """The help begins with its usage."""
    assert "start " not in read_terminal(words, tmp_path, 20)[0]
