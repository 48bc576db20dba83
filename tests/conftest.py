"""What tests share: running the command as a user does, and small requests that take no time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_expkit import Done, Expkit, expkit_command

pytest_plugins = ["hostile_arena", "hostile_exhibits"]


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for what would stay in the machine's own, as tracebacks of faults that are tried.

    Its path is short: the sockets of processes have their names below it.
    """
    tmp_path_factory.getbasetemp()  # is made before, and stays where it is
    with (
        tempfile.TemporaryDirectory(prefix="expkit_", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def expkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Expkit:
    """Runs `expkit WORDS` in a process of its own, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **environ: str) -> Done:
        done = subprocess.run(
            expkit_command(words),
            capture_output=True,
            text=True,
            env={**os.environ, **environ},
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Expkit:
    """Runs `expkit WORDS` in this process: torch is loaded once for all tests that use it."""
    from expkit.cli import dispatch

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["expkit", *words])
        code = dispatch(words)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
