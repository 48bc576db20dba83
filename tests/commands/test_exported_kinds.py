"""Exported models of other kinds where a run is: new classes, noise, numbers, a batch, a graph."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from exported_folders import draw_images, export_quietly
from made_once import made_once
from running_expkit import Expkit, train_quietly

from expkit.records.run.find_run import find_run
from expkit.records.run.reader import Run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]
QUICK = ("criteria=none", "device=cpu", "device.precision=fp32", "device.threads=1")
IMAGES = ("dataset=image_folder", "dataset.root=images", "dataset.size=16")
GATES = ("~procedure.preflight", "~procedure.overfit_1", "~procedure.overfit_10")
KINDS = {
    "three_way": (
        *(*IMAGES, "procedure=two_stage", *GATES, "model.widths=[4,8]"),
        *("procedure.binary.max_epochs=1", "procedure.three_way.max_epochs=1"),
    ),
    "uncertain": (
        *(*IMAGES, "procedure=full", "procedure.train.max_epochs=1", "model=logo_vit"),
        *("model.width=16", "model.depth=1", "model.heads=2", "model.stem=[8]"),
        *("model.stem_strides=[4]", "model.uncertainty=true"),
    ),
    "numbers": (
        *("dataset.rows=2", "dataset.columns=3", "dataset.piece_size=16", "loss=mse"),
        *("dataset.target=position", "procedure=full", "procedure.train.max_epochs=1"),
    ),
}


def make_kinds(_: Path) -> None:
    """Train each kind in the working directory, and export each there."""
    draw_images(Path("images"))
    for name, words in KINDS.items():
        train_quietly(*words, *QUICK, f"name={name}")
        (run,) = Path("outputs").glob("2*")
        run.rename(f"outputs/{name}")
        export_quietly(f"outputs/{name}", "--to", f"exported/{name}")
    words = ("outputs/three_way", "--to")
    export_quietly(*words, "exported/graph", "--format", "torch_export")
    export_quietly(*words, "exported/batch", "--format", "openvino", "--batch", "4")


@pytest.fixture
def ask(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    run_here: Expkit,
    monkeypatch: pytest.MonkeyPatch,
) -> Expkit:
    """Runs `expkit WORDS` beside `images`, and `outputs/` and `exported/` of each kind."""
    shutil.copytree(made_once(tmp_path_factory, "exported_kinds", make_kinds), tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return run_here


def table(ask: Expkit, *words: str) -> list[dict[str, str]]:
    done = ask("predict", *words)
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.out)))


def evaluated(ask: Expkit, name: str, *words: str) -> Run:
    done = ask("evaluate", f"exported/{name}", "output_dir=measured", *words)
    assert done.code == 0, done.err
    (path,) = Path("measured").glob("2*")
    return Run(path)


def test_classes_that_a_stage_has_given_are_kept(ask: Expkit) -> None:
    assert find_run("exported/three_way").dataset.class_names == ("cat", "dog", "maybe")
    rows = table(ask, "exported/three_way", "images/test")
    assert {"top3", "top3_confidence"} <= rows[0].keys()
    run = evaluated(ask, "three_way")
    assert run.dataset.class_names == ("cat", "dog", "maybe")
    ours, theirs = run.predictions["test"], find_run("outputs/three_way").predictions["test"]
    assert np.allclose(ours.probabilities, theirs.probabilities, atol=1e-5)
    assert ask("compare", "outputs/three_way", "exported/three_way").code == 0


def test_the_uncertainty_of_the_file_is_given_and_recorded(ask: Expkit) -> None:
    known, given = (
        table(ask, word, "images/test/cat") for word in ("outputs/uncertain", "exported/uncertain")
    )
    assert given[0].keys() == known[0].keys()
    for ours, theirs in zip(given, known, strict=True):
        assert float(ours["uncertainty"]) == pytest.approx(float(theirs["uncertainty"]), abs=5e-3)
    mine = evaluated(ask, "uncertain").predictions["test"]
    own = find_run("outputs/uncertain").predictions["test"]
    assert mine.uncertainties is not None
    assert np.allclose(mine.uncertainties, own.uncertainties, atol=1e-4)


def test_numbers_are_predicted_and_measured(ask: Expkit) -> None:
    file = "images/test/cat/0.png"
    (known,), (given,) = (table(ask, f"{at}/numbers", file) for at in ("outputs", "exported"))
    assert given.keys() == known.keys() == {"file", "x", "y", "error"}
    assert float(given["x"]) == pytest.approx(float(known["x"]), abs=1e-2)
    ours = evaluated(ask, "numbers").predictions["train"].predictions
    theirs = find_run("outputs/numbers").predictions["train"].predictions
    assert np.allclose(ours, theirs, atol=1e-4)


def test_a_fixed_batch_is_filled_up(ask: Expkit) -> None:
    """24 images of 12 sizes: no group has four, and every one is predicted as without a batch."""
    free = table(ask, "exported/three_way", "images/test")
    for size in ("1", "3", "64"):
        fixed = table(ask, "exported/batch", "images/test", "--batch", size)
        assert [row["prediction"] for row in fixed] == [row["prediction"] for row in free]
        for ours, theirs in zip(fixed, free, strict=True):
            assert float(ours["confidence"]) == pytest.approx(float(theirs["confidence"]), abs=1e-4)
    shown = ask("show", "exported/batch").out
    assert "4 images at once" in " ".join(shown.split())


def test_a_saved_graph_is_run_with_the_users_word(ask: Expkit) -> None:
    assert ask("predict", "exported/graph", "images/test").code == 2
    trusted = ("--trust", "torch_export")
    free = table(ask, "exported/three_way", "images/test")
    graph = table(ask, "exported/graph", "images/test", *trusted)
    assert [row["prediction"] for row in graph] == [row["prediction"] for row in free]
    evaluated(ask, "graph", *trusted)
    assert ask("latency", "exported/graph", "--seconds", "0.1", *trusted).code == 0


def test_the_config_of_its_run_stands_in_the_metadata(ask: Expkit) -> None:
    record = json.loads(Path("exported/three_way/metadata.json").read_text())
    assert list(record["config"]["procedure"]) == ["binary", "collect", "three_way", "evaluate"]
    assert "about" not in record
