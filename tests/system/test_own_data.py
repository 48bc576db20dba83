"""Whole commands on a user's own data: a run of it, and one screen for what cannot be one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_expkit import Expkit, only_run

FEW = (
    "model=simple_conv",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
    "procedure.train.max_epochs=2",
)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Dark and bright images without green, as the cherries have none; caches lie beside."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name, low in (("bright", 150), ("dark", 0)):
            for number in range(count):
                pixels = rng.integers(low, low + 100, (16, 16, 3), np.uint8)
                pixels[..., 1] = 0
                path = tmp_path / "pictures" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return tmp_path / "pictures"


@pytest.mark.broad(1)
@pytest.mark.parametrize("memory_fraction", [0.0, 0.25])
def test_a_folder_is_trained_on(
    run_here: Expkit, tmp_path: Path, pictures: Path, memory_fraction: float
) -> None:
    """Mapped and resident alike; a constant channel gives no NaN."""
    words = ("dataset=image_folder", f"dataset.root={pictures}")
    done = run_here("train", *words, f"dataset.memory_fraction={memory_fraction}", *FEW)
    assert done.code == 0, done.err
    run = only_run(tmp_path)
    metadata = json.loads((run / "dataset.json").read_text())
    assert metadata["class_names"] == ["bright", "dark"]
    assert {name: split["num_samples"] for name, split in metadata["splits"].items()} == {
        "train": 24,
        "val": 8,
    }
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert all(np.isfinite(record["train/loss"]) for record in history)


@pytest.mark.draws
@pytest.mark.slow
def test_mapped_and_resident_runs_are_the_same(
    run_here: Expkit, tmp_path: Path, pictures: Path
) -> None:
    """Where the images lie decides nothing: the same losses, the same fingerprints."""
    seen = []
    for memory_fraction in (0.0, 0.25):
        output = tmp_path / f"outputs_{memory_fraction}"
        done = run_here(
            "train",
            "dataset=image_folder",
            f"dataset.root={pictures}",
            f"dataset.memory_fraction={memory_fraction}",
            f"output_dir={output}",
            *FEW,
        )
        assert done.code == 0, done.err
        (run,) = output.glob("2*")
        history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        metadata = json.loads((run / "dataset.json").read_text())
        seen.append(([record["train/loss"] for record in history], metadata["splits"]))
    assert seen[0] == seen[1]


@pytest.mark.broad(4)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dataset=image_folder",), ("dataset.root must be given", "dataset.root=VALUE")),
        (("dataset=arrays",), ("dataset.images must be given",)),
        (("dataset=image_folder", "dataset.root=none"), ("is not there", "CLASS/IMAGE")),
        (
            ("dataset=image_folder", "dataset.root=pictures/train/dark"),
            ("images of 0 classes", "found no folders, and 12 files"),
        ),
        (
            ("dataset=image_folder", "dataset.root=pictures", "dataset.size=[1,2,3]"),
            ("dataset.size cannot be", "a whole number >= 1"),
        ),
        (
            ("dataset=image_folder", "dataset.root=pictures", "dataset.fold=7"),
            ("no fold 7 of 5", "0 to 4"),
        ),
        (
            ("dataset=image_folder", "dataset.root=pictures", "dataset.limitt=3"),
            ("dataset.limit",),
        ),
        (("dataset=torchvision", "dataset.name=MNISST"), ("no dataset 'MNISST'", "MNIST")),
    ],
)
def test_wrong_requests_are_refused_on_one_screen(
    run_here: Expkit, pictures: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """Exit code 2, what is wrong, and what would be right."""
    done = run_here("train", *words)
    assert done.code == 2
    assert len(done.err.splitlines()) < 24
    for each in said:
        assert each in " ".join(done.err.split())


@pytest.mark.slow
def test_broken_pictures_are_listed_on_one_screen(run_here: Expkit, pictures: Path) -> None:
    """All of them, or the first and how many more; skipping them is offered, and works."""
    for number in range(20):
        (pictures / "train/dark" / f"broken_{number:02}.png").write_bytes(b"\x89PNG")
    words = ("dataset=image_folder", f"dataset.root={pictures}")
    done = run_here("train", *words)
    assert done.code == 2
    assert "20 of 52 images cannot be read" in done.err
    assert "and 10 more" in done.err
    assert len(done.err.splitlines()) < 24
    assert run_here("train", *words, "dataset.on_error=skip", *FEW).code == 0
