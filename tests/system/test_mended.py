"""Faults that were there once, each shown by what a user would have met."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from expkit.data.datasets.puzzle import Puzzle
from expkit.data.store.progress import silent
from expkit.data.store.split import place_splits
from expkit.errors import UserError
from expkit.models.conv import ConvNet
from expkit.records.files import read_lines
from expkit.records.run.environment import describe_git
from expkit.records.run.reader import find_run, list_runs
from expkit.records.run.writer import RunFolder
from expkit.training.checkpoint import load_learner, save_weights


@pytest.mark.parametrize(
    ("suffix", "dtype", "top"), [("png", np.uint16, 65535), ("tif", np.uint16, 65535)]
)
def test_16_bit_grey_keeps_its_levels(tmp_path: Path, suffix: str, dtype: type, top: int) -> None:
    """A scan in 16 bits is scaled to 8, not clipped to white."""
    pixels = np.tile(np.array([0, 64 * 257, 128 * 257, top], dtype), (4, 1))
    Image.fromarray(pixels).save(tmp_path / f"scan.{suffix}")
    puzzle = Puzzle(str(tmp_path / f"scan.{suffix}"), rows=2, columns=2, piece_size=2)
    assert puzzle.read(silent).cuttings["train"].image[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (1, 2), (2, 2)])
def test_any_grid_of_a_file_reaches_the_device(tmp_path: Path, rows: int, columns: int) -> None:
    """torch warns of read-only arrays, and a picture from Pillow is one."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "p.png")
    puzzle = Puzzle(str(tmp_path / "p.png"), rows=rows, columns=columns, piece_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        place_splits(puzzle.read(silent), torch.device("cpu"))


def test_overlong_path_is_refused(tmp_path: Path) -> None:
    """A name that no file can have is no file."""
    with pytest.raises(UserError):
        Puzzle("x" * 300, rows=1, columns=2).read(silent)


def test_overlong_run_name_is_refused(tmp_path: Path) -> None:
    """A name that no folder can have is no run."""
    with pytest.raises(UserError):
        find_run("x" * 300, tmp_path)


def test_half_made_folder_in_a_sweep_is_no_run(tmp_path: Path) -> None:
    """What a kill -9 left of a folder being made is not listed, in a sweep either."""
    files = {"config.yaml": "{}", "environment.json": "{}"}
    RunFolder.create(tmp_path / "20260101_000000_sweep", ".new_x", files).close()
    assert list_runs(tmp_path) == []


def test_repository_without_a_commit(tmp_path: Path) -> None:
    """`git init` alone has no commit, and its hash is not '(initial)'."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert describe_git(tmp_path) == {"commit": None, "dirty": False}


def test_group_norm_of_narrow_widths_learns_from_one_sample() -> None:
    """Where the picture has shrunk to one pixel, a group of one channel has nothing to norm by."""
    net = ConvNet((4, 4, 8), norm="group", image_shape=(1, 8, 8), num_outputs=10)
    assert net.train()(torch.rand(1, 1, 8, 8)).isfinite().all()


def test_weights_where_a_learner_is_needed(tmp_path: Path) -> None:
    """`best` in the place of `last` is told as such."""
    from test_checkpoint import new_learner

    save_weights(tmp_path / "last", new_learner(0).model, {"epoch": 1})
    with pytest.raises(UserError):
        load_learner(tmp_path / "last", new_learner(0))


def test_line_after_a_torn_one_is_not_lost(tmp_path: Path) -> None:
    """A resumed run appends to stages.jsonl: its line must not be glued to a torn one."""
    made = RunFolder.create(tmp_path, "run", {})
    (made.path / "stages.jsonl").write_text('{"stage": "overfit_1"}\n{"stage": "tra')
    made.close()
    again = RunFolder.reopen(made.path)
    from expkit.records.run.metadata import StageResult

    again.append_stage(StageResult("train", True, "", "Training"))
    assert [r["stage"] for r in read_lines(made.path / "stages.jsonl")] == ["overfit_1", "train"]
    again.close()


def test_batches_of_one_stay_batches_of_one() -> None:
    """Who asks for batch size 1 gets it to the end."""
    from expkit.data.store.split import batch_bounds

    assert batch_bounds(3, 1) == [(0, 1), (1, 2), (2, 3)]


def test_infinite_bound_is_refused() -> None:
    """A criterion that nothing finite can meet is a slip of the pen."""
    from expkit.metrics.criteria import parse_criterion

    with pytest.raises(UserError):
        parse_criterion("accuracy", "> 1e999")


def test_corrupt_avif_is_refused(tmp_path: Path) -> None:
    """Pillow's AVIF reader raises RuntimeError where the others raise OSError."""
    path = tmp_path / "p.avif"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    broken = 0
    for place in range(60, 300):
        (tmp_path / "q.avif").write_bytes(
            bytes(content[:place]) + b"\xff\xff" + bytes(content[place + 2 :])
        )
        try:
            Puzzle(str(tmp_path / "q.avif"), rows=1, columns=2, piece_size=2).read(silent)
        except UserError:
            broken += 1
    assert broken


def test_pieces_of_a_spread_know_their_own_counts() -> None:
    """A split's class counts are those of its samples."""
    from expkit.data.store.normalizer import fit_normalizer
    from expkit.data.store.split import Split

    images = torch.zeros(4, 1, 1, 1, dtype=torch.uint8)
    split = Split(
        "t",
        images,
        torch.tensor([0, 0, 1, 1]),
        list("abcd"),
        ["x", "y"],
        fit_normalizer(images, "none"),
    )
    assert tuple(split.spread_out(2).class_counts or ()) == (1, 1)
