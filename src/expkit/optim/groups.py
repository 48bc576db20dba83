"""Which parameters learn, and each at what rate, by globs over their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from torch import nn

from expkit.errors import UserError
from expkit.optim.group_options import read_options
from expkit.optim.parameter_names import names_of, names_of_module, names_that_match

Trainable = Literal["all", "head"] | Sequence[str]
Groups = Mapping[str, Mapping[str, float | Sequence[float]]]


def parameter_groups(
    model: nn.Module,
    *,
    trainable: Trainable = "all",
    frozen_up_to: str | None = None,
    groups: Groups | None = None,
    layer_decay: float | None = None,
    lr: float,
    key: str,
) -> list[dict[str, Any]]:
    """Freeze what is not to learn, and group the rest for the optimizer, `lr` in each group.

    The model is to be as its maker left it: what is constant already stays so. `key` is where the
    options stand in the config.
    """
    if groups is not None and layer_decay is not None:
        raise UserError(
            "layer_decay and groups both say the learning rate of a layer",
            where=f"{key}.layer_decay, {key}.groups",
            fix=f"leave one out: {key}.layer_decay=null",
        )
    names = choose_trainable(model, trainable, frozen_up_to, key)
    if layer_decay is not None:
        return group_by_layer(model, names, layer_decay, lr, key)
    if groups is not None:
        return group_by_glob(model, names, groups, lr, key)
    return [make_group(model, names, "all", lr=lr)]


def choose_trainable(
    model: nn.Module, trainable: Trainable, frozen_up_to: str | None, key: str
) -> list[str]:
    """Take the gradient from every other parameter; the names of those that keep it, in order."""
    globs = [trainable] if isinstance(trainable, str) else trainable
    wanted: set[str] = set()
    for glob in globs:
        wanted |= names_that_match(model, "*" if glob == "all" else glob, f"{key}.trainable")
    if frozen_up_to is not None:
        wanted -= names_up_to(model, frozen_up_to, f"{key}.frozen_up_to")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name in wanted)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        frozen = "" if frozen_up_to is None else f", {key}.frozen_up_to={frozen_up_to}"
        raise UserError(
            "no parameter of the model is left to train",
            where=f"{key}.trainable={trainable}{frozen}",
            fix=f"{key}.trainable=all {key}.frozen_up_to=null",
        )
    return names


def names_up_to(model: nn.Module, module: str, where: str) -> set[str]:
    """All parameters that the model defines before or in a module."""
    last = names_of_module(model, module, where)[-1]
    names = names_of(model)
    return set(names[: names.index(last) + 1])


def group_by_glob(
    model: nn.Module, names: Sequence[str], groups: Groups, lr: float, key: str
) -> list[dict[str, Any]]:
    """A group for each glob; a parameter belongs to the first that matches it."""
    left, taken = list(names), set[str]()
    made = []
    for glob, given in groups.items():
        where = f"{key}.groups"
        matched = names_that_match(model, glob, where)
        if matched <= taken:
            raise UserError(
                f"'{glob}' would group nothing: those before it match all that it matches",
                where=f"{where}: {', '.join(groups)}",
                fix="the first match wins: put the narrower globs first",
            )
        taken |= matched
        mine = [name for name in left if name in matched]
        left = [name for name in left if name not in matched]
        options = read_options(given, lr, f"{where}.{glob}")
        made.append(make_group(model, mine, glob, **options))
    if left:
        more = f", nor {len(left) - 1} more" if len(left) > 1 else ""
        raise UserError(
            f"no group covers the parameter '{left[0]}'{more}",
            where=f"{key}.groups: {', '.join(groups)}",
            fix='end the groups with *: {} (in a YAML "*": {}), for whatever is left',
        )
    return [group for group in made if group["params"]]


def group_by_layer(
    model: nn.Module, names: Iterable[str], layer_decay: float, lr: float, key: str
) -> list[dict[str, Any]]:
    """A group for each layer as timm counts them; each further from the output learns slower."""
    matcher: Any = getattr(model, "group_matcher", None)
    if matcher is None:
        raise UserError(
            f"{type(model).__name__} does not say which layers it has",
            where=f"{key}.layer_decay={layer_decay}",
            allowed="models of timm, or any with a method group_matcher",
            fix=f"{key}.layer_decay=null and {key}.groups",
        )
    from timm.models import group_parameters

    layer_of = group_parameters(model, matcher(coarse=False), reverse=True)
    last = max(layer_of.values())
    layers: dict[int, list[str]] = {}
    for name in names:
        layers.setdefault(layer_of[name], []).append(name)
    return [
        make_group(model, layers[layer], f"layer {layer}", lr=lr * layer_decay ** (last - layer))
        for layer in sorted(layers)
    ]


def make_group(
    model: nn.Module, names: Iterable[str], label: str, **options: Any
) -> dict[str, Any]:
    return {"params": [model.get_parameter(name) for name in names], "name": label, **options}
