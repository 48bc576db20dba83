"""Runs that may be compared, those that may not, and those with a doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from compared_rows import CONFIG, group, member, rivals, with_prints

from expkit.reports.compare.comparability import objections
from expkit.reports.runs.recipes import Recipe


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
