"""Why Hydra could not compose: which word, and what was probably meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from expkit.config.places import (
    builtin_conf,
    conf_folders,
    conf_left_out,
    list_choices,
    list_groups,
)
from expkit.errors import UserError, nearest_of

# mappings of parts by name, and the group whose choices can be added to each
GROUPS_OF_MAPPINGS = {"procedure": "stage", "augment.transforms": "transform"}


def explain_composition(words: Sequence[str], error: Exception) -> UserError:
    """The message for an error of Hydra's; its own words where no override is to blame."""
    explained = _find_fault(words)
    if explained is not None:
        return explained
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return UserError(lines[0], where="\n".join(lines[1:5]), fix="expkit train --help")


def explain_sweep(words: Sequence[str]) -> None:
    """Refuse a sweep once, before its first job, if a word of it cannot be composed."""
    fault = _find_fault(words)
    if fault is not None:
        fix = fault.details["do"]
        raise UserError(
            fault.what,
            where=fault.details["where"],
            nearest=fault.details["nearest"],
            allowed=fault.details["allowed"],
            fix=re.sub("^expkit train (?!-m )", "expkit train -m ", fix) if fix else None,
        )


def _find_fault(words: Sequence[str]) -> UserError | None:
    try:
        _check_words(words)
    except UserError as explained:
        return explained
    except Exception:
        return None  # what Hydra cannot compose, we cannot either
    return None


def _check_words(words: Sequence[str]) -> None:
    texts, folders = _split_words(words)
    groups = [group for group in list_groups(folders) if not group.startswith("hydra/")]
    overrides = [_spell_out(parse_override(text), groups, folders) for text in texts]
    for override in overrides:
        _check_choice(override, groups, folders)
    config = _compose([o for o in overrides if _is_group(o, groups)], folders)
    for override in overrides:
        if not _is_group(override, groups):
            _check_key(override, config)


def _split_words(words: Sequence[str]) -> tuple[list[str], list[Path]]:
    """The overrides among the words, and the folders that choices come from."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    for flag in ("--cfg", "-c", "--info", "-i", "--package", "-p", "--config-name", "-cn"):
        parser.add_argument(flag, nargs="?")
    known, rest = parser.parse_known_args(list(words))
    extra = [Path(known.config_dir)] if known.config_dir else []
    return [word for word in rest if not word.startswith("-")], [*extra, *conf_folders()]


def parse_override(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except (OverrideParseException, HydraException) as error:
        raise UserError(
            f"'{text}' cannot be read as an override",
            where=str(error).strip().splitlines()[-1],
            allowed="key=value, +key=value, ++key=value, ~key, group=choice",
            fix="put the word in quotes for the shell: 'key=\"a value\"'\n"
            "names within {} stand without quotes: 'key={a*: {b: 1}, *: {}}'",
        ) from error


def _is_group(override: Override, groups: Sequence[str]) -> bool:
    return override.key_or_group in groups and "." not in override.key_or_group


def _spell_out(override: Override, groups: Sequence[str], folders: list[Path]) -> Override:
    """`model=glob(*)` as the choices that it means."""
    if override.value_type is not ValueType.GLOB_CHOICE_SWEEP:
        return override
    if not _is_group(override, groups):
        raise UserError(
            f"glob() means files of a group, and '{override.key_or_group}' is none",
            where=override.input_line,
            allowed=", ".join(groups),
            fix=f"expkit train -m {override.key_or_group}=VALUE,VALUE",
        )
    choices = list_choices(override.key_or_group, folders)
    glob = override.value()
    assert isinstance(glob, Glob), "as its type says"
    if not (names := glob.filter(choices)):
        raise UserError(
            f"no {override.key_or_group} is meant by it",
            where=override.input_line,
            allowed=", ".join(choices),
        )
    return parse_override(f"{override.get_key_element()}={','.join(names)}")


def _values(override: Override) -> Iterator[Any]:
    """The value, or each of a sweep's."""
    if override.is_sweep_override():
        yield from override.sweep_iterator()
    else:
        yield override.value()


def _check_choice(override: Override, groups: Sequence[str], folders: list[Path]) -> None:
    if not _is_group(override, groups) or override.is_delete():
        return
    group, choices = override.key_or_group, list_choices(override.key_or_group, folders)
    for value in _values(override):
        for name in value if isinstance(value, list) else [value]:
            if name is not None and str(name) not in choices:
                nearest = nearest_of(str(name), choices)
                raise UserError(
                    f"there is no {group} called '{name}'",
                    where="\n".join(filter(None, [override.input_line, conf_left_out()])),
                    nearest=nearest,
                    allowed=", ".join(choices),
                    fix=f"expkit train {group}={nearest}" if nearest else f"expkit list {group}",
                )


def _compose(choices: Sequence[Override], folders: Sequence[Path]) -> Mapping[str, Any]:
    """The config of the group choices alone, whose keys the other words must match."""
    import hydra

    # a recipe last, as its own choices stand above those before it
    ordered = sorted(choices, key=lambda override: override.key_or_group == "experiment")
    texts = [_first_of_sweep(override) for override in ordered]
    places = ",".join(f"file://{folder.absolute()}" for folder in folders)
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        config = hydra.compose("config", overrides=[*texts, f"hydra.searchpath=[{places}]"])
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _first_of_sweep(override: Override) -> str:
    if not override.is_sweep_override():
        return override.input_line or ""
    return f"{override.get_key_element()}={next(_values(override))}"


def _check_key(override: Override, config: Mapping[str, Any]) -> None:
    """A key that is overridden or deleted must be there; one that is added need not."""
    key = override.key_or_group
    if override.is_add() or override.is_force_add() or key.startswith("hydra"):
        return
    node: Any = config
    for depth, name in enumerate(parts := key.split(".")):
        if not isinstance(node, Mapping) or name not in node:
            raise _no_such_key(override, node, parts[:depth], parts[depth:], config)
        node = node[name]
    if isinstance(node, Mapping) and not override.is_delete() and "_target_" not in node:
        _check_added(override, node)


def _check_added(override: Override, node: Mapping[str, Any]) -> None:
    """A mapping's new names are added only where the word says so."""
    for value in _values(override):
        new = [name for name in value if name not in node] if isinstance(value, dict) else []
        if new:
            raise UserError(
                f"'{override.key_or_group}' has no '{new[0]}' yet",
                where=override.input_line,
                allowed=", ".join(map(str, node)) or "nothing: it is empty",
                fix=f"expkit train '+{override.input_line}'   (the + adds it)",
            )


def _no_such_key(
    override: Override,
    node: Any,
    above: list[str],
    missing: list[str],
    config: Mapping[str, Any],
) -> UserError:
    keys = (
        [key for key in node if not str(key).startswith("_")] if isinstance(node, Mapping) else []
    )
    names = keys if above else [*keys, "experiment"]
    name, *below = missing
    prefix = ".".join([*above, ""])
    nearest = nearest_of(name, names)
    meant = [".".join([prefix + nearest, *below])] if nearest else _keys_called(name, config)
    value = (override.input_line or "").partition("=")[2]
    fix = f"expkit train {(meant or [f'+{override.key_or_group}'])[0]}={value or 'VALUE'}"
    group = GROUPS_OF_MAPPINGS.get(".".join(above))
    if group is not None and not meant:
        fix = f"expkit train +{group}@{prefix}{name}=CHOICE   (expkit list {group})"
    return UserError(
        f"there is no key '{prefix}{name}'",
        where=override.input_line,
        nearest=", ".join(meant[:4]) or None,
        allowed=", ".join(map(str, names)) or f"{prefix.rstrip('.')} holds no keys",
        fix=fix,
    )


def _keys_called(name: str, config: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every full key whose last name is this one: `lr` is probably `optimizer.lr`."""
    found = []
    for key, value in config.items():
        if key == name and prefix:
            found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found.extend(_keys_called(name, value, f"{prefix}{key}."))
    return found
