"""The arguments of augmentations, by which a config is checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Le


@dataclass(frozen=True)
class Augmentation:
    """The arguments of an augmentation."""

    transforms: Mapping[str, Any] = field(default_factory=dict)
    mixup_alpha: Annotated[float, Ge(0)] = 0.0
    cutmix_alpha: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True)
class LineDropout:
    """The arguments of line dropout."""

    fraction: Annotated[float, Ge(0), Le(1)] = 0.1
    p: Annotated[float, Ge(0), Le(1)] = 0.5
