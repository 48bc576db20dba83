"""The images of a classification: which there are, and that they show what was recorded."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_runs import classes_run, position_run, puzzle_run

from expkit.errors import UserError
from expkit.metrics.classification import ClassFigures
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.reports.plots.augmentation import draw_mosaic, enlarge
from expkit.reports.plots.class_bars import choose_classes
from expkit.reports.plots.confident_errors import draw_confident_errors
from expkit.reports.plots.gallery import draw_plots


def keep_samples(run: Run, *, side: int = 8, channels: int = 3, count: int = 8) -> None:
    """What the training and evaluation stages write for the pages."""
    folder = RunFolder.reopen(run.path)
    stored = np.full((count, side, side, channels), 40, np.uint8)
    numbers = np.arange(count) % 2
    names = np.array([f"pictures/{i}.jpg" for i in range(count)])
    folder.write_samples(
        "augmented",
        {"stored": stored, "seen": stored + 160, "targets": numbers, "names": names},
    )
    folder.write_samples(
        f"wrong_{run.dataset.judged_split}",
        {
            "images": stored,
            "names": names,
            "targets": numbers,
            "predictions": 1 - numbers,
            "confidences": np.linspace(0.99, 0.6, count, dtype=np.float32),
        },
    )
    folder.close()


def stems(run: Run, tmp_path: Path) -> set[str]:
    return {path.stem for path in draw_plots(run, tmp_path / "plots")}


def test_two_classes_have_every_picture(tmp_path: Path, unrendered: None) -> None:
    """Bars, a curve, a reliability diagram, the mistakes and the augmented samples."""
    run = classes_run(tmp_path, ["clean", "pit"], per_class=40)
    keep_samples(run)
    wanted = {"classes", "precision_recall", "reliability", "wrong", "augmented"}
    assert wanted <= stems(run, tmp_path)


@pytest.mark.parametrize(
    ("contrast", "changed", "size"),
    [
        # an image of 96 pixels, a caption of 18 and gaps of 12: eight in a row
        (2, False, (8 * 108 + 12, 26 + 126)),
        (2, True, (4 * 206 + 12, 26 + 2 * 126)),  # two side by side, 2 apart: four in a row
        (None, False, (4 * 206 + 12, 26 + 2 * 126)),  # normalized otherwise than by a channel
    ],
)
def test_the_same_picture_is_not_shown_twice(
    contrast: int | None, changed: bool, size: tuple[int, int], tmp_path: Path
) -> None:
    """Without an augmentation a pair would hold one image, but for its contrast."""
    run = classes_run(tmp_path, ["clean", "pit"])
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 100, (8, 8, 8, 3), np.uint8)
    seen = stored * contrast + 10 if contrast else rng.permuted(stored, axis=1)
    folder = RunFolder.reopen(run.path)
    marks, targets = np.full(8, changed), np.arange(8) % 2
    folder.write_samples(
        "augmented", {"stored": stored, "seen": seen, "changed": marks, "targets": targets}
    )
    folder.close()
    (path,) = draw_mosaic(Run(run.path), tmp_path / "plots")
    with Image.open(path) as picture:
        assert picture.size == size


def test_curves_end_at_ten_classes(tmp_path: Path, unrendered: None) -> None:
    """Eleven lines could not be told apart."""
    few = classes_run(tmp_path / "a", [str(i) for i in range(10)])
    many = classes_run(tmp_path / "b", [str(i) for i in range(11)])
    assert "precision_recall" in stems(few, tmp_path)
    assert "precision_recall" not in stems(many, tmp_path)


def test_one_sample_a_class_has_no_bars(tmp_path: Path, unrendered: None) -> None:
    """A piece of the puzzle is right or wrong; its recall is no share."""
    assert "classes" not in stems(puzzle_run(tmp_path, 2, 3), tmp_path)


def test_a_regression_has_none_of_them(tmp_path: Path, unrendered: None) -> None:
    """Also where it kept samples, only those that need no class are drawn."""
    run = position_run(tmp_path, 4, 5)
    keep_samples(run)
    found = stems(run, tmp_path)
    assert "augmented" in found
    assert not {"classes", "precision_recall", "reliability", "wrong"} & found


def test_worst_classes_come_first_where_there_are_too_many() -> None:
    """Of 25 the 20 with the lowest F1; one that cannot be known is not among the worst."""
    figures = [
        ClassFigures(str(i), 5, 0.5, 0.5, float("nan") if i == 0 else (25 - i) / 25, None, None)
        for i in range(25)
    ]
    assert [f.name for f in choose_classes(figures)] == [str(i) for i in range(24, 4, -1)]
    assert [f.name for f in choose_classes(figures[:20])] == [str(i) for i in range(20)]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_is_drawn(tmp_path: Path, channels: int) -> None:
    """Grey, colour, and what is neither."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=2)
    keep_samples(run, channels=channels, count=1)
    assert draw_confident_errors(run, tmp_path)
    assert draw_mosaic(run, tmp_path)


def test_mosaic_shows_stored_beside_seen(tmp_path: Path) -> None:
    """The left of a pair is as dark as it was stored, the right as bright as it was seen."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=2)
    keep_samples(run)
    (path,) = draw_mosaic(run, tmp_path)
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    assert pixels[60, 20, 0] == 40
    assert pixels[60, 20 + 98, 0] == 200


def test_small_pictures_grow_by_whole_pixels() -> None:
    """Each stored pixel is a square of its own colour; large ones shrink."""
    small = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    grown = np.asarray(enlarge(small))
    assert grown.shape == (96, 96, 3)
    assert np.array_equal(grown[::12, ::12, 0], small[..., 0])
    assert max(enlarge(np.zeros((100, 400, 3), np.uint8)).size) == 160


def test_mosaic_is_quick_and_needs_no_matplotlib(tmp_path: Path) -> None:
    """It is drawn before training starts: 8 pairs of 128 pixels in 0.1 s."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=2)
    keep_samples(run, side=128)
    draw_mosaic(run, tmp_path)
    started = time.process_time()
    draw_mosaic(run, tmp_path)
    assert time.process_time() - started < 0.1
    module = "expkit.reports.plots.augmentation"
    code = f"import sys; import {module}; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_samples_that_were_not_kept_draw_nothing(tmp_path: Path) -> None:
    """Runs from before have neither image, and no error comes of it."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=2)
    assert run.samples("augmented") is None
    assert draw_mosaic(run, tmp_path) == []
    assert draw_confident_errors(run, tmp_path) == []


def test_samples_cannot_hold_code(tmp_path: Path) -> None:
    """Objects in a stranger's file would run code when read: they are refused."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=2)
    (run.path / "samples").mkdir()
    np.savez(run.path / "samples" / "augmented.npz", stored=np.array([object()], dtype=object))
    with pytest.raises(UserError, match="holds objects"):
        run.samples("augmented")
