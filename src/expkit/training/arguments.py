"""The arguments of a device, by which a config is checked before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le


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
