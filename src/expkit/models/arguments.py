"""The arguments of the nets here, by which a config is checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt, MinLen

Initialization = Literal["default", "kaiming", "xavier", "orthogonal"]
Norm = Literal["none", "batch", "group"]
Pooling = Literal["class_token", "mean"]
Averaged = Literal["probabilities", "logits"]
ImageShape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class ConvNet:
    """The arguments of conv.ConvNet."""

    widths: Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)] = (16, 32, 64)
    hidden: Sequence[Annotated[int, Ge(1)]] = ()
    init: Initialization = "default"
    norm: Norm = "none"
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int


@dataclass(frozen=True)
class ScanLineTransformer:
    """The arguments of scan_line.ScanLineTransformer."""

    layers: Annotated[int, Ge(1)] = 6
    width: Annotated[int, Ge(1)] = 256
    heads: Annotated[int, Ge(1)] = 8
    feed_forward: Annotated[int, Ge(1)] = 1024
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    pooling: Pooling = "class_token"
    causal: bool = False
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int


@dataclass(frozen=True)
class Ensemble:
    """The arguments of ensemble.Ensemble, which expkit ensemble gives it."""

    members: Annotated[Sequence[Mapping[str, Any]], MinLen(2)]
    combine: Averaged = "probabilities"
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int
