"""Configs from a folder of images: what is seen, what is chosen, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from running_expkit import Expkit

from expkit.projects.look import Sizes
from expkit.projects.proposal import _upper_end


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, a machine without a GPU, and an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    monkeypatch.setattr("expkit.projects.look.find_gpus", list)
    monkeypatch.setattr("expkit.projects.look.has_apple_gpu", lambda: False)


def draw(
    root: Path,
    counts: Mapping[str, int],
    *,
    size: tuple[int, int] = (20, 20),
    grey: bool = False,
    seed: int = 0,
) -> None:
    """Images of noise, of another colour a class."""
    rng = np.random.default_rng(seed)
    for place, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 120, (*size, 3)).astype(np.uint8)
            pixels[..., place % 3] += 100
            pixels = pixels.mean(2, keepdims=True).repeat(3, 2).astype(np.uint8) if grey else pixels
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def written(name: str) -> tuple[dict[str, object], dict[str, object]]:
    """The dataset and the experiment as YAML has them."""
    return tuple(  # type: ignore[return-value]
        yaml.safe_load(Path(f"conf/{group}/{name}.yaml").read_text())
        for group in ("dataset", "experiment")
    )


def test_classes_without_splits(run_here: Expkit) -> None:
    """Of 40 + 20 images, 28 + 14 are for training; 9 of test are judged, 6 of the largest class."""
    draw(Path("images/Fruit 2"), {"apple": 40, "pear": 20})
    done = run_here("init", "--from", "images/Fruit 2")
    assert done.code == 0, done.err
    dataset, experiment = written("fruit_2")
    assert dataset == {
        "defaults": ["image_folder", "_self_"],
        "root": "images/Fruit 2",
        "size": [20, 20],
        "resize": "crop",
        "channels": 3,
    }
    # Wilson's interval of 6 of 9 ends at 0.8794
    assert experiment["criteria"] == {"accuracy": "> 0.88"}
    assert "loss" not in experiment
    text = Path("conf/experiment/fruit_2.yaml").read_text()
    assert "the largest class, apple, is 0.667 of the 9 test images" in text
    assert "next      expkit train experiment=fruit_2" in done.out


def test_imbalance_is_weighted_and_judged_by_class(run_here: Expkit) -> None:
    """30 to 6: weights, and balanced accuracy above the one half that one class alone gets."""
    for split in ("train", "val", "test"):
        draw(Path("images", split), {"apple": 30, "pear": 6}, seed=len(split))
    done = run_here("init", "skewed", "--from", "images")
    assert done.code == 0, done.err
    _, experiment = written("skewed")
    assert experiment["loss"] == {"class_weights": "balanced"}
    # 18 of 36: the interval ends at 0.6553
    assert experiment["criteria"] == {"balanced_accuracy": "> 0.66"}
    assert "5.0 x" in done.out


def test_it_says_what_is_odd(run_here: Expkit) -> None:
    """An unreadable file, an image of train in test, and a channel that is the same everywhere."""
    for split in ("train", "test"):
        draw(Path("images", split), {"apple": 12, "pear": 12}, seed=len(split))
    for path in Path("images").rglob("*.png"):
        pixels = np.array(Image.open(path))
        pixels[..., 1] = 0
        Image.fromarray(pixels).save(path)
    Path("images/train/apple/3.png").write_bytes(b"no image")
    Path("images/test/pear/5.png").write_bytes(Path("images/train/pear/7.png").read_bytes())
    done = run_here("init", "--from", "images")
    assert done.code == 0, done.err
    assert "1 unreadable images left out: train/apple/3.png" in done.out
    assert "test pear/5.png = train pear/7.png" in done.out
    assert "the green channel is 0 in all of train" in done.out
    assert written("images")[0]["on_error"] == "skip"


def test_grey_images_in_colour_files_have_one_channel(run_here: Expkit) -> None:
    """A third of the memory and of the first layer, for the same image."""
    draw(Path("xrays"), {"sound": 12, "ill": 12}, grey=True)
    assert run_here("init", "--from", "xrays").code == 0
    assert written("xrays")[0]["channels"] == 1


def test_a_table_beside_the_images(run_here: Expkit) -> None:
    """A folder without classes, whose table says them, or the table itself."""
    draw(Path("birds"), {"files": 24})
    rows = [f"files/{number}.png,{'ab'[number % 2]}" for number in range(24)]
    Path("birds/labels.csv").write_text("\n".join(["path,label", *rows]))
    assert run_here("init", "from_folder", "--from", "birds").code == 0
    assert run_here("init", "from_table", "--from", "birds/labels.csv").code == 0
    assert written("from_folder")[0] == written("from_table")[0]
    assert written("from_table")[0]["table"] == "birds/labels.csv"


@pytest.mark.slow
def test_the_next_command_works(run_here: Expkit) -> None:
    """The experiment trains as it was written, and its criterion is judged."""
    draw(Path("images/fruit"), {"apple": 60, "pear": 40})
    done = run_here("init", "--from", "images/fruit")
    (line,) = (line for line in done.out.splitlines() if line.startswith("next"))
    words = line.split()[2:]
    done = run_here(*words, "device.threads=1", "procedure.train.max_epochs=3")
    assert done.code in (0, 1), done.out + done.err
    assert "test/accuracy > " in done.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere", "is not there"),
        ("empty", "0 classes"),
        ("one", "1 class"),
        ("file.txt", "is a file, and no table"),
        ("broken", "4 of 4 images cannot be read"),
        ("tables", "2 tables"),
        ("table.csv", "files are not there"),
        ("different", "the splits differ in their classes"),
    ],
)
def test_what_is_no_dataset_is_refused(
    tmp_path: Path, run_here: Expkit, given: str, said: str
) -> None:
    """On one screen that names --from, and without a file of expkit's left behind."""
    Path("empty").mkdir()
    draw(Path("one"), {"apple": 4})
    Path("file.txt").write_text("x")
    for name in ("a", "b"):
        Path("broken", name).mkdir(parents=True)
        for number in range(2):
            Path("broken", name, f"{number}.png").write_bytes(b"\x89PNG\r\n")
    Path("tables").mkdir()
    for name in ("train.csv", "test.csv"):
        Path("tables", name).write_text("path,label\n1.png,a\n2.png,b\n")
    Path("table.csv").write_text("path,label\nnot_here.png,a\nnor_here.png,b\n")
    draw(Path("different/train"), {"apple": 4, "pear": 4})
    draw(Path("different/test"), {"apple": 4, "bear": 4})
    done = run_here("init", "--from", given)
    assert (done.code, said in done.err) == (2, True), done.err
    assert "--from" in done.err
    assert "dataset.root=" not in done.err
    assert not (tmp_path / "conf").exists()


def test_nothing_is_overwritten(run_here: Expkit) -> None:
    """A second look needs another name, which the advice says; a built-in name is not taken."""
    draw(Path("digits"), {"one": 10, "two": 10})
    assert run_here("init", "--from", "digits").code == 0
    assert Path("conf/dataset/digits_images.yaml").exists(), "dataset=digits stays expkit's own"
    before = Path("conf/dataset/digits_images.yaml").read_text()
    assert run_here("init", "--from", "digits").code == 2
    assert Path("conf/dataset/digits_images.yaml").read_text() == before
    assert run_here("init", "other", "--from", "digits").code == 0


@pytest.mark.parametrize("name", ["a-b", "../up", "9", "x" * 41, "a b"])
def test_odd_names_of_datasets_are_refused(tmp_path: Path, run_here: Expkit, name: str) -> None:
    """They are words of a command line, and names of files."""
    draw(Path("images"), {"one": 10, "two": 10})
    assert run_here("init", name, "--from", "images").code == 2
    assert not (tmp_path / "conf").exists()


def test_a_folder_named_like_markup_stays_text(run_here: Expkit) -> None:
    """Quotes and hashes in a path end no YAML; an interpolation of Hydra's is refused."""
    odd = Path('it\'s "#1": [x]')
    draw(odd, {"one": 10, "two": 10})
    done = run_here("init", "odd", "--from", str(odd))
    assert done.code == 0, done.err
    assert written("odd")[0]["root"] == str(odd)
    draw(Path("${oc.env:HOME}"), {"one": 10, "two": 10})
    assert run_here("init", "env", "--from", "${oc.env:HOME}").code == 2


@pytest.mark.parametrize(
    ("heights", "widths", "has_gpu", "size", "resize"),
    [
        ([28, 28], [28, 28], False, [28, 28], "crop"),
        ([128, 128], [128, 128], False, 64, "crop"),
        ([128, 128], [128, 128], True, [128, 128], "crop"),
        ([480, 480], [640, 640], True, 224, "crop"),
        ([100, 300], [400, 500], False, 64, "squash"),
        ([50, 70], [50, 70], False, 48, "crop"),
        ([9, 12], [9, 12], False, 32, "crop"),
    ],
)
def test_the_size_suits_files_and_machine(
    heights: list[int], widths: list[int], has_gpu: bool, size: object, resize: str
) -> None:
    """No larger than the middle file's shorter side; a CPU gets 64 pixels, a GPU up to 224."""
    chosen = Sizes(heights, widths, has_colour=True).choose(has_gpu=has_gpu)
    assert (chosen["size"], chosen["resize"]) == (size, resize)


def test_the_bound_is_more_than_luck() -> None:
    """Wilson's interval of 660 of 1226, log 4's majority class, ends at 0.5661."""
    assert _upper_end(660 / 1226, 1226) == 0.57
