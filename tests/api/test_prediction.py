"""`Run.predict`, `Run.model` and `Run.preprocess`: new images to a trained model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from running_expkit import Expkit
from synthetic_runs import interrupted_run

import expkit


@pytest.fixture
def run(tiny_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> expkit.Run:
    """A trained run in the working directory: six pieces of 16 x 16."""
    monkeypatch.chdir(tmp_path)
    return expkit.load_run(tiny_run)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of other sizes than the model's, and one that is none."""
    path = tmp_path / "images"
    path.mkdir()
    random = np.random.default_rng(0)
    for name, shape in (("a", (16, 16, 3)), ("b", (31, 40, 3)), ("c", (20, 12))):
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(path / f"{name}.png")
    (path / "d.png").write_bytes(b"\x89PNG no more")
    return path


def test_it_predicts_what_the_command_does(run: expkit.Run, folder: Path, run_here: Expkit) -> None:
    """Every cell of the CSV, a reason for the broken one; numbers are numbers."""
    run_here("predict", str(run.path), str(folder), "--csv", "out.csv")
    header, *rows = csv.reader(Path("out.csv").read_text().splitlines())
    frame = run.predict(folder)
    names = [f"probability[{each}]" if each in run.class_names else each for each in header]
    assert list(frame.columns) == names
    for row, (_, ours) in zip(rows, frame.iterrows(), strict=True):
        for cell, value in zip(row, ours, strict=True):
            same = value == cell if isinstance(value, str) else f"{value:.6g}" == (cell or "nan")
            assert same, (cell, value)
    assert frame.error.tolist()[:3] == ["", "", ""]
    assert "cannot identify" in frame.error[3]
    assert frame.confidence.dtype == np.float64


def test_images_in_memory_are_as_those_in_files(run: expkit.Run, folder: Path) -> None:
    """Arrays, open images, paths and text, one alone or several; what is in no file is numbered."""
    paths = [folder / f"{name}.png" for name in "abc"]
    expected = run.predict(paths)
    arrays: list[Any] = [np.asarray(Image.open(path)) for path in paths]
    mixed: list[Any] = [arrays[0], Image.open(paths[1]), str(paths[2])]
    for given in (arrays, mixed, [Image.open(path) for path in paths]):
        found = run.predict(given)
        pd.testing.assert_frame_equal(found.iloc[:, 1:], expected.iloc[:, 1:])
    assert run.predict(mixed).file.tolist() == ["image 0", "image 1", str(paths[2])]
    one = run.predict(arrays[1])
    pd.testing.assert_frame_equal(one.iloc[:, 1:], expected.iloc[1:2, 1:].reset_index(drop=True))
    assert len(run.predict(np.stack([arrays[0], arrays[0]]))) == 2


@pytest.mark.parametrize(
    ("images", "what"),
    [
        ([], "there are no images"),
        ([np.zeros((8, 8))], "image 0 has the type float64"),
        (np.zeros((3, 32, 32), np.uint8), "image 0 has the shape 3 x 32 x 32"),
        (np.zeros((0, 8, 3), np.uint8), "image 0 has the shape 0 x 8 x 3"),
        ([None], "image 0 is no image"),
        (7, "it is no image"),
        (["nowhere.png"], "there is no file or folder 'nowhere.png'"),
    ],
)
def test_what_is_no_image_is_refused(run: expkit.Run, images: Any, what: str) -> None:
    with pytest.raises(expkit.UserError, match=what):
        run.predict(images)


def test_the_model_is_the_runs(run: expkit.Run, folder: Path) -> None:
    """In eval mode; on what `preprocess` makes, its softmax is what `predict` says."""
    model = run.model()
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    paths = [folder / f"{name}.png" for name in "abc"]
    batch = run.preprocess(paths)
    assert batch.shape == (3, 3, 16, 16)
    with torch.no_grad():
        ours = model(batch).softmax(1).numpy()
    expected = run.predict(paths).filter(like="probability[").to_numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert run.model() is model, "it is built once"


def test_a_broken_image_is_refused_where_all_are_wanted(run: expkit.Run, folder: Path) -> None:
    with pytest.raises(expkit.UserError, match=r"d\.png' cannot be read"):
        run.preprocess(folder)


def test_threads_stay_as_they_were(run: expkit.Run, folder: Path) -> None:
    """The run's config says one thread, and this process has two."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run.predict(folder)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_without_weights_it_says_so(tmp_path: Path) -> None:
    run = expkit.load_run(interrupted_run(tmp_path).path)
    for ask in (run.model, lambda: run.predict(np.zeros((8, 8), np.uint8))):
        with pytest.raises(expkit.UserError, match="has no trained weights"):
            ask()


@pytest.mark.slow
def test_an_exported_folder_predicts_and_has_no_module(
    ask_exported: Expkit,
) -> None:
    """Its own file is asked, also for images in memory."""
    run = expkit.load_run("exported")
    path = sorted(Path("images").rglob("*.*"))[0]
    frame = run.predict(path)
    again = run.predict(Image.open(path))
    pd.testing.assert_frame_equal(frame.iloc[:, 1:], again.iloc[:, 1:])
    for ask in (run.model, lambda: run.preprocess(path)):
        with pytest.raises(expkit.UserError, match="it has no torch module") as caught:
            ask()
        assert "expkit.load_run(" in str(caught.value.details["do"])
