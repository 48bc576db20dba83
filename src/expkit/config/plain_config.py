"""Configs as plain data: what a run recorded, or Hydra has composed, holds no interpolation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from expkit.errors import UserError

INTERPOLATION = "${"  # OmegaConf resolves it wherever it stands in a text: `${oc.env:HOME}`


def refuse_interpolations(node: object, key: str) -> None:
    """Refuse a config in which a value would be computed when it is used, after any check."""
    for full_key, text in _interpolations(node, key):
        raise UserError(
            f"{full_key} is no plain value: {text!r:.80}",
            where=full_key,
            allowed="values as they are: a config that is used has no interpolations left",
            fix="write the value itself",
        )


def with_own_cache(config: Mapping[str, Any], cache_dir: str | None = None) -> dict[str, Any]:
    """Return a recorded config with the user's cache folder, or the one given, for the recorded.

    Whoever wrote the config has no say in which folder of this machine is written to, or cleared.
    """
    dataset = config.get("dataset")
    if dataset is None or "cache_dir" not in dataset:
        return dict(config)
    return {**config, "dataset": {**dataset, "cache_dir": cache_dir}}


def values_within(node: object) -> Iterator[object]:
    """All values of a config below a node, lists and mappings among them."""
    below: Iterable[object] = ()
    if isinstance(node, Mapping):
        below = node.values()
    elif isinstance(node, list | tuple):
        below = node
    for value in below:
        yield value
        yield from values_within(value)


def _interpolations(node: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str) and INTERPOLATION in node:
        yield key, node
    elif isinstance(node, Mapping):
        for name, value in node.items():
            inner = f"{key}.{name}" if key else str(name)
            if isinstance(name, str) and INTERPOLATION in name:
                yield key, name
            yield from _interpolations(value, inner)
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _interpolations(value, f"{key}[{index}]")
