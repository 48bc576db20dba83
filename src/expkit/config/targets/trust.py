"""Whose code a config may name: judged by the words, and once more by what they have led to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from expkit.config.targets.allowed import describe_role, families_of, shipped_targets
from expkit.config.targets.imported_objects import home_of, without_partial
from expkit.config.targets.module_paths import Module, ModuleNotThereError, locate
from expkit.config.user_code import is_own, why_not_own
from expkit.errors import UserError, nearest_of

NEARBY = ("torch.optim", "torch.nn", "torchvision.models", "timm.models", "kornia.augmentation")


def refuse_words(target: str, key: str, role: str, trusted: Collection[str]) -> None:
    """Refuse a target that is neither on the list of its role, nor the user's own, nor trusted.

    Nothing is imported. In a library one name alone may follow its module, since any module also
    offers what it imports (`timm.models._hub.os.system`).
    """
    try:
        module, names = locate(target)
    except ModuleNotThereError as error:
        name = str(error)
        nearest = nearest_of(name, error.names)
        raise UserError(
            f"{key}: there is no module '{name}'",
            where=f"{key}._target_={target}",
            nearest=nearest and ".".join([nearest, *target.split(".")[1:]]),
        ) from None
    is_users = _is_users(module, trusted)
    if not names and (is_users or module.is_known):
        raise UserError(
            f"{key}: '{target}' is a module, nothing to be called",
            where=f"{key}._target_={target}",
        )
    if is_users or target in shipped_targets(role):
        return
    if any(family.may_be_named(module.name, names) for family in families_of(role)):
        return
    if not module.is_known:
        raise _untrusted(target, key, role, module)
    if len(names) > 1 and names[0].islower() and nearest_of(names[0], module.submodules):
        raise not_there(module.name, names[0], module.submodules, target, key)
    raise _miscast(target, key, role)


def refuse_object(
    found: object, target: str, key: str, role: str, trusted: Collection[str]
) -> None:
    """Refuse what trusted words have led to, where it is really from elsewhere.

    A module of the user's own offers what it imports, too; and in a library's module lie functions
    beside the classes that play this part.
    """
    if not callable(found):
        raise UserError(
            f"{key}: '{target}' is a {type(found).__name__}, nothing to be called",
            where=f"{key}._target_={target}",
        )
    called = without_partial(found)
    home = home_of(called)
    if target in shipped_targets(role) or _is_users(home, trusted):
        return
    if any(family.holds(called) for family in families_of(role)):
        return
    raise _miscast(target, key, role) if home.is_known else _untrusted(target, key, role, home)


def _is_users(module: Module, trusted: Collection[str]) -> bool:
    """Tell whether a module is trusted, or the user's own; expkit's is not, in a checkout of it."""
    return module.package in trusted or (not module.is_known and is_own(module.location))


def not_there(owner: str, name: str, names: Sequence[str], target: str, key: str) -> UserError:
    """Say that a module has no such name, and which whole target is nearest."""
    rest = target.removeprefix(f"{owner}.{name}")
    nearest = nearest_of(name, names)
    return UserError(
        f"{key}: '{owner}' has no '{name}'",
        where=f"{key}._target_={target}",
        nearest=nearest and f"{owner}.{nearest}{rest}",
    )


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
    parent, _, name = target.rpartition(".")
    nearest = nearest_of(parent, NEARBY)
    through = "" if target.startswith(f"{module.name}.") else f", through {module.name}"
    near = why_not_own(module.location)
    return UserError(
        f"{key} runs code outside the known packages{through}",
        where="\n".join([f"{key}._target_={target}", *([near] if near else [])]),
        nearest=f"{nearest}.{name}" if nearest and nearest != parent else None,
        allowed=describe_role(role),
        fix=f"add it if you trust it: 'trust=[{module.package}]'",
    )
