"""Each layer on a device given the very inputs that the same layer had on the processor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from expkit.training.device import Device

# The relative error that a layer's outputs may have. Of bf16 and fp16 it is four of their
# roundings; sums of thousands of fp32 numbers in another order differ by some fifty of its own;
# NVIDIA's GPUs convolve fp32 in TF32, which has fp16's ten bits.
TOLERANCES = {"fp32": 1e-5, "tf32": 4 * 2**-11, "fp16": 4 * 2**-11, "bf16": 4 * 2**-8}
# a block's parts magnify each other's roundings: measured up to twice over an EfficientNet
BLOCK_FACTOR = 2.0


@dataclass(frozen=True)
class Difference:
    """The difference of one layer's outputs from the reference's, given the same inputs."""

    name: str
    type: str
    error: float  # root mean square, relative to the reference's
    tolerance: float
    error_so_far: float  # given what the layers before it made of theirs

    @property
    def is_within(self) -> bool:
        return self.error <= self.tolerance  # false for a NaN


def tolerance_of(device: Device) -> float:
    """The tolerance for one layer's outputs on this device."""
    is_cuda = device.torch_device.type == "cuda"
    if device.precision == "fp32" and is_cuda and torch.backends.cudnn.allow_tf32:
        return TOLERANCES["tf32"]
    return TOLERANCES[device.precision]


class _Calls:
    """Names each call of a model's modules, parts before the whole: one may be called again."""

    def __init__(self, model: nn.Module) -> None:
        self.names = {layer: name or WHOLE for name, layer in model.named_modules()}
        self._counts: dict[str, int] = {}

    def name(self, layer: nn.Module) -> str:
        name = self.names[layer]
        self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name} (call {self._counts[name]})" if self._counts[name] > 1 else name


WHOLE = "(output)"


class Outputs:
    """The output of each call on the device, and the dtypes of its inputs."""

    def __init__(self, model: nn.Module) -> None:
        self.calls = _Calls(model)
        self.tensors: dict[str, Tensor] = {}
        self.input_types: dict[str, list[torch.dtype]] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        with _hooks(self.calls.names, self._take):
            yield

    def _take(self, layer: nn.Module, inputs: Any, kwargs: Any, output: Any) -> None:
        name = self.calls.name(layer)
        self.input_types[name] = [each.dtype for each in _tensors((inputs, kwargs))]
        tensor = _first_tensor(output)
        if tensor is not None:  # a copy: the next layer may work in place
            self.tensors[name] = tensor.detach().to("cpu", torch.float32, copy=True)


class Replay:
    """Gives each layer on the device the very inputs of the reference's, as soon as that ran.

    What a layer makes of its own inputs is its own: over a deep net with batch norm the roundings
    of all layers add up to a third of the outputs, with nothing wrong anywhere.
    """

    def __init__(
        self, model: nn.Module, other: nn.Module, device: Device, outputs: Outputs
    ) -> None:
        self.calls = _Calls(model)
        self.device = device
        self.others = dict(other.named_modules())
        self.outputs = outputs
        self.found: list[Difference] = []
        self._inputs: dict[nn.Module, list[Any]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        with _hooks(self.calls.names, self._compare, self._keep):
            yield

    def _keep(self, layer: nn.Module, inputs: Any, kwargs: Any) -> None:
        """A copy, since the layer may work in place."""
        copy = tree_map_only(Tensor, lambda each: each.detach().clone(), (inputs, kwargs))
        self._inputs.setdefault(layer, []).append(copy)

    def _compare(self, layer: nn.Module, _inputs: Any, _kwargs: Any, output: Any) -> None:
        inputs = self._inputs[layer].pop()
        call = self.calls.name(layer)
        expected = _first_tensor(output)
        if expected is None or call not in self.outputs.tensors:
            return
        device = self.device
        types = iter(self.outputs.input_types[call])
        args, kwargs = tree_map_only(
            Tensor, lambda each: each.to(device.torch_device, next(types)), inputs
        )
        name = self.calls.names[layer]
        with device.autocast():  # without gradients attention would take another path
            found = _first_tensor(self.others["" if name == WHOLE else name](*args, **kwargs))
        assert found is not None, "the same layer gives the same kind of output"
        expected = expected.detach()
        size = sum(1 for part in layer.modules() if not list(part.children()))
        factor = 1.0 if size == 1 else BLOCK_FACTOR * math.sqrt(size)
        self.found.append(
            Difference(
                name=call,
                type=type(layer).__name__,
                error=relative_error(expected, found.to("cpu")),
                tolerance=factor * tolerance_of(device),
                error_so_far=relative_error(expected, self.outputs.tensors[call]),
            )
        )


@contextmanager
def _hooks(
    layers: Iterable[nn.Module],
    after: Callable[[nn.Module, Any, Any, Any], None],
    before: Callable[[nn.Module, Any, Any], None] | None = None,
) -> Iterator[None]:
    """Call these around every layer, for as long as it lasts."""
    handles = []
    for layer in layers:
        handles.append(layer.register_forward_hook(after, with_kwargs=True))
        if before is not None:
            handles.append(layer.register_forward_pre_hook(before, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(tree: Any) -> list[Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, Tensor)]


def _first_tensor(output: Any) -> Tensor | None:
    """Attention returns a tuple, whose first part is the output."""
    if isinstance(output, tuple | list):
        return next((each for each in map(_first_tensor, output) if each is not None), None)
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def relative_error(expected: Tensor, found: Tensor) -> float:
    """Root mean square of the difference beside that of what was expected; NaN where one is not."""
    expected, found = expected.double(), found.double()
    same = (expected == found) | (expected.isnan() & found.isnan())  # also infinities
    difference = torch.where(same, 0.0, found - expected).norm().item()
    size = torch.where(same & ~expected.isfinite(), 0.0, expected).norm().item()
    if size == 0:
        return 0.0 if difference == 0 else math.inf
    return float(difference / size)
