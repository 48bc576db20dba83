"""Fixtures that tests share: the command as a user runs it, in three ways."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest
from exported_folders import exported_place
from made_once import made_once
from PIL import Image
from running_expkit import (
    TINY,
    WITHOUT_TORCH,
    Done,
    Expkit,
    expkit_command,
    train_quietly,
    without_plots,
)

# two workers with two threads each would wait for one another on two cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["hostile_arena", "hostile_exhibits"]


@pytest.hookimpl(tryfirst=True)  # before -m leaves any out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is marked `broad(n)`, n cases from all over it are quick; the others slow."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if "broad" in item.keywords:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for same in cases.values():
        marker = same[0].get_closest_marker("broad")
        assert marker is not None
        (count,) = marker.args
        quick = {round(i * (len(same) - 1) / max(1, count - 1)) for i in range(count)}
        for place, item in enumerate(same):
            if place not in quick:
                item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Keep thousands of tests and what they import out of each search for garbage."""
    from choices_read_once import read_choices_once  # which a controller of workers needs not

    read_choices_once()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for what would stay in the machine's own, as tracebacks of faults that are tried.

    Its path is short: the sockets of processes have their names below it.
    """
    tmp_path_factory.getbasetemp()  # is made before, and stays where it is
    get_temp_dir()  # too: multiprocessing removes its own when the interpreter ends
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Iterator[Expkit]:
    """Runs `expkit WORDS` in this process: torch is loaded once for all tests that use it.

    What it trains has its plots where the test is marked `draws`.
    """
    from expkit.cli import dispatch

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["expkit", *words])
        code = dispatch(words)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    with contextlib.nullcontext() if "draws" in request.keywords else without_plots():
        yield run


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Pages without images, which take seconds."""
    with without_plots():
        yield


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure is made, and its file is a pixel: most of a plot's time is its rendering."""
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "PNG")
    monkeypatch.setattr("expkit.reports.plots.style._encode_pixels", lambda *_: stream.getvalue())


class Torchless:
    """One process for all commands that are to do without torch: most of a command is its start."""

    process: subprocess.Popen[str] | None = None

    def run(self, words: Sequence[str], folder: Path) -> Done:
        if self.process is None:
            command = [
                sys.executable,
                "-c",
                WITHOUT_TORCH,
                str(Path(__file__).with_name("support")),
            ]
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([words, str(folder)]), file=self.process.stdin, flush=True)
        if answer := self.process.stdout.readline():
            return Done(*json.loads(answer))
        self.close()
        raise AssertionError(f"expkit {' '.join(words)} imported torch, or broke its process")

    def close(self) -> None:
        if self.process is not None:
            with self.process:
                assert self.process.stdin is not None
                self.process.stdin.close()
            self.process = None


@pytest.fixture(scope="session")
def torchless() -> Iterator[Torchless]:
    with contextlib.closing(Torchless()) as process:
        yield process


@pytest.fixture
def run_without_torch(torchless: Torchless, tmp_path: Path) -> Expkit:
    """Runs `expkit WORDS` in the test's folder; a command that imports torch is a failure."""
    return lambda *words: torchless.run(words, tmp_path)


@pytest.fixture
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A finished run of `TINY`, trained once a session, as the only one in the test's folder."""

    def train(_: Path) -> None:
        train_quietly(*TINY, "procedure=full", "name=tiny")

    (made,) = made_once(tmp_path_factory, "tiny", train).glob("outputs/2*")
    return shutil.copytree(made, tmp_path / "outputs" / made.name)


@pytest.fixture
def ask_exported(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    run_here: Expkit,
    monkeypatch: pytest.MonkeyPatch,
) -> Expkit:
    """Runs `expkit WORDS` beside a copy of `images`, `outputs/small` and `exported`."""
    shutil.copytree(exported_place(tmp_path_factory), tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return run_here
