"""A small trained run on image files of several sizes, and its exported folder."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from made_once import made_once
from PIL import Image
from running_expkit import train_quietly

WORDS = (
    "dataset=image_folder",
    "dataset.root=images",
    "dataset.size=16",
    "dataset.crop_fraction=0.875",
    "dataset.cache_dir=cache",
    "model.widths=[4,8]",
    "procedure=full",
    "procedure.train.max_epochs=2",
    "procedure.train.batch_size=8",
    "criteria=none",
    "device=cpu",
    "device.precision=fp32",
    "device.threads=1",
)


def draw_images(root: Path) -> None:
    """Draw bright cats and dark dogs, of several sizes and shapes."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 8), ("test", 12)):
        for name, light in (("cat", 90), ("dog", 0)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = 12 + 5 * (number % 4), 14 + 7 * (number % 3)
                pixels = random.integers(light, light + 160, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


def make_exported(_: Path) -> None:
    """Train in the working directory, and export to `exported` there."""
    draw_images(Path("images"))
    train_quietly(*WORDS, "name=small")
    (run,) = Path("outputs").glob("2*")
    run.rename("outputs/small")
    export_quietly("outputs/small", "--to", "exported")


def export_quietly(*words: str, code: int = 0) -> str:
    """Export in this process, and return what was said."""
    from expkit.cli import dispatch

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        given = dispatch(["export", *words])
    assert given == code, said.getvalue()
    return said.getvalue()


def exported_place(factory: pytest.TempPathFactory) -> Path:
    """A folder with `images`, `outputs/small` and `exported`, made once a session."""
    return made_once(factory, "exported_place", make_exported)
