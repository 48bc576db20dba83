"""Runs folded by their seeds, filtered by their config, and held to be comparable or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expkit.errors import UserError
from expkit.records.run.digest import Digest
from expkit.records.seed_groups import differing_keys
from expkit.reports.compare.comparability import objections
from expkit.reports.compare.filter import keep_where
from expkit.reports.runs.recipes import Recipe, fold_rows, label_of, rivals_of
from expkit.reports.runs.rows import RunRow, row_of

CONFIG = {
    "seed": 0,
    "name": "cherry",
    "model._target_": "expkit.models.conv.ConvNet",
    "optimizer.lr": 0.001,
    "model.pretrained": False,
}


def member(accuracy: float = 0.9, *, words: tuple[str, ...] = (), **changes: Any) -> RunRow:
    """A run's digest; `changes` are of the config, with `__` for a dot."""
    config = CONFIG | {key.replace("__", "."): value for key, value in changes.items()}
    digest = Digest(
        run="run",
        name="cherry",
        job=None,
        status="finished",
        verdict="met",
        judged_split="val",
        metrics={"train": {"accuracy": 1.0}, "val": {"accuracy": accuracy}},
        best_epoch=3,
        num_epochs=5,
        findings=[],
        seconds=1.0,
        overrides=list(words),
        config=config,
        fingerprints={"train": "a", "val": "b"},
        num_samples={"train": 10, "val": 5},
        code={"commit": "c0ffee", "dirty": False, "versions": {"torch": "2.15.0"}},
    )
    return row_of(Path(f"runs/{accuracy}"), digest)


def rivals(rows: list[RunRow]) -> list[Recipe]:
    """As `expkit compare` folds them."""
    return rivals_of(rows, fold_rows(rows))


def group(**changes: Any) -> Recipe:
    """One run, with these fields of its digest changed."""
    first = member()
    return Recipe("B", [replace(first, **changes)])


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


def test_samples_that_follow_the_seed_do_not_forbid_a_comparison() -> None:
    """Seed by seed they are the same; another folder of images for one of them does."""
    sides = [
        [
            with_prints(member(seed=seed, lr=lr, dataset__split_seed=seed), f"v{seed}")
            for seed in seeds
        ]
        for lr, seeds in ((1, (0, 1, 2)), (2, (0, 1)))
    ]
    ours, theirs = rivals([*sides[0], *sides[1]])
    assert objections(ours, theirs, "") == []
    moved = [*sides[1][:1], with_prints(sides[1][1], "elsewhere")]
    (objection,) = objections(ours, Recipe("B", moved), "val")
    assert objection.forbids


def with_prints(run: RunRow, print_: str) -> RunRow:
    prints = {"train": f"t{print_}", "val": print_}
    return replace(run, fingerprints=prints)


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


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("optimizer.lr=1e-3", [0, 2]),
        ("seed=1", [2]),
        ("model=resnet18", [1]),
        ("model=ConvNet", [0, 2]),
        ("model.pretrained=true", [1]),
    ],
)
def test_where(condition: str, kept: list[int]) -> None:
    """Numbers by value, choices by the word that chose them, or by what was built."""
    runs = [
        member(0.1),
        member(0.2, words=("model=resnet18",), optimizer__lr=0.01, model__pretrained=True),
        member(0.3, seed=1),
    ]
    assert [runs.index(each) for each in keep_where(runs, [condition])] == kept


def test_a_default_choice_is_found_by_its_name() -> None:
    """It stands in no word of the command line, and what is built has another name."""
    run = member()
    default = replace(run, choices={"model": "simple_conv"})
    assert keep_where([run, default], ["model=simple_conv"]) == [default]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("optimiser.lr=1", "optimizer.lr"),
        ("optimizer.lr=2", "optimizer.lr is 0.001"),
        ("lr", "KEY=VALUE"),
    ],
)
def test_where_nothing_is(condition: str, said: str) -> None:
    """The nearest key, the values that there are, or what a condition looks like."""
    with pytest.raises(UserError) as caught:
        keep_where([member()], [condition])
    assert said in caught.value.screen()


@pytest.mark.parametrize(
    ("changes", "forbids", "said"),
    [
        ({"fingerprints": {"train": "a", "val": "z"}}, True, "other data in val"),
        ({"judged_split": "train"}, True, "training against held-out figures"),
        ({"judged_split": "test"}, True, "measured on test, the baseline on val"),
        ({"fingerprints": {"train": "z", "val": "b"}}, False, "trained on other samples"),
        ({"code": {"commit": "decade", "dirty": False}}, False, "commit c0ffee -> decade"),
        (
            {"code": {"commit": "c0ffee", "versions": {"torch": "2.9.0"}}},
            False,
            "torch 2.15.0 -> 2.9.0",
        ),
        (
            {"code": {"commit": "c0ffee", "dirty": True, "versions": {"torch": "2.15.0"}}},
            False,
            "not all was committed",
        ),
    ],
)
def test_what_speaks_against_a_comparison(
    changes: dict[str, Any], forbids: bool, said: str
) -> None:
    """Other samples forbid it; other code, or other training samples, make it doubtful."""
    (objection,) = objections(group(**changes), group(), "")
    assert objection.forbids is forbids
    assert said in objection.text


def test_nothing_speaks_against_the_same() -> None:
    """No warning that everybody learns to overlook."""
    assert objections(group(), group(), "") == []


def test_a_named_split_counts() -> None:
    """On val they may be compared, though one of them is judged on test."""
    prints = {"train": "a", "val": "b", "test": "c"}
    ours = group(judged_split="test", fingerprints=prints)
    assert objections(ours, group(), "val") == []
    (objection,) = objections(ours, group(), "test")
    assert objection.forbids


def test_another_resolution_is_no_other_data() -> None:
    """The same images read at another size are compared, and that is said; other ones are not."""
    small = CONFIG | {"dataset.root": "cherry", "dataset.size": 64}
    large = small | {"dataset.size": 128}
    elsewhere = large | {"dataset.root": "cherry_2"}
    base = group(config=small)
    other = {"train": "c", "val": "d"}
    (found,) = objections(group(config=large, fingerprints=other), base, "")
    assert not found.forbids
    assert "dataset.size 64 -> 128" in found.text
    for config in (elsewhere, small):
        (found,) = objections(group(config=config, fingerprints=other), base, "")
        assert found.forbids


def test_a_figure_may_be_of_a_class_with_a_slash() -> None:
    """`recall[a/b]` is of the judged split, and `train/recall[a/b]` of the other."""
    metrics = {"train": {"recall[a/b]": 0.9}, "val": {"recall[a/b]": 0.4}}
    row = group(metrics=metrics).first
    assert row.figure("recall[a/b]") == 0.4
    assert row.figure("train/recall[a/b]") == 0.9


def test_code_is_that_of_every_seed() -> None:
    """A later seed may be of another commit than the first, on one side or on both."""
    first, second = member(0.8, seed=0), member(0.9, seed=1)
    later = replace(second, code={**first.code, "commit": "d"})
    even, mixed = Recipe("A", [first, second]), Recipe("B", [first, later])
    assert objections(even, even, "") == []
    (objection,) = objections(mixed, even, "")
    assert "commit c0ffee -> c0ffee and d" in objection.text
    (objection,) = objections(mixed, mixed, "")
    assert "commit c0ffee and d" in objection.text
    assert not objection.forbids
