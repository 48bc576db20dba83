"""The arguments of a device and of predicting, checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

View = Literal["horizontal_flip", "vertical_flip", "flips", "five_crops", "center_crops"]
"""Further looks at an image, whose probabilities are averaged with those of the plain one:
1, 1, 3 (both, and both at once), 5 (corners and centre, 7/8 of a side) and 2 (7/8 and 3/4)."""

NUM_LOOKS: Mapping[View, int] = {
    "horizontal_flip": 1,
    "vertical_flip": 1,
    "flips": 3,
    "five_crops": 5,
    "center_crops": 2,
}


def num_passes(views: Sequence[View]) -> int:
    """Count the forward passes of an image: the plain one, and one for each further look."""
    return 1 + sum(NUM_LOOKS[view] for view in views)


@dataclass(frozen=True)
class DeviceChoice:
    """The arguments of a device."""

    name: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    compile: bool = False
    threads: Annotated[int, Ge(1), Le(1024)] | None = None
    deterministic: bool = False
    flush_denormals: bool = True
