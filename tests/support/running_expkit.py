"""Running the command as a user does, and small requests that take no time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


Expkit = Callable[..., Done]


def expkit_command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "from expkit.cli import main; main()", *words]


def only_run(folder: Path) -> Path:
    """The one run folder there."""
    (path,) = folder.glob("outputs/2*")
    return path
