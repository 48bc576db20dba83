"""Settings that rules go by: the optimizer, its learning rate, and which of them are usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# whose steps do not grow with the gradient
ADAPTIVE = frozenset(
    (
        *("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad"),
        *("Lion", "Ranger", "Lamb", "Muon"),
    )
)
# these take weight decay off the weight itself; the others add it to the gradient
DECOUPLED = frozenset(["AdamW", "Lion", "Ranger", "Lamb", "LAMB", "Muon"])

# up to which a learning rate is usual with batches of 32 and more; Lion's by its authors' advice
USUAL_RATES = {"SGD": 0.1, "Lion": 3e-4}
USUAL_ADAPTIVE_RATE = 3e-3


def optimizer_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's arguments; of one that is built on another, those of both."""
    given = dict(config["optimizer"])
    base = given.pop("base", None)
    return {**given, **base} if isinstance(base, Mapping) else given


def optimizer_name(config: Mapping[str, Any]) -> str:
    """The class whose steps are taken: of SAM's base, for one."""
    return str(optimizer_options(config)["_target_"]).rsplit(".", 1)[-1]


def is_adaptive(config: Mapping[str, Any]) -> bool:
    return optimizer_name(config) in ADAPTIVE


def lr_of(config: Mapping[str, Any]) -> float:
    return float(config["optimizer"]["lr"])


def usual_lr(config: Mapping[str, Any]) -> float:
    """The highest learning rate that is usual for the config's optimizer."""
    return USUAL_RATES.get(optimizer_name(config), USUAL_ADAPTIVE_RATE)


def numbers_named(node: Any, word: str, key: str) -> Iterator[tuple[str, float]]:
    """The numbers of a config under keys with a word in them, by their full key."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            full = f"{key}.{name}"
            if word in str(name) and isinstance(value, int | float) and not isinstance(value, bool):
                yield full, float(value)
            elif isinstance(value, Mapping):
                yield from numbers_named(value, word, full)


def written(settings: Mapping[str, float]) -> str:
    """Write settings as they are typed: `model.dropout=0.9, model.drop_path=0.8`."""
    return ", ".join(f"{key}={value:g}" for key, value in settings.items())
