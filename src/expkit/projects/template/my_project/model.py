"""A small residual network for small images."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two convolutions, and a shortcut around them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        return self.activation(self.convolutions(features) + self.shortcut(features))


class SmallResNet(nn.Module):
    """A block for each width, each of which halves the image; then pooling and one linear layer.

    expkit gives `image_shape` (channels, height, width) and `num_outputs`, which follow the data.
    """

    def __init__(
        self,
        widths: Sequence[int],
        dropout: float = 0.0,
        *,
        image_shape: tuple[int, int, int],
        num_outputs: int,
    ) -> None:
        super().__init__()
        channels = [image_shape[0], *widths]
        self.blocks = nn.Sequential(*(ResidualBlock(*pair) for pair in pairwise(channels)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels[-1], num_outputs)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(images)))
