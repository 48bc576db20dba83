"""Running the command as a user does, and small requests that take no time."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

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


# a program that runs one command a line, and ends with the first that has imported torch
WITHOUT_TORCH = """
import contextlib, io, json, os, sys
from expkit.cli import dispatch
sys.path.append(sys.argv[1])
from choices_read_once import read_choices_once
sys.path.pop()
read_choices_once()
out = sys.stdout
for line in sys.stdin:
    words, folder = json.loads(line)
    os.chdir(folder)
    sys.argv = ["expkit", *words]
    said, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        code = dispatch(words)
    if "torch" in sys.modules:
        break
    print(json.dumps([code, said.getvalue(), wrong.getvalue()]), file=out, flush=True)
"""


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


Expkit = Callable[..., Done]


def expkit_command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "from expkit.cli import main; main()", *words]


@contextlib.contextmanager
def without_plots() -> Iterator[None]:
    """Draw no plot: they take most of a small run's time, and have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("expkit.reports.plots.gallery.draw_plots", lambda *_, **__: [])
        yield


def train_quietly(*words: str) -> None:
    """A training in this process, in the working directory, that must pass; without its plots."""
    from expkit.cli import dispatch

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), without_plots():
        code = dispatch(("train", *words))
    assert code == 0, said.getvalue()


def only_run(folder: Path) -> Path:
    """The one run folder there."""
    (path,) = folder.glob("outputs/2*")
    return path
