"""The modules that a sweep's jobs find loaded, so that each starts in a tenth of a second."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[2]
# what expkit and torch import in the middle of every run
ALWAYS = (
    "torch",
    "torch._dynamo",  # by torch's first optimizer
    "pandas",
    "scipy.stats",
    "sklearn.metrics",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "omegaconf._impl",
)
# what only some choices need, known by the names of their targets
BY_TARGET = {
    "kornia": "kornia.augmentation",
    "pytorch_optimizer": "pytorch_optimizer",
    "timm": "timm",
    "torchvision": "torchvision",
}


def list_modules(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Modules for the server from which these jobs' processes are forked."""
    targets = {target for config in configs for target in _targets_in(config)}
    own = [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "expkit.")]
    chosen = [
        module for name, module in BY_TARGET.items() if any(name in target for target in targets)
    ]
    return [*ALWAYS, *own, *chosen]


def _targets_in(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets_in(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _targets_in(value)
