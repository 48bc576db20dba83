"""Predictions to a CSV and back, whatever classes are called."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.run.predictions import (
    read_class_predictions,
    read_value_predictions,
    write_predictions,
)

AWKWARD = ["a,b", 'say "hi"', "nan", "1", "01", "split", "", " x ", "NA", "true", "two\nlines", "ü"]


def answers(split: str, names: list[str], *, seed: int = 0) -> ClassPredictions:
    """A sample of each class, answered at random, and named like its class."""
    random = np.random.default_rng(seed)
    num = len(names)
    probabilities = random.dirichlet(np.ones(num), num).astype(np.float32)
    predictions = probabilities.argmax(1)
    ranks = (probabilities > probabilities.diagonal()[:, None]).sum(1)
    return ClassPredictions(split, names, np.arange(num), predictions, ranks, probabilities, names)


def test_awkward_names_come_back(tmp_path: Path) -> None:
    """Commas, quotes, line ends, and words that a CSV reader takes for numbers or gaps."""
    written = answers("val", AWKWARD)
    write_predictions(tmp_path / "p.csv", [written])
    read = read_class_predictions(tmp_path / "p.csv", AWKWARD)["val"]
    assert list(read.samples) == AWKWARD
    assert read.targets.tolist() == list(range(len(AWKWARD)))
    assert read.predictions.tolist() == written.predictions.tolist()
    assert read.ranks.tolist() == written.ranks.tolist()
    assert list(read.class_names) == AWKWARD
    np.testing.assert_allclose(read.probabilities, written.probabilities, rtol=1e-5)
    assert read.probabilities.dtype == np.float32


def test_uncertainty_is_the_last_column_and_comes_back(tmp_path: Path) -> None:
    """Beside a class of that name too; files without the column have none."""
    names = ["a", "uncertainty"]
    plain = answers("val", names)
    write_predictions(tmp_path / "plain.csv", [plain])
    assert read_class_predictions(tmp_path / "plain.csv", names)["val"].uncertainties is None
    uncertain = replace(plain, uncertainties=np.array([0.25, 1.5], dtype=np.float32))
    write_predictions(tmp_path / "p.csv", [uncertain])
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][-3:] == ["a", "uncertainty", "uncertainty"]
    assert [row[-1] for row in rows[1:]] == ["0.25", "1.5"]
    read = read_class_predictions(tmp_path / "p.csv", names)["val"]
    assert read.uncertainties is not None
    assert read.uncertainties.tolist() == [0.25, 1.5]
    np.testing.assert_allclose(read.probabilities, plain.probabilities, rtol=1e-5)


@pytest.mark.parametrize(("header", "value"), [("uncertainty", "-0.1"), ("other", "0.1")])
def test_a_last_column_that_is_no_uncertainty_is_refused(
    tmp_path: Path, header: str, value: str
) -> None:
    """One below zero, and one of another name."""
    write_predictions(tmp_path / "p.csv", [answers("val", ["a", "b"])])
    first, *rows = (tmp_path / "p.csv").read_text().splitlines()
    lines = [f"{first},{header}", *(f"{row},{value}" for row in rows)]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"below 0|other ones"):
        read_class_predictions(tmp_path / "p.csv", ["a", "b"])


@pytest.mark.parametrize("name", ["split", "sample", "target", "prediction", "target_rank"])
def test_class_called_like_a_column(tmp_path: Path, name: str) -> None:
    """Two columns then have one name, and each is still read for what it is."""
    write_predictions(tmp_path / "p.csv", [answers("val", ["other", name])])
    read = read_class_predictions(tmp_path / "p.csv", ["other", name])["val"]
    assert read.targets.tolist() == [0, 1]
    np.testing.assert_allclose(read.probabilities.sum(1), 1, rtol=1e-5)


def test_names_that_are_all_numbers_stay_names(tmp_path: Path) -> None:
    """The digits' classes are "0" to "9", and a sample "007" is not 7."""
    names = ["007", "1", "2.0", "1e3"]
    write_predictions(tmp_path / "p.csv", [answers("1", names)])
    read = read_class_predictions(tmp_path / "p.csv", names)["1"]
    assert list(read.samples) == names
    assert read.targets.tolist() == [0, 1, 2, 3]


def test_splits_come_back_apart_and_in_order(tmp_path: Path) -> None:
    """One file holds all splits of a run; each gets its own samples."""
    parts = [answers(name, ["a", "b"], seed=i) for i, name in enumerate(["train", "val", "nan"])]
    write_predictions(tmp_path / "p.csv", parts)
    read = read_class_predictions(tmp_path / "p.csv", ["a", "b"])
    assert list(read) == ["train", "val", "nan"]
    for part in parts:
        np.testing.assert_allclose(read[part.split].probabilities, part.probabilities, rtol=1e-5)


def test_broken_net_is_recorded(tmp_path: Path) -> None:
    """NaN probabilities are written and read as NaN: a rank beyond all classes says the rest."""
    nothing = np.full((1, 2), np.nan, np.float32)
    zero = np.array([0])
    broken = ClassPredictions("train", ["s"], zero, zero, np.array([2]), nothing, ["a", "nan"])
    write_predictions(tmp_path / "p.csv", [broken])
    read = read_class_predictions(tmp_path / "p.csv", ["a", "nan"])["train"]
    assert np.isnan(read.probabilities).all()
    assert (read.targets.tolist(), read.ranks.tolist()) == ([0], [2])


def test_file_by_hand(tmp_path: Path) -> None:
    """The columns that the issue names, with classes by name and six digits."""
    probabilities = np.array([[1 / 3, 2 / 3]], np.float32)
    one = ClassPredictions(
        "test",
        ["digit_7"],
        np.array([0]),
        np.array([1]),
        np.array([1]),
        probabilities,
        ["a,b", "c"],
    )
    write_predictions(tmp_path / "p.csv", [one])
    assert (tmp_path / "p.csv").read_bytes() == (
        b'split,sample,target,prediction,target_rank,"a,b",c\n'
        b'test,digit_7,"a,b",c,1,0.333333,0.666667\n'
    )


def test_values_come_back(tmp_path: Path) -> None:
    """Targets and predictions by their names, large, small, NaN and infinite ones too."""
    targets = np.array([[0.25, -1e-7], [1, 2], [3, 4]], np.float32)
    predictions = np.array([[1e9, 0.1], [np.nan, 2], [np.inf, -np.inf]], np.float32)
    samples = ["1", "nan", "a,b"]
    values = ValuePredictions("val", samples, targets, predictions, ["x", "y"])
    write_predictions(tmp_path / "p.csv", [values])
    with (tmp_path / "p.csv").open(newline="") as stream:
        assert next(csv.reader(stream)) == [
            "split", "sample", "target_x", "target_y", "predicted_x", "predicted_y",
        ]  # fmt: skip
    read = read_value_predictions(tmp_path / "p.csv", ["x", "y"])["val"]
    assert list(read.samples) == samples
    np.testing.assert_allclose(read.targets, targets, rtol=1e-5)
    np.testing.assert_allclose(read.predictions, predictions, rtol=1e-5)


def test_formulas_and_odd_bytes_come_back(tmp_path: Path) -> None:
    """A spreadsheet runs none of these names, and ours are read as they were."""
    names = ["=1+1", "+x", "-x", "@x", "\tx", "'=x", "-1", "caf\udce9"]
    write_predictions(tmp_path / "p.csv", [answers("val", names)])
    lines = (tmp_path / "p.csv").read_bytes().splitlines()
    cells = [cell for line in lines for cell in line.split(b",")]
    assert not [each for each in cells if each[:1] in b"=+@\t" and each]
    assert b"caf\xe9" in cells
    read = read_class_predictions(tmp_path / "p.csv", names)["val"]
    assert list(read.samples) == names
    assert read.targets.tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("target_rank", "rank", 1),
        lambda text: text.replace(",b", ",b,c", 1),
        lambda text: text.replace("\nval", "\n0,val", 1),
        lambda text: text.replace("val,a,a,", "val,a,a,nobody", 1),
        lambda text: re.sub("(val,a,a,[ab]),[0-9]", r"\1,-3", text),
        lambda text: re.sub("(val,a,a,[ab]),[0-9]", r"\1,99", text),
        lambda text: "",
    ],
    ids=["header", "columns", "cells", "class", "rank", "high rank", "empty"],
)
def test_damaged_predictions_are_refused(tmp_path: Path, damage: Callable[[str], str]) -> None:
    """Columns that moved would give every sample another class's probability."""
    write_predictions(tmp_path / "p.csv", [answers("val", ["a", "b"])])
    text = (tmp_path / "p.csv").read_text()
    assert damage(text) != text
    (tmp_path / "p.csv").write_text(damage(text))
    with pytest.raises((ValueError, KeyError)):
        read_class_predictions(tmp_path / "p.csv", ["a", "b"])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("val,s,a,b,0,0.2,0.7,0.1", "of the probabilities"),  # it is the second
        ("val,s,a,a,0,0.2,0.7,0.1", "of the probabilities"),
        ("val,s,c,b,1,0.2,0.7,0.1", "of the probabilities"),  # it is the third
        ("val,s,a,b,0,0.45,0.45,0.1", "of the prediction"),  # either is the first
        ("val,s,a,a,0,0.45,0.45,0.1", None),
        ("val,s,b,a,1,0.45,0.45,0.1", None),
        ("val,s,b,a,1,0.333334,0.333333,0.333333", None),  # six digits
        ("val,s,b,a,2,1,0,0", None),  # of classes that are all but impossible
        ("val,s,a,a,3,nan,nan,nan", None),
    ],
)
def test_ranks_are_held_against_the_probabilities(
    tmp_path: Path, row: str, why: str | None
) -> None:
    """Accuracies are made of ranks, and a stranger's file may say any."""
    (tmp_path / "p.csv").write_text(f"split,sample,target,prediction,target_rank,a,b,c\n{row}\n")
    if why is None:
        assert read_class_predictions(tmp_path / "p.csv", ["a", "b", "c"])
        return
    with pytest.raises(ValueError, match=why):
        read_class_predictions(tmp_path / "p.csv", ["a", "b", "c"])
