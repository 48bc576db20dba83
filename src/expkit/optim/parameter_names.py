"""Finding a model's parameters by name: globs, modules, and `head` for the classifier."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from expkit.errors import UserError, nearest_of

HEAD = "head"  # stands for the classifier, whatever the model calls it


def names_that_match(model: nn.Module, glob: str, where: str) -> set[str]:
    """All parameters whose names a glob matches, or those of the head; at least one."""
    if glob == HEAD:
        return names_of_head(model, where)
    matched = {name for name, _ in model.named_parameters() if fnmatchcase(name, glob)}
    if not matched:
        candidates = [*(f"{module}.*" for module in modules_of(model)), *names_of(model), HEAD]
        raise UserError(
            f"'{glob}' matches no parameter of the model",
            where=f"{where}: {glob}",
            nearest=nearest_of(glob, candidates),
            allowed=f"{', '.join(top_level(model, '.*'))}, globs within these, or {HEAD}",
        )
    return matched


def names_of_head(model: nn.Module, where: str) -> set[str]:
    """The classifier's parameters by name."""
    parts = modules_of_head(model, where).values()
    own = {id(each) for part in parts for each in part.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}


def modules_of_head(model: nn.Module, where: str) -> dict[str, nn.Module]:
    """The classifier by name: what timm's `get_classifier` answers, else the attribute `head`."""
    ask: Any = getattr(model, "get_classifier", None)
    classifier = getattr(model, HEAD, None) if ask is None else ask()
    # a distilled transformer has two
    parts = classifier if isinstance(classifier, tuple | list) else [classifier]
    own = {
        id(part)
        for part in parts
        if isinstance(part, nn.Module) and next(part.parameters(), None) is not None
    }
    found = {name: module for name, module in model.named_modules() if name and id(module) in own}
    if not found:
        raise UserError(
            f"{type(model).__name__} does not say which of its parameters are the {HEAD}",
            where=f"{where}: {HEAD}",
            allowed=f"{', '.join(top_level(model, '.*'))}, or globs within these",
            fix=f"call its last layer `{HEAD}`, or give the model a method get_classifier",
        )
    return found


def state_of_head(model: nn.Module, where: str) -> set[str]:
    """The names of the classifier's tensors in the model's state, buffers included."""
    starts = tuple(f"{module}." for module in modules_of_head(model, where))
    return {name for name in model.state_dict() if name.startswith(starts)}


def names_of_module(model: nn.Module, module: str, where: str) -> list[str]:
    """A module's parameters in the order of their definition; at least one."""
    names = [name for name in names_of(model) if f"{name}.".startswith(f"{module}.")]
    if not names:
        raise UserError(
            f"the model has no module '{module}' with parameters",
            where=f"{where}: {module}",
            nearest=nearest_of(module, modules_of(model)),
            allowed=f"{', '.join(top_level(model))}, or a module within these",
        )
    return names


def names_of(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


def modules_of(model: nn.Module) -> list[str]:
    """The full names of all modules that hold parameters, however deep these lie."""
    paths = [name.split(".") for name in names_of(model)]
    modules = (".".join(path[:depth]) for path in paths for depth in range(1, len(path)))
    return list(dict.fromkeys(modules))


def top_level(model: nn.Module, ending: str = "") -> list[str]:
    """The model's own children and parameters; the children with an ending."""
    return list(
        dict.fromkeys(
            f"{first}{ending}" if rest else first
            for first, _, rest in (name.partition(".") for name in names_of(model))
        )
    )
