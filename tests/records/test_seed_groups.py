"""Which runs are draws of one recipe, for the table of a sweep and for a comparison alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.seed_groups import Setup, draw_of, fold_draws
from expkit.reports.runs.settings import describe_settings
from expkit.reports.sweep.caveats import told_of
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.sweep_screen import closing_screen

MODELS, SEEDS = ("a", "b", "c"), range(8)


def setups(configs: Sequence[Mapping[str, Any]], **more: Any) -> list[Setup]:
    return [Setup(config, **more) for config in configs]


@pytest.mark.parametrize(
    "follower",
    [
        {"dataset.split_seed": lambda seed: seed},
        {"dataset.split_seed": lambda seed: seed + 100},
        {"dataset.note": lambda seed: f"draw {7 * seed}"},
    ],
)
def test_a_value_that_follows_the_seed_is_part_of_it(follower: Mapping[str, Any]) -> None:
    """Three models by eight seeds are three recipes of eight runs, whatever goes with the seed."""
    ((key, value_of),) = follower.items()
    folding = fold_draws(
        setups(
            [
                {"model": model, "seed": seed, key: value_of(seed)}
                for model in MODELS
                for seed in SEEDS
            ]
        )
    )
    assert [len(recipe) for recipe in folding.recipes] == [8, 8, 8]
    assert folding.followers == [key]


def test_other_samples_by_a_split_seed_are_no_other_recipe() -> None:
    """Each seed has samples of its own then; without such a key other data is another recipe."""
    configs = [{"seed": seed, "dataset.split_seed": seed} for seed in range(3)]
    runs = [
        Setup(config, {"train": f"t{seed}", "test": f"e{seed}"})
        for seed, config in enumerate(configs)
    ]
    assert [len(recipe) for recipe in fold_draws(runs).recipes] == [3]
    plain = [Setup({"seed": run.config["seed"]}, run.prints) for run in runs]
    assert [len(recipe) for recipe in fold_draws(plain).recipes] == [1, 1, 1]


@pytest.mark.parametrize(
    "configs",
    [
        [{"seed": 0, "lr": 0.1}, {"seed": 1, "lr": 0.01}],
        [{"seed": seed, "lr": 10.0**-seed} for seed in range(4)],
        [{"seed": seed, "depth": seed} for seed in range(2)],
        [{"seed": seed, "lr": lr} for seed in range(4) for lr in (0.1, 0.2)],
    ],
)
def test_a_setting_that_was_chosen_is_no_part_of_the_seed(configs: list[dict[str, Any]]) -> None:
    """A rate for each seed may be a choice, as nothing shows that it follows; a grid never is."""
    folding = fold_draws(setups(configs))
    assert folding.followers == []
    assert len(folding.recipes) == len({repr(sorted(c.items())[0]) for c in configs})


def test_a_run_made_twice_counts_once() -> None:
    """By other code it is another recipe: what that changes is what is compared then."""
    configs = [{"seed": 0}, {"seed": 1}, {"seed": 0}]
    folding = fold_draws(setups(configs, proof="code"))
    assert (folding.recipes, folding.repeats) == ([[0, 1]], {2: 0})
    again = [*setups(configs[:2], proof="code"), Setup({"seed": 0}, proof="other code")]
    folding = fold_draws(again)
    assert (folding.recipes, folding.repeats) == ([[0, 1], [2]], {})


def test_folds_are_draws_as_seeds_are() -> None:
    """Also with other training and held-out samples each; another number of folds is no draw."""
    configs = [
        {"seed": seed, "dataset.fold": fold, "dataset.num_folds": 3}
        for seed in (0, 1)
        for fold in range(3)
    ]
    runs = [Setup(config, {"val": f"v{config['dataset.fold']}", "test": "t"}) for config in configs]
    assert [len(recipe) for recipe in fold_draws(runs).recipes] == [6]
    assert len({draw_of(config) for config in configs}) == 6
    other = [Setup({**config, "dataset.num_folds": 5}, {"test": "t"}) for config in configs]
    assert [len(recipe) for recipe in fold_draws([*runs, *other]).recipes] == [6, 6]


def test_a_sweep_folds_as_a_comparison_does(tmp_path: Path) -> None:
    """By the same function: 24 jobs with a split seed of their own are three lines of a table."""
    jobs = [
        FakeJob({"model": model, "split_seed": seed}, 0.5 + number / 10 + seed / 100, seed)
        for number, model in enumerate(MODELS)
        for seed in SEEDS
    ]
    outcome = SweepOutcome.of(write_sweep(tmp_path, jobs))
    assert [group.settings for group in outcome.groups] == [{"model": m} for m in "cba"]
    assert [len(group.values) for group in outcome.groups] == [8, 8, 8]
    told = " ".join(told_of(outcome))
    assert "Holm's correction for 2 comparisons" in told
    assert "asked.split_seed has one value for each seed" in told


def test_a_job_that_repeats_another_is_told_and_not_counted(tmp_path: Path) -> None:
    """Two jobs that differ in a name alone are one run made twice: no rival, no second seed."""
    jobs = [
        FakeJob({"model": "a"}, 0.8, name="first"),
        FakeJob({"model": "a"}, 0.8, name="second"),
        FakeJob({"model": "a"}, 0.9, 1, name="first"),
    ]
    outcome = SweepOutcome.of(write_sweep(tmp_path, jobs))
    (group,) = outcome.groups
    assert (group.values, len(group.rows)) == ([0.8, 0.9], 3)
    assert "Job 1 is a repetition of job 0" in " ".join(told_of(outcome))


def test_a_plain_run_beside_its_folds_has_a_line_of_another_name(tmp_path: Path) -> None:
    """`dataset.fold=null,0,1`: the folds are one setting, the run without a fold is another."""
    jobs = [FakeJob({"dataset.fold": "null"}, 0.9)]
    jobs += [FakeJob({"dataset.fold": i}, 0.8 + i / 10, fold=(i, 2)) for i in range(2)]
    outcome = SweepOutcome.of(write_sweep(tmp_path, jobs))
    names = {describe_settings(group.settings): group.mean for group in outcome.groups}
    assert names == {"fold=null": pytest.approx(0.9), "fold=0, 1": pytest.approx(0.85)}
    assert "fold  " in closing_screen(outcome)


def test_folds_alone_need_no_name(tmp_path: Path) -> None:
    """Nothing tells them from another setting, as there is none."""
    jobs = [FakeJob({"dataset.fold": i}, 0.8, fold=(i, 2)) for i in range(2)]
    (group,) = SweepOutcome.of(write_sweep(tmp_path, jobs)).groups
    assert group.settings == {}
