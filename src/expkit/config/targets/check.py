"""Refusing a wrong part: its target, its arguments and their values.

The words of a target are judged before anything is imported, those of every part within it too.
Then expkit's own classes are looked at, which import no torch, and last those of a library or of
the user's own modules, which may.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from expkit.config.build_errors import explain_failure
from expkit.config.plain_config import refuse_interpolations, values_within
from expkit.config.targets.allowed import is_as_shipped, is_expkits, role_of, role_within
from expkit.config.targets.annotations import describe, fits, spelled
from expkit.config.targets.imported_objects import NameNotThereError, load, stated_arguments
from expkit.config.targets.signatures import Parameter, Signature, read_signature
from expkit.config.targets.trust import not_there, refuse_object, refuse_words
from expkit.errors import UserError, nearest_of

HYDRA_KEYS = frozenset({"_target_", "_partial_", "_convert_", "_recursive_", "_args_"})
# what Hydra's own keys of a part may be
HYDRA_VALUES: Mapping[str, tuple[object, ...]] = {
    "_partial_": (True, False),
    "_recursive_": (True, False),
    "_convert_": ("none", "partial", "object", "all"),
}
MOST_VALUES = 2_000  # of a model: each layer that is built takes a millisecond or several
MOST_PARTS = 500  # within one part
MISSING = "???"  # how OmegaConf writes a value that is still to be given
# what a model, an optimizer and a scheduler are called with once the data is known
RUN_TIME_NAMES = frozenset({"image_shape", "num_outputs", "params", "optimizer"})


@dataclass(frozen=True)
class _Part:
    """A part of a config, or one within it."""

    node: Mapping[str, object]
    key: str
    role: str
    is_final: bool  # the config gives all its arguments

    @property
    def target(self) -> str:
        return str(self.node["_target_"])

    @property
    def is_expkits(self) -> bool:
        return is_expkits(self.target, self.role)


def check_part(
    node: Mapping[str, object],
    key: str,
    *,
    trusted: Collection[str] = (),
    import_others: bool = True,
) -> None:
    """Refuse a part, or a part within it, that could not be built as it is written.

    Without `import_others` only expkit's own classes are looked at; the words of all are.
    """
    refuse_interpolations(node, key)
    _refuse_endless(node, key)
    parts = list(_all_parts(node, key, role_of(key), is_final=True))
    for part in parts:
        refuse_words(_target_of(part.node, part.key), part.key, part.role, trusted)
        _refuse_hydra_values(part)
    own = [part for part in parts if part.is_expkits]
    others = [p for p in parts if not p.is_expkits and not is_as_shipped(p.node, p.role)]
    for part in [*own, *(others if import_others else ())]:
        _check_arguments_of(part, trusted)


def signature_of(
    target: str, key: str, role: str, trusted: Collection[str] = ()
) -> Signature | None:
    """The arguments of a target that may be named there; None where it does not tell them."""
    refuse_words(target, key, role, trusted)
    if is_expkits(target, role) and (stated := stated_arguments(target)) is not None:
        return read_signature(stated)
    found: Any = explain_failure({"_target_": target}, key, lambda: _load(target, key))
    refuse_object(found, target, key, role, trusted)
    return read_signature(found)


def _load(target: str, key: str) -> object:
    try:
        return load(target)
    except NameNotThereError as error:
        raise not_there(error.owner, error.name, error.names, target, key) from None


def _refuse_endless(node: Mapping[str, object], key: str) -> None:
    """Refuse a part that would take minutes to build, whatever comes of it then."""
    inner = list(values_within(node))
    num_parts = sum(isinstance(value, Mapping) and "_target_" in value for value in inner)
    for what, number, most in (
        ("values", len(inner) if key == "model" else 0, MOST_VALUES),
        ("parts", num_parts, MOST_PARTS),
    ):
        if number > most:
            raise UserError(
                f"{key} is made of {number:,} {what}, which would take long to build",
                where=f"{key}._target_={node.get('_target_')}",
                allowed=f"at most {most:,}",
                fix="build them in a class of your own, which takes their number",
            )


def check_fields(values: Mapping[str, object], kind: type, key: str) -> None:
    """Refuse values that a dataclass does not have or does not allow.

    They are taken as they are: no part within them is built, whatever it names.
    """
    signature = read_signature(kind)
    assert signature is not None, "a dataclass tells its fields"
    where = f" ({kind.__module__}.{kind.__qualname__})" if key else ""
    given = {name: _without_targets(value) for name, value in _given(values).items()}
    _check_arguments(given, signature, key, where, is_final=True)


def _without_targets(value: object) -> object:
    if isinstance(value, Mapping):
        inner = {name: _without_targets(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if name != "_target_"}
    return [_without_targets(each) for each in value] if isinstance(value, list) else value


# A part and the parts within it.


def _all_parts(
    node: Mapping[str, object], key: str, role: str, *, is_final: bool
) -> Iterator[_Part]:
    yield _Part(node, key, role, is_final)
    # Where Hydra does not build the parts within, their builder may add arguments of its own.
    is_final = is_final and node.get("_recursive_") is not False
    for part_key, part in _parts_within(node, key):
        yield from _all_parts(part, part_key, role_within(role, part_key), is_final=is_final)


def _parts_within(node: object, key: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The nearest parts below a node, with their full keys."""
    below: list[tuple[str, object]] = []
    if isinstance(node, Mapping):
        below = [(f"{key}.{name}", value) for name, value in node.items()]
    elif isinstance(node, list | tuple):
        below = [(f"{key}[{index}]", value) for index, value in enumerate(node)]
    for inner_key, value in below:
        if isinstance(value, Mapping) and "_target_" in value:
            yield inner_key, value
        else:
            yield from _parts_within(value, inner_key)


def _target_of(node: Mapping[str, object], key: str) -> str:
    target = node.get("_target_")
    is_path = isinstance(target, str) and all(map(str.isidentifier, target.split(".")))
    if isinstance(target, str) and is_path and "." in target:
        return target
    given = "no _target_" if "_target_" not in node else f"a wrong _target_: {_quoted(target)}"
    raise UserError(
        f"{key} has {given}",
        where=f"{key}._target_",
        allowed="a dotted path to a class or function, such as torch.optim.Adam",
    )


def _refuse_hydra_values(part: _Part) -> None:
    """Hydra takes some for others without a word, and stumbles over the rest."""
    for name, allowed in HYDRA_VALUES.items():
        if name in part.node and part.node[name] not in allowed:
            raise UserError(
                f"{part.key}.{name} cannot be {_quoted(part.node[name])}",
                where=f"{part.key}.{name}={_shown(part.node[name])} ({part.target})",
                nearest=nearest_of(str(part.node[name]), map(str, allowed)),
                allowed=", ".join(map(spelled, allowed)),
            )


# What a target is given.


def _check_arguments_of(part: _Part, trusted: Collection[str]) -> None:
    signature = signature_of(part.target, part.key, part.role, trusted)
    if signature is None:
        return
    is_partial = part.node.get("_partial_") is True
    late = RUN_TIME_NAMES if is_partial else frozenset()
    given = _positional(part.node, signature) | _given(part.node)
    is_whole = part.is_final and not is_partial
    where = f" ({part.target})"
    _check_arguments(given, signature, part.key, where, is_final=is_whole, late=late)
    if part.is_expkits:
        _check_together(part.target, part.key, given)


def _check_together(target: str, key: str, given: Mapping[str, object]) -> None:
    """Refuse values that do not go together, where the stated arguments know of such."""
    stated: Any = stated_arguments(target)
    if hasattr(stated, "check_together"):
        defaults = {each.name: each.default for each in dataclasses.fields(stated)}
        values = {n: v for n, v in {**defaults, **given}.items() if v is not dataclasses.MISSING}
        stated.check_together(**{"key": key, **values})


def _given(node: Mapping[str, object]) -> dict[str, object]:
    return {name: v for name, v in node.items() if name not in HYDRA_KEYS and v != MISSING}


def _positional(node: Mapping[str, object], signature: Signature) -> dict[str, object]:
    names = [each.name for each in signature.parameters.values() if not each.keyword_only]
    values = node.get("_args_")
    return dict(zip(names, values, strict=False)) if isinstance(values, list) else {}


def _check_arguments(
    given: Mapping[str, object],
    signature: Signature,
    key: str,
    where: str,
    *,
    is_final: bool,
    late: Collection[str] = (),
) -> None:
    allowed = {name: each for name, each in signature.parameters.items() if name not in late}
    for name, value in given.items():
        if name in allowed:
            _check_value(value, allowed[name], f"{key}.{name}" if key else name, where)
        elif name in late or not signature.takes_any:
            fix = "leave it out: the run gives it" if name in late else None
            raise _unknown_argument(name, value, list(allowed), key, where, fix)
    missing = [each for each in allowed.values() if each.required and each.name not in given]
    if is_final and missing:
        raise _missing_argument(missing[0], key, where)


def _check_value(value: object, parameter: Parameter, full_key: str, where: str) -> None:
    if not fits(value, parameter.annotation):
        raise UserError(
            f"{full_key} cannot be {_quoted(value)}",
            where=f"{full_key}={_shown(value)}{where}",
            allowed=describe(parameter.annotation),
        )


def _unknown_argument(
    name: str, value: object, names: list[str], key: str, where: str, fix: str | None
) -> UserError:
    nearest = nearest_of(name, names)
    start = f"{key}." if key else ""
    return UserError(
        f"{key} has no argument '{name}'" if key else f"there is no setting '{name}'",
        where=f"{start}{name}={_shown(value)}{where}",
        nearest=start + nearest if nearest else None,
        allowed=", ".join(names) or "no arguments",
        fix=fix,
    )


def _missing_argument(parameter: Parameter, key: str, where: str) -> UserError:
    full_key = f"{key}.{parameter.name}" if key else parameter.name
    return UserError(
        f"{key} needs the argument '{parameter.name}'" if key else f"{full_key} must be given",
        where=f"{full_key}{where}",
        allowed=describe(parameter.annotation),
        fix="`_partial_: true` in its YAML: the run gives it this argument"
        if parameter.name in RUN_TIME_NAMES
        else f"set {full_key}=...",
    )


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "{...}"
    text = spelled(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
