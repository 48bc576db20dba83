"""A whole export of a run on image files, and what its folder holds for those without expkit."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from made_once import made_once
from PIL import Image
from running_expkit import Expkit, only_run, train_quietly

import expkit
from expkit.cli import dispatch
from expkit.records.exported import CARD, METADATA, MODEL_FILE, SCRIPT, VERIFICATION

pytestmark = pytest.mark.slow
NUM_HELD_OUT = 8
SOURCES = Path(expkit.__file__).parent
TRAINING = (
    "dataset=image_folder",
    "dataset.size=16",
    "model=simple_conv",
    "procedure=full",
    "procedure.train.max_epochs=2",
    "device.name=cpu",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
)


def paint_images(root: Path) -> None:
    """Stripes that lie or stand, as JPEGs of many sizes, some of them turned by EXIF alone."""
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", NUM_HELD_OUT // 2)):
        for name in ("lying", "standing"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                height, width = random.integers(20, 60, 2)
                levels = random.integers(0, 60, (height, width, 3))
                levels[::4] += 180
                turned = name == "standing"
                exif = Image.Exif()
                if turned and i % 2:
                    exif[0x0112] = 6
                elif turned:
                    levels = levels.transpose(1, 0, 2)
                image = Image.fromarray(levels.astype(np.uint8))
                image.save(folder / f"{i}.jpg", exif=exif, quality=95)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, outputs/ and exported/."""

    def make(place: Path) -> None:
        paint_images(place / "my images")
        cache = f"dataset.cache_dir={place / 'cache'}"
        train_quietly(*TRAINING, f"dataset.root={place / 'my images'}", cache)
        words = ["export", str(only_run(place)), "--to", "exported"]
        assert dispatch(words) == 0

    return made_once(tmp_path_factory, "exported_stripes", make)


def test_the_held_out_files_are_predicted_alike_both_ways(made: Path) -> None:
    proof = json.loads((made / "exported" / VERIFICATION).read_text())
    assert proof["passed"]
    files = proof["from_files"]
    assert (files["num_files"], files["num_equal"]) == (NUM_HELD_OUT, NUM_HELD_OUT)
    assert files["agreement"] == 1
    assert files["largest_difference"] < 1e-4


def test_time_and_size_stand_beside_torch_s(made: Path) -> None:
    speed = json.loads((made / "exported" / VERIFICATION).read_text())["speed"]
    assert speed["shape"] == [16, 16, 3]
    assert speed["exported_bytes"] == (made / "exported" / "model.onnx").stat().st_size
    assert speed["torch_bytes"] >= 4 * 23_584  # of the convolutions alone
    for kind in ("exported", "torch"):
        times = speed[kind]
        assert 0 < times["median_ms"] <= times["p95_ms"] <= times["p99_ms"]
        assert times["num_runs"] >= 10


def test_the_script_writes_what_expkit_predict_writes(made: Path, run_here: Expkit) -> None:
    """The same columns, and the same numbers to four digits."""
    images = str(made / "my images" / "val")
    done = subprocess.run(
        [sys.executable, "-B", str(made / "exported" / SCRIPT), images],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert run_here("predict", str(only_run(made)), images, "--csv", "out.csv").code == 0
    theirs = list(csv.reader(io.StringIO(Path("out.csv").read_text())))
    ours = list(csv.reader(io.StringIO(done.stdout)))
    assert ours[0] == theirs[0]
    assert len(ours) == NUM_HELD_OUT + 1
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine[:2] == other[:2]
        assert [float(mine[i]) for i in (2, 5, 6, 7)] == pytest.approx(
            [float(other[i]) for i in (2, 5, 6, 7)], abs=1e-4
        )


def test_the_card_lies_beside_the_model(made: Path) -> None:
    card = (made / "exported" / CARD).read_text()
    assert card.startswith(f"# {only_run(made).name}\n")
    assert f"{NUM_HELD_OUT} of {NUM_HELD_OUT} predictions of this folder" in card
    assert str(made) not in card
    digest = json.loads((made / "exported" / METADATA).read_text())["files"]["model.onnx"]
    assert digest in card


@pytest.mark.parametrize("file_format", list(MODEL_FILE))
def test_no_place_of_the_machine_stands_in_any_file(
    made: Path, file_format: str, run_here: Expkit
) -> None:
    """Neither in texts nor in the model's own metadata: the run had its images at a whole path."""
    run = str(only_run(made))
    assert str(made) in (only_run(made) / "config.yaml").read_text()
    to = Path("exported").absolute()
    assert run_here("export", run, "--to", str(to), "--format", file_format).code == 0
    files = [each for each in to.rglob("*") if each.is_file()]
    contents = {each.name: each.read_bytes() for each in files}
    with zipfile.ZipFile(to / "model.pt2") if "model.pt2" in contents else nullcontext() as inside:
        contents |= {name: inside.read(name) for name in inside.namelist()} if inside else {}
    secrets = (str(made), str(to), str(Path.home()), str(SOURCES))
    for name, content in contents.items():
        assert not [each for each in secrets if f"{each}/".encode() in content], name
    assert "host" not in json.loads(contents["environment.json"])
    assert json.loads(contents["metadata.json"])["config"]["dataset"]["root"] == "PATH/my images"
    embedded = contents.get(f"model/extra/{METADATA}") or contents[MODEL_FILE[file_format]]
    assert b"fingerprints" in embedded  # what is known of the model is in its file
    refused = run_here("evaluate", str(to))
    assert refused.code == 2
    assert "dataset.root=" in refused.err  # and that is enough:
    words = ("--trust", "torch_export") if file_format == "torch_export" else ()
    there = f"dataset.root={made / 'my images'}"
    assert run_here("evaluate", str(to), there, *words).code == 0


def test_beside_its_run_a_place_that_was_cut_is_no_other_setting(
    made: Path, run_here: Expkit
) -> None:
    assert run_here("compare", str(only_run(made)), str(made / "exported"), "--to", "c").code == 0
    header = Path("c/compare.csv").read_text().splitlines()[0]
    assert header.startswith("label,runs,seeds,export.format,export.precision,export.batch,acc")
