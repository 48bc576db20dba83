"""Runs that are draws of one recipe: alike but for the seed, what follows it, and the fold."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from expkit.records.places import is_same_place

SEED, FOLD, NUM_FOLDS = "seed", "dataset.fold", "dataset.num_folds"
MIN_SEEDS = 3  # with fewer, a setting that was chosen for each seed looks as if it followed it
SPLITS_OF_FOLDS = ("train", "val")
PLAIN = (str, bool, int, float)

# what names a run or judges it, rather than sets it up
NOT_SETTINGS = frozenset(
    {
        *("name", "hypothesis", "compared_with", "criteria", "reference", "output_dir"),
        *("trust", "hydra", "plots", "mirror", "logger", "diagnosis", "tags"),
    }
)


@dataclass(frozen=True)
class Setup:
    """The records of one run that decide which recipe it is a draw of."""

    config: Mapping[str, Any]  # flat: {"model.depth": 2}
    # fingerprints of the data, by split; None: not known
    prints: Mapping[str, str | None] = field(default_factory=dict)
    proof: Hashable = None  # two runs of one draw with the same proof are one run made twice


@dataclass(frozen=True)
class Folding:
    """Tell which runs are one recipe, by their places."""

    recipes: Sequence[Sequence[int]]  # in the order of their first runs; repetitions left out
    repeats: Mapping[int, int]  # a run made twice: the place of the first of it
    followers: Sequence[str]  # keys that have one value for each seed, and so are part of it


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Write `{"model": {"depth": 2}}` as `{"model.depth": 2}`."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def draw_of(config: Mapping[str, Any]) -> Hashable:
    """The seed; in cross-validation the seed with the fold."""
    fold = fold_of(config)
    return config.get(SEED) if fold is None else (config.get(SEED), fold)


def fold_of(config: Mapping[str, Any]) -> int | None:
    """The fold that is held out; None where a run has none."""
    fold = config.get(FOLD)
    return fold if isinstance(fold, int) and config.get(NUM_FOLDS) is not None else None


def count_folds(folds: Sequence[int | None]) -> int:
    """The number of folds that stand beside each other; one alone is no cross-validation."""
    count = len({fold for fold in folds if fold is not None})
    return count if count > 1 else 0


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run: not its name, not how it is judged, and neither seed nor fold."""
    has_fold = fold_of(config) is not None
    return {key: value for key, value in config.items() if _is_setting(key, has_fold=has_fold)}


def _is_setting(key: str, *, has_fold: bool) -> bool:
    if key == SEED or (key == FOLD and has_fold):
        return False
    return key.partition(".")[0] not in NOT_SETTINGS


def fold_draws(setups: Sequence[Setup]) -> Folding:
    """Group runs that are alike but for their draw; one that was made twice counts once.

    The same draw by other code is the start of another recipe, as that is what is compared then.
    """
    settings = _varying([setup.config for setup in setups])
    followers = _followers([setup.config.get(SEED) for setup in setups], settings)
    parts: dict[tuple[str, int], list[int]] = {}
    seen: dict[tuple[str, Hashable], dict[Hashable, int]] = {}
    repeats: dict[int, int] = {}
    for place, (setup, each) in enumerate(zip(setups, settings, strict=True)):
        own = {key: value for key, value in each.items() if key not in followers}
        key = repr((sorted(own.items()), _prints(setup, followers)))
        before = seen.setdefault((key, draw_of(setup.config)), {})
        proof: Hashable = (setup.proof, tuple(sorted(setup.prints.items())))
        if None in setup.prints.values():  # nothing proves that the data was the same
            proof = (proof, place)
        if proof in before:
            repeats[place] = before[proof]
            continue
        parts.setdefault((key, len(before)), []).append(place)
        before[proof] = place
    return Folding(list(parts.values()), repeats, followers)


def _varying(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The settings that not all have alike, as text: 1 is not 1.0, and None is a value."""
    keys = differing_keys(configs)
    return [
        {
            key: repr(config[key])
            for key in keys
            if key in config and _is_setting(key, has_fold=fold_of(config) is not None)
        }
        for config in configs
    ]


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that these flat configs do not all have alike, in the order of the configs."""
    first = configs[0] if configs else {}
    alike = {
        key
        for key, value in first.items()
        if all(key in each and _is_same(each[key], value) for each in configs)
    }
    return [key for key in dict.fromkeys(chain.from_iterable(configs)) if key not in alike]


def _is_same(one: Any, other: Any) -> bool:
    """Tell whether two values read the same; plain ones are not written out for it, as it takes."""
    if one is other or (type(one) is type(other) and type(one) in PLAIN and one == other):
        return True
    return repr(one) == repr(other) or is_same_place(one, other)


def _followers(seeds: Sequence[Any], settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys whose value is one for each seed, by the same mapping in all runs.

    Such a key is a seed's by its name; any other one has to show it, over seeds enough and either
    by being the seed or in several recipes.
    """
    keys = dict.fromkeys(key for each in settings for key in each)
    found = {key: _by_seed(key, seeds, settings) for key in keys}
    mappings = {key: values for key, values in found.items() if len(set(values.values())) > 1}
    if not mappings:
        return []
    recipes: dict[Any, set[str]] = {}
    for seed, each in zip(seeds, settings, strict=True):
        rest = repr(sorted((key, value) for key, value in each.items() if key not in mappings))
        recipes.setdefault(seed, set()).add(rest)
    is_enough = len(recipes) >= MIN_SEEDS
    has_rivals = min(len(each) for each in recipes.values()) > 1
    return [
        key
        for key, values in mappings.items()
        if SEED in key.rpartition(".")[2]
        or (is_enough and all(value == repr(seed) for seed, value in values.items()))
        or (is_enough and has_rivals and len(set(values.values())) == len(values))
    ]


def _by_seed(
    key: str, seeds: Sequence[Any], settings: Sequence[Mapping[str, str]]
) -> dict[Any, str]:
    """The key's value for each seed; empty where one seed has two."""
    values: dict[Any, str] = {}
    for seed, each in zip(seeds, settings, strict=True):
        value = each.get(key, "")
        if values.setdefault(seed, value) != value:
            return {}
    return values


def _prints(setup: Setup, followers: Sequence[str]) -> list[tuple[str, str | None]]:
    """The data that all draws of a recipe share: folds and a seed of the splits change it."""
    if any(key.startswith("dataset.") for key in followers):
        return []
    is_fold = fold_of(setup.config) is not None
    return sorted(
        (split, print_)
        for split, print_ in setup.prints.items()
        if not (is_fold and split in SPLITS_OF_FOLDS)
    )
