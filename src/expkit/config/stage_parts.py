"""The optimizer, schedule and loss of a training stage's own, in place of the run's.

A stage's part is null (the run's is used), a choice by name, some keys of the run's with other
values, or a part written out; `write_out` makes each of them whole, so that config.yaml shows what
was used. Hydra cannot change a key of a part that is only named yet: such words wait aside, under
`_changed_`, until it is known.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.config.choice_defaults import chosen_values
from expkit.config.key_synonyms import CHOICES, names_for, squeezed
from expkit.config.paths import conf_folders, list_choices
from expkit.config.suggestions import BASE, Choices, advise_part, may_take
from expkit.config.targets.annotations import spelled
from expkit.errors import UserError, nearest_of

OWN_PARTS = ("optimizer", "schedule", "loss")
CHANGED, ADDED, CHOICE = "_changed_", "_added_", "_choice_"
Part = Mapping[str, Any]

_PLACE = rf"(?P<stage>procedure\.[^.=\s]+\.)?(?P<group>{'|'.join(OWN_PARTS)})"
_KEY = re.compile(rf"(?P<plus>\+{{0,2}}){_PLACE}\.(?P<key>[^=]+)=(?P<value>.*)", re.DOTALL)
_ASIDE = re.compile(
    rf"\+\+(?P<stage>procedure\.[^.=\s]+\.)?(?P<aside>{CHANGED}|{ADDED})\.(?P<rest>[^=]+)=",
)


def set_aside(words: Sequence[str]) -> list[str]:
    """The words as Hydra takes them: keys of parts that are known only later stand aside."""
    return [_set_aside(word) for word in words]


def _set_aside(word: str) -> str:
    found = _KEY.fullmatch(word)
    if found is None or (found["stage"] is None and not found["key"].startswith(f"{BASE}.")):
        return word
    key, value = found["key"], found["value"]
    if key.rpartition(".")[2] == BASE and not value.startswith("{"):
        key = f"{key}.{CHOICE}"
    aside = ADDED if found["plus"] == "+" else CHANGED
    return f"++{found['stage'] or ''}{aside}.{found['group']}.{key}={value}"


def as_typed(words: Sequence[str]) -> list[str]:
    """The words as a user types them; takes back `set_aside`."""
    return [_ASIDE.sub(_typed_key, word) for word in words]


def _typed_key(found: re.Match[str]) -> str:
    plus = "+" if found["aside"] == ADDED else ""
    return f"{plus}{found['stage'] or ''}{found['rest'].removesuffix(f'.{CHOICE}')}="


def write_out(config: Part) -> dict[str, Any]:
    """The config with every part of a stage's own whole, and a base of an optimizer, too."""
    whole = {key: value for key, value in config.items() if key not in (CHANGED, ADDED)}
    for group in OWN_PARTS:
        if isinstance(config.get(group), Mapping):
            whole[group] = _write_out(config, config[group], group, group)
    procedure = config.get("procedure")
    if isinstance(procedure, Mapping):
        whole["procedure"] = {
            name: _with_own_parts(stage, f"procedure.{name}", whole, procedure)
            for name, stage in procedure.items()
        }
    return whole


def _with_own_parts(stage: Any, key: str, run: Part, procedure: Part) -> Any:
    if not isinstance(stage, Mapping):
        return stage
    whole = {name: value for name, value in stage.items() if name not in (CHANGED, ADDED)}
    if len(whole) < len(stage) and "_target_" not in stage:
        name = key.partition(".")[2]
        known = [each for each, node in procedure.items() if "_target_" in (node or {})]
        raise UserError(
            f"there is no stage '{name}'",
            where=key,
            nearest=nearest_of(name, known),
            allowed=", ".join(known),
        )
    for group in OWN_PARTS:
        given, is_changed = stage.get(group), group in _asides(stage)
        if isinstance(given, str | Mapping) or is_changed:
            usual = run.get(group) if isinstance(run.get(group), Mapping) else {}
            whole[group] = _write_out(stage, given, group, f"{key}.{group}", usual)
    return whole


def _asides(holder: Part) -> set[str]:
    """The groups of which a key was set aside."""
    return {group for aside in (CHANGED, ADDED) for group in holder.get(aside) or {}}


def _write_out(holder: Part, given: Any, group: str, key: str, run: Any = None) -> dict[str, Any]:
    """One part as its holder has it, with what was set aside for it."""
    node: dict[str, Any]
    if isinstance(given, str):
        node = read_choice(group, given, key)
    elif isinstance(given, Mapping) and ("_target_" in given or run is None):
        node = dict(given)
    else:  # some keys of the run's
        node = _changed(dict(run or {}), given or {}, key, group, adds=False)
    for aside, adds in ((CHANGED, False), (ADDED, True)):
        node = _changed(node, (holder.get(aside) or {}).get(group) or {}, key, group, adds=adds)
    return with_whole_base(node, key)


def with_whole_base(node: Part, key: str) -> dict[str, Any]:
    """A part whose base is a mapping, too, where it has one."""
    base = node.get(BASE)
    return {**node, BASE: _read_base(base, f"{key}.{BASE}")} if isinstance(base, str) else {**node}


def _changed(
    node: dict[str, Any], changes: Part, key: str, group: str, *, adds: bool
) -> dict[str, Any]:
    """A part with other values, of which a new key is refused unless it is to be added."""
    for name, value in changes.items():
        if name == CHOICE:
            continue
        full = f"{key}.{name}"
        if name not in node and name != "_target_" and not (adds and may_take(node, group, name)):
            raise _no_such_key(name, value, node, key, group)
        if not isinstance(value, Mapping) or "_target_" in value:
            node[name] = value
            continue
        inner = node.get(name)
        if CHOICE in value:
            inner = value[CHOICE]
        if name == BASE and isinstance(inner, str):
            inner = _read_base(inner, full)
        if name == BASE and isinstance(inner, Mapping) and "lr" in node:
            for each in value:
                if "lr" in names_for(each) and each not in inner:
                    raise _rate_of_base(each, value[each], key)
        if isinstance(inner, Mapping):
            node[name] = _changed(dict(inner), value, full, group, adds=adds)
        else:
            node[name] = dict(value)
    return node


def _no_such_key(name: str, value: object, node: Part, key: str, group: str) -> UserError:
    choices = Choices([group], conf_folders())
    advice = advise_part(key, group, with_whole_base(node, key), name, spelled(value), choices)
    first = advice.words[0] if advice.words else []
    adds = any(word.startswith("+") for word in first)
    shown = first[0] if len(first) > 1 else "".join(first).partition("=")[0]
    return UserError(
        f"there is no key '{key}.{name}'",
        where=f"{key}.{name}={spelled(value)}",
        nearest=None if adds else shown or None,
        allowed=", ".join(each for each in node if not each.startswith("_")),
        fix=f"expkit train {shlex.join(first)}"
        if first
        else f"expkit list {group}   (choices that may have it)",
    )


def _rate_of_base(name: str, value: object, key: str) -> UserError:
    return UserError(
        "the learning rate is that of the optimizer around it, which its base takes over",
        where=f"{key}.{BASE}.{name}={spelled(value)}",
        nearest=f"{key}.lr",
        fix=f"expkit train {key}.lr={spelled(value)}",
    )


def read_choice(group: str, name: str, key: str) -> dict[str, Any]:
    """The part that a choice of a group makes; a misspelt one is refused with the nearest."""
    known = list_choices(group, conf_folders())
    if name not in known:
        alias = CHOICES.get(group, {}).get(squeezed(name))
        alike = [each for each in known if squeezed(each) == squeezed(name)]
        nearest = alias or (alike[0] if alike else nearest_of(name.lower(), known))
        raise UserError(
            f"there is no {group} called '{name}'",
            where=f"{key}={name}",
            nearest=nearest,
            allowed=", ".join(known),
            fix=f"expkit train ... {key}={nearest}" if nearest else f"expkit list {group}",
        )
    node: dict[str, Any] = chosen_values({group: name})[group]
    return node


def _read_base(name: str, key: str) -> dict[str, Any]:
    """The optimizer that another is built on: the learning rate is the outer one's."""
    node = read_choice("optimizer", name, key)
    if BASE in node:
        raise UserError(
            f"{name} is built on another optimizer itself",
            where=f"{key}={name}",
            allowed="an optimizer that takes the step: adam, adamw, sgd ...",
            fix=f"expkit train ... {key}=adam",
        )
    node.pop("lr", None)
    return node


def own_parts(config: Part, stage: str) -> dict[str, Part]:
    """The parts that a stage has of its own, in a config that is written out."""
    node = (config.get("procedure") or {}).get(stage) or {}
    return {group: node[group] for group in OWN_PARTS if isinstance(node.get(group), Mapping)}


def config_of_stage(config: Part, stage: str) -> Part:
    """The run's config as it is for one stage: its own parts stand where the run's do."""
    own = own_parts(config, stage)
    return {**config, **own} if own else config
