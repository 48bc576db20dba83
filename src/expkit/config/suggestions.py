"""The words that a user probably meant: each is such that it would be taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from expkit.config.key_synonyms import (
    CHOICES,
    DEVICES,
    NOT_SET,
    TABLE_SUFFIXES,
    names_for,
    squeezed,
)
from expkit.config.paths import content_of, list_choices, values_to_give
from expkit.config.targets.allowed import is_expkits, role_at
from expkit.config.targets.check import RUN_TIME_NAMES, signature_of
from expkit.config.targets.module_paths import locate
from expkit.config.targets.trust import refuse_words
from expkit.errors import UserError, nearest_of

BASE = "base"  # of an optimizer that is built on another
# mappings whose names a user may add to; others hold what their part or the run takes
OPEN = frozenset({"criteria", "reference", "ablation", "hydra"})


@dataclass(frozen=True)
class Advice:
    """Words to take in place of one that was refused: any of them, the likeliest first."""

    words: Sequence[Sequence[str]] = ()
    remark: str | None = None  # where there are no words to take


@dataclass(frozen=True)
class Choices:
    """The choices where the user stands."""

    groups: Sequence[str]
    folders: Sequence[Path]

    def of(self, group: str) -> Mapping[str, Path]:
        return list_choices(group, list(self.folders))

    def means(self, group: str, value: str) -> list[str] | None:
        """The words for a choice that is spelled in another way; None where none is near."""
        known = self.of(group)
        if value in known:
            return [f"{group}={value}"]
        alias = CHOICES.get(group, {}).get(squeezed(value).partition(":")[0])
        alike = [each for each in known if squeezed(each) == squeezed(value)]
        if alike or alias in known:
            return [f"{group}={alike[0] if alike else alias}"]
        if group == "model" and _is_in_timm(value):
            return ["model=timm", f"model.name={value}"]
        if group == "dataset" and Path(value).suffix in TABLE_SUFFIXES:
            return ["dataset=table", f"dataset.table={value}"]
        if group == "dataset" and ("/" in value or Path(value).is_dir()):
            return ["dataset=image_folder", f"dataset.root={value}"]
        nearest = nearest_of(value.lower(), known)
        return [f"{group}={nearest}"] if nearest else None


def advise(path: Sequence[str], value: str, config: Mapping[str, Any], choices: Choices) -> Advice:
    """The words for a key that is not there, by its path, and the value that it was to have."""
    node, above = config, list(path)
    while above and isinstance(node, Mapping) and above[0] in node:
        node = node[above.pop(0)]
    prefix, (name, *below) = list(path[: len(path) - len(above)]), above
    node = node if isinstance(node, Mapping) else {}
    if not prefix and (said := _said_of_others(name, value)) is not None:
        return said
    keys = [str(key) for key in node if not str(key).startswith("_")]
    keys += [] if prefix or below else ["experiment"]
    near = [each for each in names_for(name) if each in keys]
    if not near and (nearest := nearest_of(name, keys)) is not None:
        near = [nearest]
    full = [".".join([*prefix, each, *below]) for each in near]
    full += [each for each in _keys_called(name, below, config) if each not in full]
    if not near and below and prefix:  # of another stage or transform, as `train` may be named else
        full += _keys_called(below[-1], [], node, f"{'.'.join(prefix)}.")
    words = [_set(key, value, choices) for key in full]
    if any(words):
        return Advice([each for each in words if each])
    if prefix and not below and _takes(node, prefix, name):
        return Advice([[f"+{'.'.join(path)}={value or 'VALUE'}"]])
    others = _in_other_choices(prefix, name, below, value, choices)
    group = next((key for key in full if key in choices.groups), None)
    return Advice(others, remark=f"expkit list {group}" if group else None)


def advise_part(
    key: str, group: str, node: Mapping[str, Any], name: str, value: str, choices: Choices
) -> Advice:
    """The words for a key that a part lacks which stands at `key`, as a stage's own optimizer.

    They are a key of its own or of the optimizer that it is built on, or a choice that has it.
    """
    found = advise([group, name], value, {group: node}, choices)
    base = node.get(BASE)
    is_other_choice = bool(found.words) and found.words[0][0].startswith(f"{group}=")
    if is_other_choice and isinstance(base, Mapping):
        return advise_part(f"{key}.{BASE}", group, base, name, value, choices)
    words = [[each.replace(group, key, 1) for each in words] for words in found.words]
    return Advice(words, found.remark)


def _said_of_others(name: str, value: str) -> Advice | None:
    """The answer to a word that no key here stands for."""
    if name.lower() in NOT_SET:
        return Advice(remark=NOT_SET[name.lower()])
    if name.lower() not in DEVICES:
        return None
    is_off = value.lower() in ("false", "no", "off", "none", "null", "")
    return Advice([["device=cpu" if is_off else DEVICES[name.lower()]]])


def _set(key: str, value: str, choices: Choices) -> list[str]:
    """A key with its value; of a group, with the choice that the value means, if any."""
    if key not in choices.groups or value.startswith("{"):
        return [f"{key}={value or 'VALUE'}"]
    suggested = [choices.means(key, each) for each in value.split(",")]
    if len(suggested) == 1:
        return suggested[0] or []
    names = [each[0].partition("=")[2] for each in suggested if each and len(each) == 1]
    return [f"{key}={','.join(names)}"] if len(names) == len(suggested) else []


def _keys_called(
    name: str, below: Sequence[str], config: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    """Every full key whose last name means this one: `learning_rate` is `optimizer.lr`."""
    names, found = names_for(name), []
    for key, value in config.items():
        if key in names and (prefix or key != name):
            found.append(".".join([f"{prefix}{key}", *below]))
        if isinstance(value, Mapping):
            found.extend(_keys_called(name, below, value, f"{prefix}{key}."))
    return found


def _takes(node: Mapping[str, Any], path: Sequence[str], name: str) -> bool:
    """Tell whether a part takes an argument that its choice leaves out, or a mapping any name."""
    if "_target_" not in node:
        return path[0] in OPEN or path[-1] in ("options", "arguments")
    target, key, role = str(node["_target_"]), ".".join(path), role_at(path)
    try:
        refuse_words(target, key, role, ())
    except UserError:
        return False
    if name in RUN_TIME_NAMES:
        return False
    if not is_expkits(target, role):
        return _is_in_source(name, target)
    signature = signature_of(target, key, role)
    return signature is None or signature.takes_any or name in signature.parameters


def may_take(node: Mapping[str, Any], group: str, name: str) -> bool:
    """Tell whether a key can be added: refused only where a part of expkit's own has no such."""
    target = str(node.get("_target_", ""))
    is_open = "_target_" not in node or not is_expkits(target, group)
    return is_open or _takes(node, [group], name)


def _is_in_source(argument: str, target: str) -> bool:
    """Tell whether a class or function takes an argument, from its source: no torch is loaded."""
    module, names = locate(target)
    start = re.compile(rf"^(?:def|class) {re.escape(names[-1])}\b", re.MULTILINE)
    files = module.location.parent.rglob("*.py") if module.folders else [module.location]
    for file in files:
        is_source = file.suffix == ".py" and file.is_file()
        text = file.read_text("utf-8", "replace") if is_source else ""
        if found := start.search(text):
            body = re.split(r"^(?=class |def |@)", text[found.end() :], maxsplit=1, flags=re.M)[0]
            _, has_init, after = body.partition("def __init__(")
            is_function = text[found.start()] == "d"
            taken = after if has_init else body  # the fields of a dataclass stand in its body
            if has_init or is_function:
                taken = re.split(r"\)\s*(?:->[^:]*)?:\n", taken, maxsplit=1)[0]
            return "**" in taken or bool(re.search(rf"\b{re.escape(argument)}\s*[:=,]", taken))
    return True


def _in_other_choices(
    prefix: Sequence[str], name: str, below: Sequence[str], value: str, choices: Choices
) -> list[list[str]]:
    """The words for a key that other choices of a group have, where nothing else must be given."""
    if "root" in names_for(name) and list(prefix) in ([], ["dataset"]):  # of a user's own images
        return [["dataset=image_folder", f"dataset.root={value or 'FOLDER'}"]]
    groups = [prefix[0]] if prefix else [g for g in choices.groups if "/" not in g]
    for group in groups:
        if group not in choices.groups or group in ("experiment", "diagnosis", "ablation", "stage"):
            continue
        for choice, path in sorted(choices.of(group).items(), key=lambda each: len(each[0])):
            content = content_of(path)
            key = next((each for each in names_for(name) if each in content), None)
            if key is not None and not values_to_give(path):
                full = ".".join([group, key, *below])
                return [[f"{group}={choice}", f"{full}={value or 'VALUE'}"]]
    return []


def _is_in_timm(name: str) -> bool:
    """Tell whether timm registers such a model, from its source: importing it loads torch."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None or not name.isidentifier():
        return False
    files = (Path(spec.origin).parent / "models").glob("*.py")
    return any(f"\ndef {name}(" in file.read_text("utf-8") for file in files)
