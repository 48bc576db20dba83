"""A transformer that reads an image as a microscope makes it: line after line."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from expkit.models.arguments import ImageShape, Pooling, refuse_uneven_heads

POSITION_STD = 0.02  # of the learned positions and the class token at the start, as in ViT


class ScanLineTransformer(nn.Module):
    """Each line of pixels is a token of a pre-norm encoder; a class token or the mean outputs.

    A causal encoder lets a line see itself and the lines above it. The class token stands last
    then: from the first place it would see nothing but itself.
    """

    # arguments.py states which values a config may give
    def __init__(
        self,
        layers: int = 6,
        width: int = 256,
        heads: int = 8,
        feed_forward: int = 1024,
        dropout: float = 0.1,
        pooling: Pooling = "class_token",
        causal: bool = False,
        gradient_checkpointing: bool = False,
        *,
        image_shape: ImageShape,
        num_outputs: int,
    ) -> None:
        super().__init__()
        refuse_uneven_heads(width, heads)
        channels, num_lines, line_length = image_shape
        self.pooling, self.causal = pooling, causal
        self.gradient_checkpointing = gradient_checkpointing
        self.embed = nn.Linear(line_length * channels, width)
        num_tokens = num_lines
        if pooling == "class_token":
            num_tokens += 1
            self.class_token = nn.Parameter(small_normal(1, 1, width))
        self.positions = nn.Parameter(small_normal(1, num_tokens, width))
        self.dropout = nn.Dropout(dropout)
        # torch's own nn.TransformerEncoder would start all layers from copies of one
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                feed_forward,
                dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_outputs)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        tokens_BTD = self.encode(images_BCHW)
        if self.pooling == "mean":
            pooled_BD = tokens_BTD.mean(1)
        else:
            pooled_BD = tokens_BTD[:, -1 if self.causal else 0]
        outputs: Tensor = self.head(pooled_BD)
        return outputs

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Return the encoder's output for every token: B x T x width."""
        tokens_BTD: Tensor = self.embed(images_BCHW.permute(0, 2, 3, 1).flatten(2))
        if self.pooling == "class_token":
            class_B1D = self.class_token.expand(tokens_BTD.shape[0], -1, -1).to(tokens_BTD.dtype)
            parts = (tokens_BTD, class_B1D) if self.causal else (class_B1D, tokens_BTD)
            tokens_BTD = torch.cat(parts, dim=1)
        tokens_BTD = self.dropout(tokens_BTD + self.positions)
        mask_TT = self._mask(tokens_BTD)
        for layer in self.layers:
            run = functools.partial(layer, src_mask=mask_TT, is_causal=self.causal)
            if self.gradient_checkpointing:
                tokens_BTD = checkpoint(run, tokens_BTD, use_reentrant=False)
            else:
                tokens_BTD = run(tokens_BTD)
        normed: Tensor = self.norm(tokens_BTD)
        return normed

    def _mask(self, tokens_BTD: Tensor) -> Tensor | None:
        """True above the diagonal, where a token may not look; None where it may look anywhere."""
        if not self.causal:
            return None
        size = tokens_BTD.shape[1]
        return torch.ones(size, size, dtype=torch.bool, device=tokens_BTD.device).triu(1)


def small_normal(*shape: int) -> Tensor:
    return nn.init.trunc_normal_(torch.empty(shape), std=POSITION_STD)
