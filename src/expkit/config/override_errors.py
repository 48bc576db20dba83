"""Why Hydra could not compose: which word, and what was probably meant."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from expkit.config.hydra_errors import explain_hydra, search_words
from expkit.config.key_synonyms import TABLE_SUFFIXES
from expkit.config.paths import (
    builtin_conf,
    conf_folders,
    conf_left_out,
    list_choices,
    list_groups,
    values_to_give,
)
from expkit.config.stage_parts import OWN_PARTS, set_aside, with_whole_base
from expkit.config.suggestions import Choices, advise, advise_part
from expkit.config.targets.check import check_part
from expkit.errors import UserError, nearest_of

# mappings of parts by name, and the group whose choices can be added to each
LEAVE_OUT = "leave that word out: there is nothing to take away"
GROUPS_OF_MAPPINGS = {"procedure": "stage", "augment.transforms": "transform"}


def explain_composition(words: Sequence[str], error: Exception) -> UserError:
    """The message for an error of Hydra's; its own words where no override is to blame."""
    explained = find_fault(words)
    if explained is not None:
        return explained
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return explain_hydra(words, lines[0]) or UserError(
        lines[0], where="\n".join(lines[1:5]), fix="expkit train --help"
    )


def explain_refusal(words: Sequence[str], error: Exception) -> Exception:
    """A refusal of a key that was added, with the key that was meant, where one is known."""
    is_bare = isinstance(error, UserError) and not (error.details["nearest"] or error.details["do"])
    where = str(error.details["where"]) if isinstance(error, UserError) else ""
    added = [word for word in words if word.startswith("+")]
    plain = {word: word.lstrip("+") for word in added if where.startswith(word.lstrip("+")[:40])}
    if not is_bare or not plain:
        return error
    fault = find_fault([plain.get(word, word) for word in words])
    return fault if fault is not None and fault.details["nearest"] else error


def explain_sweep(words: Sequence[str]) -> None:
    """Refuse a sweep once, before its first job, if a word of it cannot be composed."""
    fault = find_fault(words)
    if fault is not None:
        fix = fault.details["do"]
        raise UserError(
            fault.what,
            where=fault.details["where"],
            nearest=fault.details["nearest"],
            allowed=fault.details["allowed"],
            fix=re.sub("^expkit train (?!-m )", "expkit train -m ", fix) if fix else None,
        )


def find_fault(words: Sequence[str]) -> UserError | None:
    """Find the first override that is wrong, and say why; None where none can be named."""
    try:
        _check_words(set_aside(words))
    except UserError as explained:
        return explained
    except Exception:
        return None  # what Hydra cannot compose, we cannot either
    return None


def _check_words(words: Sequence[str]) -> None:
    texts, folders = _split_words(words)
    groups = [group for group in list_groups(folders) if not group.startswith("hydra/")]
    choices = Choices(groups, folders)
    overrides = [_spell_out(parse_override(text), groups, folders) for text in texts]
    for override in overrides:
        _check_range(override, texts)
        _check_choice(override, choices)
    config = _compose([o for o in overrides if _is_group(o, groups)], folders)
    for override in overrides:
        if not _is_group(override, groups):
            _check_key(override, config, choices)


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
        if "=" not in text:
            raise _no_value(text) from error
        quoted = _quoted_for_hydra(text)
        raise UserError(
            f"'{text}' cannot be read as an override",
            where=str(error).strip().splitlines()[-1],
            allowed="key=value, +key=value, ++key=value, ~key, group=choice",
            fix=f"expkit train {shlex.quote(quoted)}   (text in quotes, within those of the shell)"
            if quoted
            else "names within {} stand without quotes: 'key={a*: {b: 1}, *: {}}'",
        ) from error


def _no_value(word: str) -> UserError:
    """The refusal of a word without `=`: a folder, or a choice whose group was left out."""
    folders = conf_folders()
    groups = [group for group in list_groups(folders) if word in list_choices(group, folders)]
    suggested = [f"{group}={word}" for group in groups]
    if Path(word).is_dir():
        suggested = [f"dataset=image_folder dataset.root={shlex.quote(word)}"]
    elif Path(word).suffix in TABLE_SUFFIXES and Path(word).is_file():
        suggested = [f"dataset=table dataset.table={shlex.quote(word)}"]
    return UserError(
        f"'{word}' gives no value to a key",
        where=word,
        nearest=", ".join(suggested) or None,
        allowed="key=value, +key=value, ++key=value, ~key, group=choice",
        fix=f"expkit train {suggested[0]}"
        if suggested
        else "expkit list   (all groups and choices)",
    )


def _quoted_for_hydra(text: str) -> str | None:
    """The word with its value as quoted text, where that can be read."""
    key, _, value = text.partition("=")
    word = f'{key}="{value}"'
    try:
        OverridesParser.create().parse_override(word)
    except (OverrideParseException, HydraException):
        return None
    return word if value and '"' not in value and not value.startswith(("[", "{")) else None


def _is_group(override: Override, groups: Sequence[str]) -> bool:
    return override.key_or_group in groups and "." not in override.key_or_group


def spell_out_globs(words: Sequence[str]) -> list[str]:
    """The words with each `model=glob(*)` as the choices that it means, less the unfinished."""
    texts, folders = _split_words(words)
    groups = list_groups(folders)
    spelled = dict(zip(texts, texts, strict=True))
    for text in (each for each in texts if "glob(" in each):
        try:
            spelled[text] = (
                _spell_out(parse_override(text), groups, folders, texts).input_line or ""
            )
        except UserError:
            continue  # said when all words are checked
    return [spelled.get(word, word) for word in words]


def _spell_out(
    override: Override, groups: Sequence[str], folders: list[Path], words: Sequence[str] = ()
) -> Override:
    """`model=glob(*)` as the choices that it means."""
    if override.value_type is not ValueType.GLOB_CHOICE_SWEEP:
        return override
    group = override.key_or_group
    if not _is_group(override, groups):
        raise UserError(
            f"glob() means files of a group, and '{group}' is none",
            where=override.input_line,
            allowed=", ".join(groups),
            fix=f"expkit train -m {group}=VALUE,VALUE",
        )
    choices = list_choices(group, folders)
    glob = override.value()
    assert isinstance(glob, Glob), "as its type says"
    if not (names := glob.filter(choices)):
        raise UserError(
            f"no {group} is meant by it",
            where=override.input_line,
            allowed=", ".join(choices),
        )
    given = {word.lstrip("+").partition("=")[0] for word in words}
    lacking = {
        name: keys
        for name in names
        if (keys := [key for key in values_to_give(choices[name]) if f"{group}.{key}" not in given])
    }
    if len(lacking) < len(names):
        for name, keys in lacking.items() if words else ():
            wanted = " ".join(f"{group}.{key}=..." for key in keys)
            print(f"note    {override.input_line} leaves out {name}, which wants {wanted}")
        names = [name for name in names if name not in lacking]
    return parse_override(f"{override.get_key_element()}={','.join(names)}")


def _values(override: Override) -> Iterator[Any]:
    """The value, or each of a sweep's."""
    if override.is_sweep_override():
        yield from override.sweep_iterator()
    else:
        yield override.value()


def _check_range(override: Override, words: Sequence[str]) -> None:
    """A range has no end of values: a grid cannot go through them."""
    is_grid = not any(word.startswith("hydra/sweeper=") for word in words)
    if override.value_type is ValueType.INTERVAL_SWEEP and is_grid:
        word = override.input_line or ""
        raise UserError(
            f"'{word}' is a range to draw from, and a grid tries every value",
            where=word,
            allowed=f"{override.key_or_group}=VALUE,VALUE in a grid; a range in a search",
            fix=f"expkit train -m {search_words(word)}",
        )


def _check_choice(override: Override, choices: Choices) -> None:
    if not _is_group(override, choices.groups) or override.is_delete():
        return
    group, known = override.key_or_group, choices.of(override.key_or_group)
    for value in _values(override):
        for name in value if isinstance(value, list) else [value]:
            if name is not None and str(name) not in known:
                suggested = choices.means(group, str(name))
                raise UserError(
                    f"there is no {group} called '{name}'",
                    where="\n".join(filter(None, [override.input_line, conf_left_out()])),
                    nearest=" ".join(suggested).removeprefix(f"{group}=") if suggested else None,
                    allowed=", ".join(known),
                    fix=f"expkit train {shlex.join(suggested)}"
                    if suggested
                    else f"expkit list {group}",
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
    optimizer = plain.get("optimizer")
    if isinstance(optimizer, dict):
        plain["optimizer"] = with_whole_base(optimizer, "optimizer")
    return {str(key): value for key, value in plain.items()}


def _first_of_sweep(override: Override) -> str:
    if not override.is_sweep_override():
        return override.input_line or ""
    return f"{override.get_key_element()}={next(_values(override))}"


def _check_key(override: Override, config: Mapping[str, Any], choices: Choices) -> None:
    """A key that is overridden or deleted must be there; one that is added need not."""
    key = override.key_or_group
    if override.is_add() or override.is_force_add() or key.startswith("hydra"):
        return
    node: Any = config
    for depth, name in enumerate(parts := key.split(".")):
        if not isinstance(node, Mapping) or name not in node:
            raise _no_such_key(override, node, parts[:depth], config, choices)
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
                fix=f"expkit train {shlex.quote(f'+{override.input_line}')}   (the + adds it)",
            )


def _is_taken(words: Sequence[str], config: Mapping[str, Any]) -> bool:
    """Tell whether expkit's own parts take the values of these words: `model.widths=-3` is none."""
    for word in words:
        key = word.partition("=")[0]
        part, *below = key.split(".")
        node = config.get(part)
        is_chosen_anew = any(other.startswith(f"{part}=") for other in words)
        if is_chosen_anew or not below or not isinstance(node, Mapping) or below[0] not in node:
            continue
        try:
            value = OverridesParser.create().parse_override(word).value()
            changed = OmegaConf.to_container(OmegaConf.merge(node, _nested(below, value)))
            check_part(cast("Mapping[str, object]", changed), part, import_others=False)
        except UserError as error:
            if str(error.details["where"]).startswith(f"{key}="):  # else it is another key's
                return False
        except (HydraException, OmegaConfBaseException, ValueError):
            continue  # another word's fault, which is named next
    return True


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Write `["a", "b"], 1` as `{"a": {"b": 1}}`."""
    first, *rest = keys
    return {first: _nested(rest, value) if rest else value}


def _no_such_key(
    override: Override,
    node: Any,
    above: list[str],
    config: Mapping[str, Any],
    choices: Choices,
) -> UserError:
    keys = (
        [key for key in node if not str(key).startswith("_")] if isinstance(node, Mapping) else []
    )
    names = keys if above else [*keys, "experiment"]
    path, prefix = override.key_or_group.split("."), ".".join([*above, ""])
    value = (override.input_line or "").partition("=")[2]
    if len(path) == 2 and path[0] in OWN_PARTS and isinstance(node, Mapping):
        advice = advise_part(path[0], path[0], node, path[1], value, choices)
    else:
        advice = advise(path, value, config, choices)
    group = GROUPS_OF_MAPPINGS.get(".".join(above))
    takes_away = override.is_delete() or (group is not None and override.value() is None)
    if takes_away:
        near = nearest_of(path[len(above)], keys)
        words = [(override.input_line or "").replace(path[len(above)], near or "", 1)]
        fix = f"expkit train {shlex.join(words)}" if near else LEAVE_OUT
    elif advice.words and _is_taken(advice.words[0], config):
        fix = f"expkit train {shlex.join(advice.words[0])}"
    elif group is not None:
        fix = f"expkit train +{group}@{prefix}{path[len(above)]}=CHOICE   (expkit list {group})"
    else:
        package = f" --package {'.'.join(above)}" if above else ""
        fix = advice.remark or f"expkit train --cfg job{package}   (shows all keys)"
    suggested = [
        words[0] if len(words) > 1 else words[0].partition("=")[0]
        for words in advice.words
        if not words[0].startswith("+")
    ]
    return UserError(
        f"there is no key '{prefix}{path[len(above)]}'",
        where=override.input_line,
        nearest=", ".join(suggested[:4]) or None,
        allowed=", ".join(map(str, names)) or f"{prefix.rstrip('.')} holds no keys",
        fix=fix,
    )
