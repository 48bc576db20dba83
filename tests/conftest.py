"""What tests share: running the command as a user does, and small requests that take no time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest_plugins = ["hostile_arena", "hostile_exhibits"]

# a puzzle of 6 pieces and a few steps: everything happens, nothing takes long
TINY_GATES = (
    "dataset.rows=2",
    "dataset.columns=3",
    "dataset.piece_size=16",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
)
TINY = (*TINY_GATES, "procedure.train.max_epochs=4")

# a program that runs `expkit WORDS` where torch cannot be imported; None in sys.modules would
# not do, as scipy asks whatever is there for its Tensor
WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
from expkit.cli import dispatch
sys.exit(dispatch(sys.argv[1:]))
"""


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


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


Expkit = Callable[..., Done]


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


def expkit_command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "from expkit.cli import main; main()", *words]


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


def only_run(folder: Path) -> Path:
    """The one run folder there."""
    (path,) = folder.glob("outputs/2*")
    return path
