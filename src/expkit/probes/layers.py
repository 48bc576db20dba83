"""Statistics of each layer's outputs: their size, and how far samples differ there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from expkit.probes.preserve_state import preserve_state
from expkit.training.device import Device

UNCHANGING = (nn.Identity, _DropoutNd, nn.Flatten, nn.Unflatten)  # they tell nothing
RECTIFIERS = (nn.ReLU, nn.ReLU6)  # never below zero: a mean of zero is all zeros
LIMITS = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0)}  # between which they saturate
NEAR_LIMIT = 0.01  # of the distance between the limits
UNITS_LAST = (nn.Linear, nn.LayerNorm)
MEASURES = ("rms", "relative_std", "dead_fraction", "saturated_fraction", "non_finite")


class LayerWatch:
    """Collects, on the device, numbers on every call of every leaf module while it is open."""

    def __init__(self, model: nn.Module, num_samples: int) -> None:
        self._num_samples = num_samples
        self._named = [(name, leaf) for name, leaf in model.named_modules() if is_watched(leaf)]
        self._layers: list[tuple[str, str, int, list[bool]]] = []
        self._numbers: list[Tensor] = []
        self._calls: dict[str, int] = {}
        self._last_axis = (0, 1)  # dimensions and unit axis of the layer before

    @contextmanager
    def open(self) -> Iterator[None]:
        handles = [
            leaf.register_forward_hook(
                lambda module, _, output, name=name: self._see(name, module, output)
            )
            for name, leaf in self._named
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _see(self, name: str, module: nn.Module, output: Any) -> None:
        x = first_tensor(output)
        if x is None or x.dim() < 2 or x.numel() == 0 or len(x) % self._num_samples:
            return
        x = x.detach()
        axis = self._unit_axis(module, x)
        self._calls[name] = call = self._calls.get(name, 0) + 1
        measured, numbers = measure(module, x, axis, self._num_samples)
        label = name or type(module).__name__
        label = label if call == 1 else f"{label} (call {call})"
        self._layers.append((label, type(module).__name__, x.shape[axis], measured))
        self._numbers.append(numbers)

    def _unit_axis(self, module: nn.Module, x: Tensor) -> int:
        """Where the units stand: after linear layers last, as tokens have them, else second."""
        dimensions, axis = self._last_axis
        if isinstance(module, UNITS_LAST):
            axis = x.dim() - 1
        elif x.dim() != dimensions or next(module.parameters(recurse=False), None) is not None:
            axis = x.dim() - 1 if x.dim() == 3 else 1
        self._last_axis = (x.dim(), axis)
        return axis

    def read(self) -> list[dict[str, Any]]:
        """The layers in the order of their calls; this waits for the device."""
        if not self._numbers:
            return []
        rows = torch.stack(self._numbers).tolist()
        return [
            {"name": name, "type": kind, "units": units}
            | {key: row[i] if measured[i] else None for i, key in enumerate(MEASURES)}
            for (name, kind, units, measured), row in zip(self._layers, rows, strict=True)
        ]


def is_watched(module: nn.Module) -> bool:
    return next(module.children(), None) is None and not isinstance(module, UNCHANGING)


def first_tensor(output: Any) -> Tensor | None:
    """Return a module's output, or the first of several."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def measure(module: nn.Module, x: Tensor, axis: int, num_samples: int) -> tuple[list[bool], Tensor]:
    """Which of the measures hold for such a layer, and their numbers, in two passes over x.

    The std is the fraction of the energy of the units' means over space (or tokens) that differs
    between samples, as a square root: 0 where all samples look alike, 1 where their mean is zero.
    """
    if len(x) != num_samples:  # windows of an image stand along the batch
        x = x.reshape(num_samples, len(x) // num_samples, *x.shape[1:])
        axis += 1
    space = [dim for dim in range(1, x.dim()) if dim != axis]
    # no norm by unit: over images that lie channels last it takes ten times as long
    mean_BU = x.mean(space, dtype=torch.float32) if space else x.float()
    rms = torch.linalg.vector_norm(x, dtype=torch.float32) / x.numel() ** 0.5
    energy = mean_BU.square().sum()
    differing = (mean_BU - mean_BU.mean(0)).square().sum()
    variance = torch.where(energy == 0, 0.0, differing / energy)
    # a gate of a pooled image (squeeze and excite) may rest: what it outputs to hardly differs
    is_gate = x.dim() == 4 and x.numel() == mean_BU.numel()
    is_rectifier = isinstance(module, RECTIFIERS) and not is_gate
    limits = None if is_gate else LIMITS.get(type(module))
    zero = torch.zeros((), device=x.device)
    dead = (mean_BU.amax(0) == 0).float().mean() if is_rectifier else zero
    saturated = zero if limits is None else fraction_at_limits(x, *limits)
    non_finite = (~mean_BU.isfinite()).sum().float()
    numbers = torch.stack([rms, variance.sqrt(), dead, saturated, non_finite])
    return [True, True, is_rectifier, limits is not None, True], numbers


def fraction_at_limits(x: Tensor, low: float, high: float) -> Tensor:
    margin = NEAR_LIMIT * (high - low)
    return ((x < low + margin) | (x > high - margin)).float().mean()


def describe_outputs(outputs_BC: Tensor) -> dict[str, float]:
    """Return how large the outputs are, and by how much they differ between samples and classes."""
    x = outputs_BC.detach().float()
    sums = x.sum(1)
    numbers = {
        "rms": x.square().mean().sqrt(),
        "std_across_samples": x.std(0, correction=0).mean(),
        "std_across_classes": x.mean(0).std(correction=0),
        "min": x.min(),
        "max": x.max(),
        "row_sum_min": sums.min(),
        "row_sum_max": sums.max(),
        "non_finite": (~x.isfinite()).sum().float(),
    }
    return dict(zip(numbers, torch.stack(list(numbers.values())).tolist(), strict=True))


@torch.no_grad()
def look_at_layers(
    model: nn.Module, images_BCHW: Tensor, targets: Tensor, loss: nn.Module, device: Device
) -> dict[str, Any]:
    """One forward pass in eval mode, in training's precision: `layers`, `outputs`, `probe_loss`."""
    with preserve_state(model, loss):
        model.eval()
        loss.eval()
        watch = LayerWatch(model, len(images_BCHW))
        with watch.open(), device.autocast():
            outputs_BC = model(device.arrange(images_BCHW))
            value = loss(outputs_BC, targets)
    return {
        "layers": watch.read(),
        "outputs": describe_outputs(outputs_BC),
        "probe_loss": value.item(),
    }
