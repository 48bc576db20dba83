"""The training loop of most tutorials, in a process of its own as its users have it.

Within expkit's process it would share what expkit sets for itself: how the allocator keeps freed
memory, and denormals flushed. An epoch is run at each line on the standard input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from expkit.data.store.samples import Samples
from expkit.models.conv import ConvNet

RATE = 1e-3


def make_model(name: str, num_classes: int) -> nn.Module:
    """By name, as the command line of the other process has it."""
    torch.manual_seed(0)
    if name == "resnet18":
        return timm.create_model("resnet18", num_classes=num_classes)
    assert name == "larger_backbone"
    return ConvNet((32, 64, 128, 256), image_shape=(3, 64, 64), num_outputs=num_classes)


def train_as_usual(
    model: str,
    num_classes: int,
    folder: Path,
    *,
    batch_size: int,
    mean: Sequence[float],
    spread: Sequence[float],
    size: int = 0,
) -> Iterator[object]:
    """An epoch of the other process at each `next`."""
    numbers = [num_classes, batch_size, size, *mean, *spread]
    command = [sys.executable, __file__, model, str(folder), *map(str, numbers)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while True:
                process.stdin.write("\n")
                yield process.stdout.readline()
        finally:
            process.stdin.close()


def run_epochs(model: nn.Module, images: ImageFolder, batch_size: int) -> Iterator[object]:
    """Files decoded and normalized every epoch by two workers, fp32, channels first, plain Adam."""
    on = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = DataLoader(images, batch_size, shuffle=True, num_workers=2)
    model = model.to(on).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
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


def main() -> None:
    name, folder, num_classes, batch_size, size, *numbers = sys.argv[1:]
    mean, spread = list(map(float, numbers[:3])), list(map(float, numbers[3:]))
    resize = [transforms.Resize(int(size))] if int(size) else []
    prepare = transforms.Compose(
        [*resize, transforms.ToTensor(), transforms.Normalize(mean, spread)]
    )
    model = make_model(name, int(num_classes))
    epochs = run_epochs(model, ImageFolder(folder, prepare), int(batch_size))
    for _ in sys.stdin:
        print(next(epochs), flush=True)


if __name__ == "__main__":
    main()
