"""Folders of images: both layouts, what is left out, and what is refused with all its names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.store.decoding import Decoding
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.errors import UserError


def put(root: Path, *names: str, size: tuple[int, int] = (5, 4)) -> None:
    """Images whose levels differ, each by its path."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        level = sum(name.encode()) % 251
        Image.new("RGB", size, (level, 0, 255 - level)).save(path)


def put_splits(root: Path, splits: Sequence[str] = ("train", "val", "test")) -> None:
    put(root, *(f"{s}/{c}/{i}.png" for s in splits for c in ("cat", "dog") for i in range(3)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def source(root: Path, **options: object) -> ImageFolder:
    return ImageFolder(root=str(root), cache_dir=str(root.parent / "cache"), **options)


def read(root: Path, **options: object) -> Dataset:
    return source(root, **options).read(silent)


def refusal(root: Path, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read(root, **options)
    assert len(caught.value.screen().splitlines()) < 24  # one screen
    return caught.value


def check_pictures(dataset: Dataset, root: Path) -> None:
    """Every sample has its own file's pixels, and its own folder's class."""
    for split, samples in dataset.splits.items():
        rows = range(len(samples)) if samples.rows is None else samples.rows
        for row, target, name in zip(rows, samples.targets, samples.names, strict=True):
            path = next(p for p in (root / split / name, root / name) if p.exists())
            assert np.array_equal(samples.images[row], Decoding().decode(path))
            assert dataset.class_names is not None
            assert dataset.class_names[target] == name.partition("/")[0]


@pytest.mark.parametrize("memory_fraction", [0.0, 0.25])
def test_splits_are_read_from_their_folders(root: Path, memory_fraction: float) -> None:
    """Names, classes and pixels belong together, resident and mapped, at first and second start."""
    put_splits(root)
    for _ in range(2):
        dataset = read(root, memory_fraction=memory_fraction)
        assert dataset.class_names == ["cat", "dog"]
        assert {name: dataset.class_counts(name) for name in dataset.splits} == dict.fromkeys(
            ["train", "val", "test"], (3, 3)
        )
        assert list(dataset.splits["val"].names)[2:4] == ["cat/2.png", "dog/0.png"]
        assert dataset.remarks == []
        check_pictures(dataset, root)


def test_plain_classes_are_split_here(root: Path) -> None:
    """By class and fraction, and it is said."""
    put(root, *(f"{name}/{i}.png" for name in ("a", "b") for i in range(10)))
    dataset = read(root, val_fraction=0.2, test_fraction=0.1)
    counts = {name: dataset.class_counts(name) for name in dataset.splits}
    assert counts == {"train": (7, 7), "val": (2, 2), "test": (1, 1)}
    assert dataset.remarks == ["held out of the training samples, by class: 4 val, 2 test"]
    check_pictures(dataset, root)


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_other_names_of_val(root: Path, name: str) -> None:
    """Both mean val, which is its name from here on."""
    put_splits(root, ("train", name))
    assert list(read(root).splits) == ["train", "val"]


@pytest.mark.parametrize("name", ["training", "testing"])
def test_names_that_mean_no_split_are_refused(root: Path, name: str) -> None:
    """root/training/cat is a layout that is not known, and no class called training."""
    put_splits(root, (name, "other"))
    error = refusal(root)
    assert "images of 0 classes" in error.what
    assert f"{name} (2 folders)" in (error.details["where"] or "")
    assert "ROOT/train/CLASS/IMAGE" in (error.details["allowed"] or "")


def test_two_folders_for_one_split_are_refused(root: Path) -> None:
    """Which of them is held out is not to be guessed."""
    put_splits(root, ("train", "val", "validation"))
    assert refusal(root).what == "'val' and 'validation' both mean val"


def test_what_is_no_picture_is_left_out_and_told(root: Path) -> None:
    """Notes beside images, hidden files, folders in classes and folders beside splits."""
    put_splits(root, ("train", "val"))
    put(root, "extra/1.png", "train/cat/deeper/1.png", "train/.thumbnails/1.png")
    for name in ("train/cat/README.txt", "train/cat/Thumbs.db", "val/dog/.DS_Store", "notes.txt"):
        (root / name).write_text("no image")
    dataset = read(root)
    assert {name: dataset.class_counts(name) for name in dataset.splits} == {
        "train": (3, 3),
        "val": (3, 3),
    }
    files, folders = dataset.remarks
    assert files == "2 files left out, by their names no images: 1 .txt, 1 .db"
    assert folders == "2 folders left out that are no split or class: extra, cat/deeper"


def test_a_class_folder_without_images_is_told(root: Path) -> None:
    """It is no class, and nobody was told: a class of the user's was simply not there."""
    put(root, *(f"{c}/{i}.png" for c in ("cat", "dog") for i in range(9)))
    (root / "bird").mkdir()
    (root / "fish").mkdir()
    (root / "fish" / "notes.txt").write_text("")
    dataset = read(root)
    assert dataset.class_names == ["cat", "dog"]
    told = next(each for each in dataset.remarks if "hold no images" in each)
    assert told.startswith("2 folders hold no images")
    assert {"pictures/bird", "pictures/fish"} <= set(told.replace(",", "").split())


def test_links_are_followed(root: Path) -> None:
    """To files and to class folders: many a split is made of links."""
    put(root.parent, *(f"store/cat/{i}.png" for i in range(3)))
    put(root, *(f"train/dog/{i}.jpg" for i in range(3)))
    (root / "train" / "cat").symlink_to(root.parent / "store" / "cat")
    (root / "train" / "dog" / "link.PNG").symlink_to(root.parent / "store" / "cat" / "1.png")
    assert read(root, val_fraction=0, test_fraction=0).class_counts("train") == (3, 4)


def test_unreadable_files_are_all_listed(root: Path) -> None:
    """Truncated, empty, and linked to nowhere: ten with their reasons, and how many more."""
    put_splits(root)
    for number in range(12):
        (root / f"train/cat/bad_{number:02}.png").write_bytes(b"")
    (root / "train/cat/lost.png").symlink_to("nowhere.png")
    error = refusal(root)
    assert error.what == "13 of 31 images cannot be read"
    where = error.details["where"] or ""
    assert "train/cat/bad_00.png: cannot identify image file" in where
    assert "and 3 more" in where
    assert "dataset.on_error=skip" in (error.details["do"] or "")


def test_unreadable_files_are_skipped_where_asked(root: Path) -> None:
    """The others keep their own pixels and classes, mapped too; the reasons are told."""
    put_splits(root)
    bad = root / "train/cat/1.png"
    bad.write_bytes(bad.read_bytes()[:45])
    for memory_fraction in (0.25, 0.0):
        dataset = read(root, on_error="skip", memory_fraction=memory_fraction)
        assert dataset.class_counts("train") == (2, 3)
        (remark,) = dataset.remarks
        assert remark.startswith("1 unreadable images left out: train/cat/1.png: ")
        check_pictures(dataset, root)


def test_a_changed_file_is_decoded_again(root: Path) -> None:
    """The cache is of these very files: one other pixel, and it is another dataset."""
    put_splits(root)
    before = read(root).splits["train"].fingerprint()
    path = root / "train/dog/1.png"
    metadata = path.stat()
    Image.new("RGB", (5, 4), (1, 2, 3)).save(path)
    os.utime(path, ns=(metadata.st_atime_ns, metadata.st_mtime_ns + 1))
    dataset = read(root)
    check_pictures(dataset, root)
    assert dataset.splits["train"].fingerprint() != before


def test_same_names_elsewhere_are_not_mixed_up(root: Path) -> None:
    """Two folders with equal names, sizes and times, as unpacked archives have, are two."""
    for folder, level in ((root / "one", 10), (root / "two", 20)):
        for name in ("a/1.bmp", "a/2.bmp", "b/1.bmp", "b/2.bmp"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), level).save(folder / name)
            os.utime(folder / name, (0, 0))
    options = {"val_fraction": 0, "test_fraction": 0, "cache_dir": str(root / "cache")}
    for folder, level in ((root / "one", 10), (root / "two", 20)):
        images = ImageFolder(root=str(folder), **options).read(silent).splits["train"].images
        assert set(images.flatten()) == {level}


def test_copies_have_the_same_fingerprint(root: Path) -> None:
    """A val that is a copy of train is found to be it, though its files are others."""
    put(root, *(f"train/{name}/{i}.png" for name in ("a", "b") for i in range(2)))
    for path in (root / "train").glob("*/*.png"):
        copy = root / "val" / path.relative_to(root / "train")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    splits = read(root).splits
    assert splits["train"].fingerprint() == splits["val"].fingerprint()


def test_classes_that_differ_between_splits_are_refused(root: Path) -> None:
    """A renamed and an empty folder: each split says what it lacks."""
    put_splits(root)
    (root / "val/dog").rename(root / "val/dogs")
    error = refusal(root)
    assert error.what == "the splits differ in their classes"
    where = error.details["where"] or ""
    assert all(line in where for line in ("train lacks dogs", "val lacks dog\n", "test lacks dogs"))


def test_missing_class_may_be_allowed_by_name(root: Path) -> None:
    """The others keep their indices: dog stays 1 where cat is missing."""
    put_splits(root)
    for path in (root / "val/cat").iterdir():
        path.unlink()
    assert refusal(root).details["do"] == (
        "'dataset.allow_missing=[cat]' if they are meant to be missing"
    )
    dataset = read(root, allow_missing=["cat"])
    assert dataset.class_names == ["cat", "dog"]
    assert dataset.class_counts("val") == (0, 3)
    assert dataset.splits["val"].targets.tolist() == [1, 1, 1]
    error = refusal(root, allow_missing=["cta"])
    assert (error.what, error.details["nearest"]) == ("there is no class 'cta'", "cat")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ((), "has images of 0 classes"),
        (("1.png", "2.png"), "has images of 0 classes"),
        (("cat/1.png",), "has images of 1 class,"),
        (("train/1.png", "val/1.png"), "has images of 0 classes"),
        (("test/cat/1.png", "val/cat/1.png"), "there is test, val in"),
    ],
)
def test_wrong_layouts_are_refused(root: Path, names: Sequence[str], what: str) -> None:
    """What was found and what is expected are said."""
    put(root, *names)
    error = refusal(root)
    assert what in error.what
    assert "found " in (error.details["where"] or "")
    assert "ROOT/CLASS/IMAGE" in (error.details["allowed"] or "")


def test_missing_root_is_refused(tmp_path: Path) -> None:
    """A folder that is not there, and a file in its place."""
    assert refusal(tmp_path / "none").what.endswith("is not there")
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file").what.endswith("is a file")


def test_sizes_that_differ_are_refused_or_made_alike(root: Path) -> None:
    """The refusal proposes the size that then works; height stands before width."""
    put(root, "a/1.png", "a/2.png", "b/1.png", size=(5, 4))
    put(root, "b/2.png", size=(7, 9))
    error = refusal(root)
    assert "5 x 4 (3), 7 x 9 (1)" in (error.details["where"] or "")
    assert error.details["do"] == "dataset.size=4"
    nothing_held_out = {"val_fraction": 0, "test_fraction": 0}
    for size, shape in ((4, (4, 4)), ([3, 6], (3, 6))):
        dataset = read(root, size=size, **nothing_held_out)
        assert dataset.splits["train"].images.shape == (4, *shape, 3)
        assert dataset.decoding == source(root, size=size).decoding


def test_progress_is_told(root: Path) -> None:
    """Whoever watches hears how far decoding is, and nothing at the second start."""
    put_splits(root)
    told: list[tuple[str, int, int]] = []
    for _ in range(2):
        source(root).read(lambda *metadata: told.append(metadata))
    assert told[-1] == ("decoding", 18, 18)
    assert sum(metadata[1] == 18 for metadata in told) == 1


def test_cache_lies_where_the_desktop_standard_says(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In XDG_CACHE_HOME/expkit, else in ~/.cache/expkit."""
    put_splits(root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(root.parent / "xdg"))
    ImageFolder(root=str(root)).read(silent)
    assert len(list((root.parent / "xdg/expkit").glob("*/images.npy"))) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(root.parent / "home"))
    ImageFolder(root=str(root)).read(silent)
    assert len(list((root.parent / "home/.cache/expkit").glob("*/images.npy"))) == 1


def test_a_pipe_named_like_a_picture_is_left_out(root: Path) -> None:
    """Nobody writes into it: opening it would wait for ever."""
    put_splits(root)
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    dataset = read(root)
    assert len(dataset.splits["train"]) == 6
    assert any("left out" in remark for remark in dataset.remarks)


def test_links_in_a_circle_are_told_with_the_unreadable(root: Path) -> None:
    """They are named like any image that cannot be opened."""
    put_splits(root)
    link = root / "train" / "cat" / "circle.png"
    link.symlink_to(link)
    assert "circle.png" in refusal(root).screen()
