"""The training loop of most tutorials, for `epoch.py` to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from expkit.data.samples import Samples


def train_as_usual(
    model: nn.Module,
    folder: Path,
    on: torch.device,
    *,
    batch_size: int,
    lr: float,
    mean: Sequence[float],
    spread: Sequence[float],
    size: int | None = None,
) -> Iterator[object]:
    """Files decoded and normalised every epoch by two workers, fp32, channels first, plain Adam."""
    resize = [transforms.Resize(size)] if size else []
    prepare = transforms.Compose(
        [*resize, transforms.ToTensor(), transforms.Normalize(mean, spread)]
    )
    pictures = ImageFolder(folder, prepare)
    loader = DataLoader(pictures, batch_size, shuffle=True, num_workers=2)
    model = model.to(on).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    while True:
        loss_sum, num_right = 0.0, 0
        for images_BCHW, targets in loader:
            images: Tensor = images_BCHW.to(on)
            wanted: Tensor = targets.to(on)
            optimizer.zero_grad()
            outputs = model(images)
            loss = cross_entropy(outputs, wanted)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(images)
            num_right += int((outputs.argmax(1) == wanted).sum().item())
        yield loss_sum, num_right


def write_pieces(samples: Samples, folder: Path) -> None:
    """A folder a class with its one piece in it."""
    for name, image in zip(samples.names, samples.images, strict=True):
        (folder / name).mkdir()
        Image.fromarray(image).save(folder / name / "piece.png")
