"""The arguments of the nets here, by which a config is checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from expkit.errors import UserError

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
    gradient_checkpointing: bool = False
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int

    @staticmethod
    def check_together(width: int, heads: int, **_others: object) -> None:
        """Refuse values that are right one by one and do not go together."""
        refuse_uneven_heads(width, heads)


@dataclass(frozen=True)
class LogoViT:
    """The arguments of logo_vit.LogoViT."""

    width: Annotated[int, Ge(1)] = 128
    depth: Annotated[int, Ge(1)] = 4
    heads: Annotated[int, Ge(1)] = 4
    mlp_ratio: Annotated[float, Gt(0)] = 4.0
    stem: Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)] = (32, 64, 128)
    stem_strides: Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)] = (2, 2, 2)
    pooling: Pooling = "mean"
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0
    uncertainty: bool = False
    uncertainty_samples: Annotated[int, Ge(1)] = 10
    gradient_checkpointing: bool = False
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int

    @staticmethod
    def check_together(
        width: int, heads: int, stem: Sequence[int], stem_strides: Sequence[int], **_others: object
    ) -> None:
        """Refuse values that are right one by one and do not go together."""
        refuse_uneven_heads(width, heads)
        if len(stem) != len(stem_strides):
            raise UserError(
                f"the stem has {len(stem)} convolutions and {len(stem_strides)} strides",
                where=f"model.stem={list(stem)}, model.stem_strides={list(stem_strides)}",
                allowed="a stride for each convolution",
                fix=f"'model.stem_strides={[2] * len(stem)}'",
            )


def refuse_uneven_heads(width: int, heads: int) -> None:
    """Refuse a width that the heads of attention cannot share evenly."""
    if width % heads:
        raise UserError(
            f"a width of {width} cannot be shared among {heads} heads",
            where=f"model.width={width}, model.heads={heads}",
            allowed="heads that divide the width",
            fix=f"model.width={-(-width // heads) * heads}",
        )


@dataclass(frozen=True)
class Ensemble:
    """The arguments of ensemble.Ensemble, which expkit ensemble gives it."""

    members: Annotated[Sequence[Mapping[str, Any]], MinLen(2)]
    combine: Averaged = "probabilities"
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int


@dataclass(frozen=True)
class ExportedModel:
    """The file that an evaluation of exported.ExportedModel names, which nothing is built from."""

    format: str
    precision: str
    batch: int | None = None
    _: KW_ONLY
    image_shape: ImageShape
    num_outputs: int
