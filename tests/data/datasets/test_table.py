"""Tables of images: what they may be called and hold, and what is refused with its rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from expkit.data.audit.data_profile import profile_dataset
from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.datasets.table import Table
from expkit.data.store.decoding import Decoding
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, check_dataset
from expkit.errors import UserError

NAMES = tuple(f"{name}{number}.png" for name in ("cat", "dog") for number in range(6))
SPLITS = ("train", "train", "train", "train", "val", "test") * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images that differ, without folders of classes."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        Image.fromarray(rng.integers(0, 255, (6, 5, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def write(folder: Path, lines: Sequence[str], name: str = "table.csv") -> Path:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder / name


def rows_of(
    separator: str = ",", start: str = "", splits: Sequence[str] | None = SPLITS
) -> list[str]:
    cells = [[start + name, name[:3]] for name in NAMES]
    if splits is not None:
        cells = [[*each, split] for each, split in zip(cells, splits, strict=True)]
    return [separator.join(each) for each in cells]


def read(table: Path, **options: object) -> Dataset:
    source = Table(table=str(table), cache_dir=str(table.parent / ".cache"), **options)
    dataset = source.read(silent)
    check_dataset(dataset, evaluate_only=source.evaluate_only)
    return dataset


def refusal(table: Path, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read(table, **options)
    assert len(caught.value.screen().splitlines()) < 24  # one screen
    return caught.value


def where(error: UserError) -> str:
    return error.details["where"] or ""


def check_images(dataset: Dataset, folder: Path) -> None:
    """Every sample has its own file's pixels, and its own row's class."""
    for samples in dataset.splits.values():
        rows = range(len(samples)) if samples.rows is None else samples.rows
        for row, target, name in zip(rows, samples.targets, samples.names, strict=True):
            assert np.array_equal(samples.images[row], Decoding().decode(folder / name))
            assert (dataset.class_names or ())[target] == Path(name).name[:3]


@pytest.mark.parametrize("memory_fraction", [0.0, 0.25])
def test_rows_are_read_with_their_splits(folder: Path, memory_fraction: float) -> None:
    """Paths, classes and pixels belong together, resident and mapped, at first and second start."""
    table = write(folder, ["path,label,split", *rows_of()])
    for _ in range(2):
        dataset = read(table, memory_fraction=memory_fraction)
        assert {name: dataset.class_counts(name) for name in dataset.splits} == {
            "train": (4, 4),
            "val": (1, 1),
            "test": (1, 1),
        }
        assert list(dataset.splits["val"].names) == ["cat4.png", "dog4.png"]
        assert dataset.remarks == []
        check_images(dataset, folder)


@pytest.mark.parametrize(
    ("header", "separator", "name"),
    [
        ("filepath,label", ",", "a.csv"),
        ("image,class", ",", "a.csv"),
        ("filename;category", ";", "a.csv"),
        ("File Name\tTarget", "\t", "a.tsv"),
        ("path\tlabel", "\t", "a.txt"),
    ],
)
def test_tables_of_other_tools_are_read(
    folder: Path, header: str, separator: str, name: str
) -> None:
    """Other names of columns and other separators; without splits they are made by class."""
    table = write(folder, [header, *rows_of(separator, splits=None)], name)
    dataset = read(table, val_fraction=0.25, test_fraction=0.25)
    counts = {name: dataset.class_counts(name) for name in dataset.splits}
    assert list(map(sum, zip(*counts.values(), strict=True))) == [6, 6]
    assert dataset.remarks == ["held out of the training samples, by class: 3 val, 3 test"]
    check_images(dataset, folder)


def test_json_lines_are_read(folder: Path) -> None:
    """One mapping a line; a label that is a number is a class of that name."""
    records = [
        {"image": name, "label": int(name.startswith("dog")), "split": split, "note": None}
        for name, split in zip(NAMES, SPLITS, strict=True)
    ]
    dataset = read(write(folder, list(map(json.dumps, records)), "a.jsonl"))
    assert dataset.class_names == ["0", "1"]
    assert dataset.class_counts("train") == (4, 4)


@pytest.mark.parametrize("name", ["table.csv", "table.jsonl"])
def test_a_line_separator_of_unicode_ends_no_row(folder: Path, name: str) -> None:
    """U+2028 and U+0085 are letters of a label, as of a file's name; rows end with lines."""
    rows = [(path, f"a\u2028{path[:3]}\x85b") for path in NAMES]
    lines = ["path,label", *(f"{path},{label}" for path, label in rows)]
    if name == "table.jsonl":
        made = [{"path": path, "label": label} for path, label in rows]
        lines = [json.dumps(row, ensure_ascii=False) for row in made]
    dataset = read(write(folder, lines, name), evaluate_only=True)
    assert dataset.class_names == ["a\u2028cat\x85b", "a\u2028dog\x85b"]


def test_numbers_are_ordered_as_numbers(folder: Path) -> None:
    """Class 10 comes after class 9."""
    lines = [f"{name},{9 + (name[0] == 'c')},{s}" for name, s in zip(NAMES, SPLITS, strict=True)]
    assert read(write(folder, ["path,label,split", *lines])).class_names == ["9", "10"]


def test_columns_and_root_may_be_named(folder: Path) -> None:
    """A table elsewhere, whose columns bear no usual name and others that do."""
    (folder / "tables").mkdir()
    lines = [f"{line},x,y" for line in rows_of(splits=None)]
    table = write(folder / "tables", ["where,what,path,label", *lines])
    dataset = read(
        table, root=str(folder), path_column="where", label_column="what", evaluate_only=True
    )
    assert dataset.class_counts("test") == (6, 6)
    absolute = write(folder / "tables", ["path,label,split", *rows_of(start=f"{folder}/")])
    check_images(read(absolute), folder)


def test_same_samples_as_a_folder_of_classes(folder: Path, tmp_path: Path) -> None:
    """A table and a folder of the same images give the same samples, to the byte."""
    for name in NAMES:
        place = tmp_path / "tree" / "train" / name[:3] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((folder / name).read_bytes())
    fractions = {"val_fraction": 0.2, "test_fraction": 0.2}
    cache = str(tmp_path / "cache")
    tree = ImageFolder(root=str(tmp_path / "tree"), cache_dir=cache, **fractions).read(silent)
    table = read(write(folder, ["path,label", *rows_of(splits=None)]), **fractions)
    for split in ("train", "val", "test"):
        assert tree.splits[split].fingerprint() == table.splits[split].fingerprint()


def test_rows_set_aside_are_left_out_and_told(folder: Path) -> None:
    """They need no label; rows that say the same twice are taken once."""
    lines = [*rows_of(), f"{NAMES[0]},cat,train", "unsure.png,,aside"]
    dataset = read(write(folder, ["path,label,split", *lines]))
    assert dataset.class_counts("train") == (4, 4)
    assert dataset.remarks == [
        "1 rows left out that repeat another",
        "1 rows left out that the table sets aside",
    ]


def test_profile_finds_an_image_in_two_splits(folder: Path) -> None:
    """The checks of every dataset see a table's images: a copy in val is listed."""
    (folder / NAMES[4]).write_bytes((folder / NAMES[0]).read_bytes())
    profile = profile_dataset(read(write(folder, ["path,label,split", *rows_of()])))
    assert profile["duplicates"]["across"]["pairs"] == [["val", NAMES[4], "train", NAMES[0], 1.0]]


def test_what_is_only_evaluated_needs_no_train(folder: Path) -> None:
    """All rows of a table without splits are evaluated, and those of test where it has some."""
    table = write(folder, ["path,label", *rows_of(splits=None)])
    assert read(table, evaluate_only=True).class_counts("test") == (6, 6)
    table = write(folder, ["path,label,split", "cat0.png,cat,test"])
    assert read(table, evaluate_only=True).class_counts("test") == (1,)


def test_missing_files_are_refused_with_their_rows(folder: Path) -> None:
    """Two of twelve; with on_error=skip they are left out instead, and named."""
    for name in NAMES[1:3]:
        (folder / name).unlink()
    table = write(folder, ["path,label,split", *rows_of()])
    error = refusal(table)
    assert error.what == "2 of the table's 12 files are not there"
    assert f"row 3: {NAMES[1]}\nrow 4: {NAMES[2]}" in where(error)
    dataset = read(table, on_error="skip")
    assert dataset.class_counts("train") == (2, 4)
    assert "row 3: cat1.png" in dataset.remarks[0]
    check_images(dataset, folder)


def test_wrong_root_is_told_by_the_fix(folder: Path) -> None:
    """Where no file is found at all, it is the folder that is wrong."""
    error = refusal(write(folder, ["path,label,split", *rows_of(start="images/")]))
    assert error.what == "12 of the table's 12 files are not there"
    assert error.details["do"] == "dataset.root=FOLDER, in which the paths lie"


def test_unreadable_image_is_refused_with_its_row(folder: Path) -> None:
    """A file that is no image: the row says which."""
    (folder / NAMES[3]).write_text("no image")
    error = refusal(write(folder, ["path,label,split", *rows_of()]))
    assert error.what == "1 of 12 images cannot be read"
    assert f"row 5: {NAMES[3]}: " in where(error)


HEADER = "path,label,split"


@pytest.mark.parametrize(
    ("lines", "what", "listed"),
    [
        ([HEADER, "cat0.png,cat,trian"], "1 of 1 rows are of no known split", "row 2: 'trian'"),
        (
            [HEADER, *rows_of(), "cat0.png,cat,"],
            "1 of 13 rows are of no known split",
            "row 14: empty",
        ),
        ([HEADER, "cat0.png,,train"], "1 of 1 rows have no label", "row 2: cat0.png"),
        ([HEADER, ",cat,train"], "1 of 1 rows have no path", "row 2: cat"),
        (
            [HEADER, *rows_of(), "cat0.png,cat"],
            "1 rows of the table cannot be read",
            "row 14: 2 cells, not 3",
        ),
        (
            [HEADER, *rows_of(), '"cat0.png,cat,val'],
            "1 rows of the table cannot be read",
            "row 14: unexpected end of data",
        ),
        (
            [HEADER, *rows_of(), "cat0.png,cat,val"],
            "1 rows name a file that another row has with another split",
            "row 14: cat0.png: val, and train in row 2",
        ),
        (
            [HEADER, *rows_of(), "./cat0.png,dog,train"],
            "1 rows name a file that another row has with another label",
            "row 14: ./cat0.png: dog, and cat in row 2",
        ),
        (
            [HEADER, *rows_of()[:-2], "dog4.png,dgo,val", "dog5.png,dog,test"],
            "the splits differ in their classes: train lacks dgo",
            "row 12: dgo (val)",
        ),
        (
            ["path,label", *rows_of(splits=None)[:-1], "dog5.png,fox"],
            "1 of 3 classes have too few images for 3 splits: the fewest, 1",
            "row 13: fox (1)",
        ),
        ([HEADER, "cat0.png,cat,val"], "no row is of the split train", "row 2: val"),
        (["path,label"], "has no rows", ""),
        (["path,label,label", "a,b,c"], "the table has more than one column 'label'", ""),
        (["path,what", "a,b"], "is known to hold each image's label", ""),
        ([], "has no rows", ""),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_with_their_rows(
    folder: Path, lines: Sequence[str], what: str, listed: str
) -> None:
    """Each on one screen, with the line on which an editor finds it."""
    error = refusal(write(folder, lines))
    assert what in error.what
    assert listed in where(error)


def test_class_only_in_val_may_be_meant(folder: Path) -> None:
    """The fix that is printed works."""
    lines = [*rows_of()[:-2], "dog4.png,fox,val", "dog5.png,dog,test"]
    table = write(folder, [HEADER, *lines])
    assert refusal(table).details["do"] == (
        "'dataset.allow_missing=[fox]' if they are meant to be missing"
    )
    with pytest.raises(UserError, match="val lacks dog"):
        read(table, allow_missing=["fox"])
    assert read(table, allow_missing=["fox", "dog"]).class_names == ["cat", "dog", "fox"]


def test_bad_json_lines_are_refused_with_their_lines(folder: Path) -> None:
    """A line that is no JSON, and one that is no mapping."""
    error = refusal(write(folder, ['{"path": "cat0.png"', "[1]"], "a.jsonl"))
    assert error.what == "2 rows of the table cannot be read"
    assert "row 2: no mapping" in where(error)


@pytest.mark.parametrize(
    ("table", "what"),
    [("none.csv", "is not there"), (".", "is a folder"), ("cat0.png", "is no text in UTF-8")],
)
def test_what_is_no_table_is_refused(folder: Path, table: str, what: str) -> None:
    """A file that is not there, a folder of images, an image."""
    assert what in refusal(folder / table).what


def test_misnamed_column_is_refused_with_the_nearest(folder: Path) -> None:
    """A column of the user's own words."""
    error = refusal(write(folder, [HEADER, *rows_of()]), label_column="labels")
    assert error.what == "the table has no column 'labels'"
    assert error.details["nearest"] == "label"
