"""The config of a run composed again: as it recorded it, but for what further words change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from expkit.config.compose import flags_last, prepare_hydra, spell_out_mirror
from expkit.config.criteria_words import spell_criteria
from expkit.config.multirun.recorded_overrides import grants_trust, may_run_code
from expkit.config.override_errors import explain_composition, find_fault
from expkit.config.paths import builtin_conf, conf_folders, list_groups
from expkit.config.plain_config import refuse_interpolations, with_own_cache
from expkit.config.run_request import OF_THE_SWEEP, current_choices
from expkit.config.schema import Config
from expkit.config.stage_parts import set_aside, write_out
from expkit.config.validation import (
    check_config,
    refuse_misplaced_mirror,
    refuse_runs_beside_code,
)
from expkit.errors import UserError

Plain = Mapping[str, Any]
# what is the user's to say, and not a recorded config's
OF_THE_USER = ("output_dir", "mirror", "trust", "tags")


@dataclass(frozen=True)
class LikeConfig:
    """A recorded config with what was changed of it."""

    config: Config
    words: list[str]  # those of the run that still hold, and the new ones
    choices: Mapping[str, str]  # by group
    changed: Mapping[str, tuple[Any, Any]]  # by key: as it was, and as it is
    kept: Sequence[str]  # keys that today's choices would give otherwise


def compose_like(
    recorded: Plain, overrides: Sequence[str], choices: Mapping[str, str], words: Sequence[str]
) -> LikeConfig:
    """Compose a run's own words with and without the new ones; what these change is changed."""
    refuse_interpolations(recorded, "")
    own = [word for word in overrides if not _is_of_user(word)]
    for word in own:
        if word.startswith("-") or may_run_code(word):
            raise UserError(
                f"a word of the run could run code of whoever began it: {word}",
                where=word,
                fix="expkit train ...   (with the words that you trust)",
            )
    if (fault := find_fault(words)) is not None:
        raise fault
    kept_words = _without_replaced(own, words)
    before, choices_before = _compose(own)
    after, choices_after = _compose([*kept_words, *words])
    mine = with_own_cache({key: value for key, value in recorded.items() if key != "mirror"})
    plain = {**_carried(mine, before, after), **{key: after[key] for key in OF_THE_USER}}
    config = check_config(plain)
    for key, place in (
        ("output_dir", config.output_dir),
        ("mirror.folder", config.mirror.get("folder")),
    ):
        if place is not None:
            refuse_runs_beside_code(key, str(place), config)
    refuse_misplaced_mirror(config.output_dir, config)
    unchanged = {
        group: name
        for group, name in choices.items()
        if choices_before.get(group) == choices_after.get(group)
    }
    told, asked, today = (
        {key: value for key, value in each.items() if key not in OF_THE_USER}
        for each in (mine, plain, before)
    )
    changed, kept = _differences(told, asked), _differences(told, today)
    words = [*kept_words, *words]
    known = [key for key in kept if _has(told, key) and _has(today, key)]
    return LikeConfig(config, words, {**choices_after, **unchanged}, changed, known)


def _has(config: Plain, key: str) -> bool:
    """Tell whether a config has a dotted key; an older one lacks what is new."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True


def _is_of_user(word: str) -> bool:
    key = _key_of(word)
    return grants_trust(word) or key.partition(".")[0] in OF_THE_USER or key.endswith(".cache_dir")


def _without_replaced(own: Sequence[str], words: Sequence[str]) -> list[str]:
    """The run's words without those that the new ones replace: of a key, or of a whole group."""
    keys = {_key_of(word) for word in words}
    groups = tuple(f"{key}." for key in keys if key in list_groups(conf_folders()))
    return [
        word for word in own if _key_of(word) not in keys and not _key_of(word).startswith(groups)
    ]


def _key_of(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _compose(words: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """A config by Hydra, with every part written out, and the choice of each group."""
    prepare_hydra()
    words = set_aside(spell_criteria([spell_out_mirror(word) for word in flags_last(words)]))
    try:
        with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
            composed = hydra.compose("config", overrides=words, return_hydra_config=True)
        HydraConfig.instance().set_config(composed)
        choices = current_choices()
        with open_dict(composed):
            del composed["hydra"]
        plain = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_composition(words, error) from error
    assert isinstance(plain, dict), "config.yaml is a mapping"
    return write_out({str(k): v for k, v in plain.items() if k not in OF_THE_SWEEP}), choices


def _carried(recorded: Plain, before: Plain, after: Plain) -> dict[str, Any]:
    """The recorded values, but where the words made a difference."""
    result: dict[str, Any] = {}
    for key in dict.fromkeys([*recorded, *after]):
        ours, old, new = (each.get(key) for each in (recorded, before, after))
        if (key in before) == (key in after) and old == new:
            if key in recorded:
                result[key] = ours
        elif all(isinstance(each, Mapping) for each in (ours, old, new)) and (
            old.get("_target_") == new.get("_target_") == ours.get("_target_")  # type: ignore[union-attr]
        ):
            result[key] = _carried(ours, old, new)  # type: ignore[arg-type]
        elif key in after:
            result[key] = new
    return result


def _differences(one: Plain, other: Plain, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """The keys in which two configs differ, with both values; None where one lacks it."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys([*one, *other]):
        ours, theirs = one.get(key), other.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            found |= _differences(ours, theirs, f"{prefix}{key}.")
        elif ours != theirs:
            found[f"{prefix}{key}"] = (ours, theirs)
    return found
