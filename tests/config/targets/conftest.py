"""A module of a user's own project, which parts may be taken from."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = """
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from annotated_types import Ge
import functools
import os
import shutil as other
from os import system
from torch.hub import load as load_from_hub
from torch.nn import Linear

class Net:
    def __init__(self, widths: list[int], norm: Literal["none", "batch"] = "none", head=None): ...

class Wide:
    def __init__(self, width: int, **more): ...

class Late:
    def __init__(self, *layers, size: int, scale: str | int = 1, **more): ...

through = functools.partial(other.rmtree, "x")
narrow = functools.partial(Net, [1])
wide = functools.partial(Linear, 2)
number = 3

@dataclass
class Stage:
    optimizer: Any
    max_epochs: Annotated[int, Ge(1)]
    parts: dict[str, Any] | None = None
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the user's own project."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return name
