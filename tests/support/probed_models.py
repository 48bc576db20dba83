"""Evidence from real small models: they are probed as a run would probe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from synthetic_evidence import CONFIG, make_evidence, make_metadata, make_signal
from torch import Tensor, nn

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.diagnosis.evidence import Evidence
from expkit.probes.model import probe_loss, probe_model
from expkit.training.device import Device
from expkit.training.learner import Learner

DEVICE = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
NUM_CLASSES = 5


def smooth_pictures(count: int = 32, size: int = 32) -> Split:
    """Images that differ as photographs do: in their large areas, about zero and one."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    images = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    names = [str(i) for i in range(count)]
    return Split(
        "train",
        (images * 255).permute(0, 2, 3, 1).to(torch.uint8),
        torch.arange(count) % NUM_CLASSES,
        names,
        names[:NUM_CLASSES],
        Normalizer(torch.full((3,), 1 / 64), torch.full((3,), -2.0)),
    )


class ThenDo(nn.Module):
    """A net with something done to its answers."""

    def __init__(self, net: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.change(self.net(images_BCHW))


def conv_net(*, norm: bool = False, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(32)] if norm else []
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        *norms,
        activation(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        activation(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, NUM_CLASSES),
    )


def probed(
    net: nn.Module,
    loss: nn.Module | None = None,
    *,
    optimised: Sequence[Tensor] | None = None,
    stage: str = "train",
    epoch: int = 0,
    signals: Sequence[Mapping[str, Any]] = (),
    **config: Mapping[str, Any],
) -> Evidence:
    """What a stage would have recorded of this model before its first step."""
    loss, split = loss or nn.CrossEntropyLoss(), smooth_pictures()
    given = [p for p in net.parameters() if p.requires_grad] if optimised is None else optimised
    optimizer = torch.optim.SGD(given, lr=0.1)
    learner = Learner(net, optimizer, loss, DEVICE, scale=lambda *_: 1.0)
    probes = {
        "loss": probe_loss(loss, NUM_CLASSES, split.targets, DEVICE),
        "model": probe_model(learner, split),
    }
    made = [make_signal(kind, stage, epoch, **probe) for kind, probe in probes.items()]
    metadata = make_metadata((20,) * NUM_CLASSES, None)
    return make_evidence(metadata=metadata, signals=[*made, *signals], **config)


def training(**changed: Any) -> dict[str, Any]:
    """The config's procedure with a changed training stage."""
    stages: Any = CONFIG["procedure"]
    return {**stages, "train": {**stages["train"], **changed}}


def make_look(
    epoch: int,
    *,
    loss: float,
    layers: list[dict[str, Any]],
    spread: float,
    update: float = 1e-3,
    **more: Any,
) -> dict[str, Any]:
    """An epoch that was looked at closely; answers have size 1."""
    outputs = {"rms": 1.0, "std_across_samples": spread, "non_finite": 0}
    rows = [{"name": f"{i}.weight", "weight_rms": 1.0, "update_ratio": update} for i in range(4)]
    rows = [{**row, "gradient_rms": 1.0} for row in rows]
    content = {"layers": layers, "outputs": outputs, "parameters": rows, "step": 100 * epoch}
    content |= {"train/loss": loss, "probe_loss": loss, **more}
    return make_signal("epoch", "train", epoch, **content)


def flat(hidden: float) -> list[dict[str, Any]]:
    """Three linear layers, of which the one before the last differs so much between samples."""
    return [
        {"name": n, "type": "Linear", "relative_std": s, "dead_fraction": None, "non_finite": 0}
        for n, s in (("0", 0.4), ("1", hidden), ("2", hidden / 10))
    ]
