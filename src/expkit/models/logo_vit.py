"""Log 5's vision transformer behind a convolutional stem, which may predict its uncertainty."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.models.arguments import ImageShape, Pooling
from expkit.models.arguments import LogoViT as Arguments
from expkit.models.conv import initialize, num_groups
from expkit.models.uncertainty import log_variance_head, sample_log_probabilities


class ConvStem(nn.Module):
    """Cuts an image into tokens by strided 3x3 convolutions and a 1x1 one (Xiao et al., 2021).

    Group norm keeps no running statistics: batches of four train as well, and averaged weights
    need no batch statistics made anew.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        img_size: tuple[int, int],
        in_chans: int,
        embed_dim: int,
        **_timms: object,
    ) -> None:
        super().__init__()
        self.img_size, self.patch = img_size, math.prod(strides)
        height, width = (side // self.patch for side in img_size)
        self.grid_size, self.num_patches = (height, width), height * width
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise([in_chans, *channels]), strides, strict=True):
            conv = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
            norm = nn.GroupNorm(num_groups(after), after)
            layers += [conv, norm, nn.ReLU(inplace=True)]
        self.convolutions = nn.Sequential(*layers)
        self.projection = nn.Conv2d(channels[-1], embed_dim, 1)
        initialize(self, "kaiming")

    def feat_ratio(self) -> int:
        """Return how many pixels a token is wide; timm asks."""
        return self.patch

    def forward(self, images_BCHW: Tensor) -> Tensor:
        tokens_BDHW: Tensor = self.projection(self.convolutions(images_BCHW))
        return tokens_BDHW.flatten(2).transpose(1, 2)


class LogoViT(VisionTransformer):
    """timm's vision transformer with a ConvStem, and where asked a head for the logits' noise.

    With `uncertainty`, training mode returns sampled log-probabilities and eval mode plain logits.
    """

    # arguments.py states which values a config may give
    def __init__(
        self,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        stem: Sequence[int] = (32, 64, 128),
        stem_strides: Sequence[int] = (2, 2, 2),
        pooling: Pooling = "mean",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        uncertainty: bool = False,
        uncertainty_samples: int = 10,
        gradient_checkpointing: bool = False,
        *,
        image_shape: ImageShape,
        num_outputs: int,
    ) -> None:
        Arguments.check_together(width=width, heads=heads, stem=stem, stem_strides=stem_strides)
        channels, *size = image_shape
        refuse_uneven_size((size[0], size[1]), stem_strides)
        super().__init__(
            img_size=(size[0], size[1]),
            patch_size=math.prod(stem_strides),
            in_chans=channels,
            num_classes=num_outputs,
            global_pool="token" if pooling == "class_token" else "avg",
            class_token=pooling == "class_token",
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=mlp_ratio,
            drop_rate=dropout,
            pos_drop_rate=dropout,
            proj_drop_rate=dropout,
            drop_path_rate=drop_path,
            embed_layer=functools.partial(ConvStem, stem, stem_strides),
        )
        self.predicts_uncertainty, self.uncertainty_samples = uncertainty, uncertainty_samples
        if uncertainty:
            self.log_variance = log_variance_head(width, num_outputs)
        self.set_grad_checkpointing(gradient_checkpointing)

    def forward(self, images_BCHW: Tensor) -> Tensor:  # type: ignore[override]
        if self.predicts_uncertainty and self.training:
            found = self.forward_with_log_variance(images_BCHW)
            return sample_log_probabilities(*found, self.uncertainty_samples)
        logits_BC: Tensor = super().forward(images_BCHW)
        return logits_BC

    def forward_with_log_variance(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and the log-variance of each."""
        features_BD = self.forward_head(self.forward_features(images_BCHW), pre_logits=True)
        return self.head(features_BD), self.log_variance(features_BD)

    def get_classifier(self) -> Any:
        """Return the head, or both heads: what a linear probe trains, and new classes redraw."""
        return (self.head, self.log_variance) if self.predicts_uncertainty else self.head


def refuse_uneven_size(size: tuple[int, int], strides: Sequence[int]) -> None:
    """Refuse images that cannot be cut into whole patches, with sizes and strides that go."""
    patch = math.prod(strides)
    if not any(side % patch for side in size):
        return
    below, above = (
        [max(patch, (side + more) // patch * patch) for side in size] for more in (0, patch - 1)
    )
    sizes = dict.fromkeys(" x ".join(map(str, each)) for each in (below, above))
    fitting: list[int] = []
    for stride in strides:  # as many of them as go into both sides
        fits = not any(side % (math.prod(fitting) * stride) for side in size)
        fitting.append(stride if fits else 1)
    raise UserError(
        f"images of {size[0]} x {size[1]} pixels cannot be cut into patches of {patch} x {patch}",
        where=f"model.stem_strides: their product is {patch}",
        allowed=f"sizes that are multiples of {patch}: {' or '.join(sizes)}",
        fix=f"'model.stem_strides={fitting}'\n"
        f"dataset.size={max(above)}   (where the dataset has a size)",
    )
