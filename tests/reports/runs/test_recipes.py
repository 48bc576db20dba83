"""Runs folded over their seeds and folds; one that was made twice counts once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from compared_rows import group, member, rivals

from expkit.records.seed_groups import differing_keys
from expkit.reports.runs.recipes import fold_rows, label_of
from expkit.reports.runs.rows import RunRow


def test_seeds_are_folded() -> None:
    """Runs alike but for the seed are one recipe, with mean and spread; others stand alone."""
    one, two = rivals([member(0.8, seed=0), member(0.7, optimizer__lr=0.1), member(0.9, seed=1)])
    assert (one.label, two.label) == ("A", "B")
    assert one.figures("accuracy") == {0: 0.8, 1: 0.9}
    assert one.mean_of("held_out/accuracy") == pytest.approx(0.85)
    assert one.std_of("val/accuracy") == pytest.approx(0.1 / 2**0.5)
    assert two.std_of("accuracy") is None


def by_code(run: RunRow, **code: Any) -> RunRow:
    return replace(run, code={**run.code, **code})


def test_the_same_seed_by_other_code_is_another_recipe() -> None:
    """What the code changes is what is compared: the first of each seed, and the second."""
    runs = [member(0.1, seed=0), member(0.2, seed=1)]
    again = [by_code(each, commit="decade") for each in (member(0.3, seed=0), member(0.4, seed=1))]
    assert [list(each.figures("accuracy").values()) for each in rivals([*runs, *again])] == [
        [0.1, 0.2],
        [0.3, 0.4],
    ]


def test_a_run_made_twice_is_no_rival_of_itself() -> None:
    """The same code is enough where it is known; where it is not, the figures decide."""
    twice = [member(0.1, seed=0), member(0.1, seed=0), member(0.2, lr=1)]
    assert [len(each.draws) for each in rivals(twice)] == [1, 1]
    assert fold_rows(twice).repeats == {1: 0}
    unknown = [by_code(member(accuracy), dirty=True) for accuracy in (0.1, 0.1, 0.3)]
    assert fold_rows(unknown).repeats == {1: 0}


def test_folds_have_a_mean_and_are_not_compared_with_each_other() -> None:
    """0.8, 0.9 and 1.0 are 0.9 with a std of 0.1, over three folds; one recipe, not three."""
    folds = [
        member(accuracy, dataset__fold=number, dataset__num_folds=3)
        for number, accuracy in enumerate((0.8, 0.9, 1.0))
    ]
    (recipe,) = rivals(folds)
    assert recipe.mean_of("accuracy") == pytest.approx(0.9)
    assert recipe.std_of("accuracy") == pytest.approx(0.1)
    assert (recipe.name, recipe.unit_of_draws) == ("cherry, 3 folds", "folds")


def test_one_fold_alone_is_no_cross_validation() -> None:
    """Seeds on one fold are seeds: they are counted, and compared, as such."""
    seeds = [member(seed=seed, dataset__fold=1, dataset__num_folds=3) for seed in range(2)]
    other = member(lr=2, dataset__fold=1, dataset__num_folds=3)
    assert [each.name for each in rivals([*seeds, other])] == ["cherry, 2 seeds", "0.9"]
    assert [len(each.draws) for each in rivals(seeds)] == [1, 1]


def test_seeds_alone_are_compared_with_each_other() -> None:
    """Where there is nothing else to compare."""
    assert [len(each.draws) for each in rivals([member(seed=0), member(seed=1)])] == [1, 1]


def test_other_data_is_another_recipe() -> None:
    """The same words mean other images once somebody has changed the folder."""
    other = member(seed=1)
    other = replace(other, fingerprints={"train": "a", "val": "z"})
    assert len(rivals([member(seed=0), other])) == 2


def test_labels() -> None:
    """As the columns of a spreadsheet."""
    assert [label_of(number) for number in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_only_keys_that_differ() -> None:
    """A key that one of them lacks differs, as true does from 1, and null from nothing."""
    settings = [
        {"a": 1, "b": 2, "c": None, "d": True, "e": [1, 2]},
        {"a": 1, "b": 3, "d": 1, "e": [1.0, 2]},
    ]
    assert differing_keys(settings) == ["b", "c", "d", "e"]
    assert differing_keys(settings[:1] * 2) == []


def test_a_figure_may_be_of_a_class_with_a_slash() -> None:
    """`recall[a/b]` is of the judged split, and `train/recall[a/b]` of the other."""
    metrics = {"train": {"recall[a/b]": 0.9}, "val": {"recall[a/b]": 0.4}}
    row = group(metrics=metrics).first
    assert row.figure("recall[a/b]") == 0.4
    assert row.figure("train/recall[a/b]") == 0.9
