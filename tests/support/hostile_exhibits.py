"""Honest runs and a sweep, made once by the real code, for the hostile suite to copy and spoil."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hostile_arena import draw_quickly
from made_once import made_once
from PIL import Image

FOLDER_WORDS = (
    "dataset=image_folder",
    "dataset.root=images",
    "criteria=none",
    "model.widths=[4]",
    "procedure=full",
    "procedure.train.max_epochs=2",
    "procedure.train.batch_size=8",
    "device=cpu",
    "device.precision=fp32",
    "device.threads=1",
    "dataset.cache_dir=cache",
)
CLASSES = ("cat", "dog")


@pytest.fixture(scope="session")
def exhibits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/ and outputs/: `finished`, `interrupted`, `other` and `sweep`."""
    return made_once(tmp_path_factory, "exhibits", _make_all)


def _make_all(_: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        draw_quickly(patch)
        draw_images(Path("images"))
        _make("finished", *FOLDER_WORDS)
        shutil.copytree("outputs/finished", "outputs/interrupted")
        cut_off(Path("outputs/interrupted"))
        _make("other", *FOLDER_WORDS, "optimizer.lr=0.01")
        _make("sweep", "-m", "seed=0,1", "hydra/launcher=basic", *FOLDER_WORDS)


def draw_images(root: Path) -> None:
    """Bright cats and dark dogs of 8 x 8 pixels."""
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 8), ("test", 8)):
        for name, light in zip(CLASSES, (60, 0), strict=True):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(light, light + 190, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


def _make(name: str, *words: str) -> None:
    from expkit.cli import dispatch

    before = set(Path("outputs").glob("2*")) if Path("outputs").exists() else set()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = dispatch(["train", *words])
    assert code == 0, said.getvalue()
    (made,) = set(Path("outputs").glob("2*")) - before
    made.rename(Path("outputs") / name)


def cut_off(run: Path) -> None:
    """As if the process had been killed after the last epoch of training."""
    for name in ("stages.jsonl", "predictions.csv", "summary.json", "digest.json"):
        (run / name).unlink()
    for name in ("report.md", "metrics.csv"):
        (run / name).unlink()
