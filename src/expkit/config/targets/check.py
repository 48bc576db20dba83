"""Refusing a wrong part before torch is imported: its target, its arguments and their values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from expkit.config.plain_data import refuse_interpolations, values_within
from expkit.config.targets.aliases import written_out
from expkit.config.targets.allowed import (
    can_play,
    describe_role,
    role_of,
    role_within,
    shipped_targets,
)
from expkit.config.targets.annotations import describe, fits, spelled
from expkit.config.targets.resolver import (
    KNOWN_PACKAGES,
    Module,
    TargetNotFoundError,
    find,
    spelled_module,
)
from expkit.config.targets.signatures import Parameter, Signature, read_signature
from expkit.config.user_code import is_own, why_not_own
from expkit.errors import UserError, nearest_of

NEARBY = ("torch.optim", "torch.nn", "torchvision.models", "timm.models", "kornia.augmentation")
HYDRA_KEYS = frozenset({"_target_", "_partial_", "_convert_", "_recursive_", "_args_"})
MOST_VALUES = 2_000  # of a model: each layer that is built takes a millisecond or several
MOST_PARTS = 500  # within one part
MISSING = "???"  # how OmegaConf writes a value that is still to be given
# what a model, an optimizer and a scheduler are called with once the data is known
RUN_TIME_NAMES = frozenset({"image_shape", "num_outputs", "params", "optimizer"})


def check_part(node: Mapping[str, object], key: str, *, trusted: Collection[str] = ()) -> None:
    """Refuse a part, or a part within it, that could not be built as it is written."""
    refuse_interpolations(node, key)
    _refuse_endless(node, key)
    _check_part(node, key, role_of(key), trusted, is_final=True)


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


def check_fields(values: Mapping[str, object], target: str, key: str) -> None:
    """Refuse values that the dataclass `target` does not have or does not allow.

    They are taken as they are: no part within them is built, whatever it names.
    """
    signature = read_signature(target)
    if signature is not None:
        where = f" ({target})" if key else ""
        given = {name: _without_targets(value) for name, value in _given(values).items()}
        _check_arguments(given, signature, key, where, is_final=True)


def _without_targets(value: object) -> object:
    if isinstance(value, Mapping):
        inner = {name: _without_targets(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if name != "_target_"}
    return [_without_targets(each) for each in value] if isinstance(value, list) else value


def _check_part(
    node: Mapping[str, object], key: str, role: str, trusted: Collection[str], *, is_final: bool
) -> None:
    target = _target_of(node, key)
    try:
        _check_code(target, key, role, trusted)
        signature = read_signature(target)
    except TargetNotFoundError as error:
        raise _not_found(error, target, key) from None
    if signature is not None:
        is_partial = node.get("_partial_") is True
        late = RUN_TIME_NAMES if is_partial else frozenset()
        given = _positional(node, signature) | _given(node)
        is_whole = is_final and not is_partial
        _check_arguments(given, signature, key, f" ({target})", is_final=is_whole, late=late)
    # Where Hydra does not build the parts within, their builder may add arguments of its own.
    is_final = is_final and node.get("_recursive_") is not False
    for part_key, part in _parts_within(node, key):
        _check_part(part, part_key, role_within(role), trusted, is_final=is_final)


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


# Whose code a target runs.


def _check_code(target: str, key: str, role: str, trusted: Collection[str]) -> None:
    """Refuse code that is neither on the list of its role, nor the user's own, nor trusted by name.

    Both ends count: the module that the words name, which would be imported, and what the trail
    ends in, since any module also offers what it imports (`timm.models._hub.os.system`).
    """
    found = find(target)
    home = found if isinstance(found, Module) else found.module
    named = spelled_module(target)
    if isinstance(found, Module) and _is_known(found):
        return  # nothing that could be called, which is said below
    if can_play(role, target, found) or _is_users(home, trusted):
        if _is_known(named) or _is_users(named, trusted):
            return
        raise _untrusted(target, key, role, named)
    if _is_known(home):
        raise _miscast(target, key, role)
    raise _untrusted(target, key, role, home)


def _is_known(module: Module) -> bool:
    return module.name.partition(".")[0] in KNOWN_PACKAGES


def _is_users(module: Module, trusted: Collection[str]) -> bool:
    """Tell whether a module is trusted, or the user's own; expkit's is not, in a checkout of it."""
    if module.name.partition(".")[0] in trusted:
        return True
    return not _is_known(module) and is_own(Path(module.path or module.folders[0]))


def _miscast(target: str, key: str, role: str) -> UserError:
    """The refusal of a known package's code that cannot be this part."""
    kind = "part" if role == "component" else role
    names = sorted(shipped_targets(role))
    return UserError(
        f"{key} cannot be {target}: it is no {kind} that a config may name",
        where=f"{key}._target_={target}",
        nearest=nearest_of(target, names),
        allowed=describe_role(role),
        fix="a function of your own module that calls it can be named instead",
    )


def _untrusted(target: str, key: str, role: str, module: Module) -> UserError:
    package = module.name.partition(".")[0]
    parent, _, name = target.rpartition(".")
    nearest = nearest_of(parent, NEARBY)
    through = "" if target.startswith(f"{module.name}.") else f", through {module.name}"
    near = None if module.path is None else why_not_own(Path(module.path))
    return UserError(
        f"{key} runs code outside the known packages{through}",
        where="\n".join([f"{key}._target_={target}", *([near] if near else [])]),
        nearest=f"{nearest}.{name}" if nearest and nearest != parent else None,
        allowed=describe_role(role),
        fix=f"add it if you trust it: 'trust=[{package}]'",
    )


def _not_found(error: TargetNotFoundError, target: str, key: str) -> UserError:
    nearest = nearest_of(error.part, error.names)
    if nearest is not None:
        owner = [error.owner.name] if error.owner is not None else []
        rest = f".{target}.".partition(f".{error.part}.")[2].rstrip(".")
        nearest = ".".join([*owner, nearest, *([rest] if rest else [])])
    return UserError(f"{key}: {error}", where=f"{key}._target_={target}", nearest=nearest)


# What a target is given.


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
    if fits(value, parameter.annotation, unknown=False):
        return  # no alias need be looked up
    annotation = written_out(parameter.annotation, parameter.module)
    if not fits(value, annotation):
        raise UserError(
            f"{full_key} cannot be {_quoted(value)}",
            where=f"{full_key}={_shown(value)}{where}",
            allowed=describe(annotation),
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
        allowed=describe(written_out(parameter.annotation, parameter.module)),
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
