"""The same steps on the processor in fp32 and on another device or precision, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_leaves, tree_map_only

from expkit.engine.device import Device
from expkit.engine.loop import Learner
from expkit.engine.randomness import seed_everything

Batch = tuple[Tensor, Tensor]
Pair = tuple[dict[str, Tensor], dict[str, Tensor]]  # by parameter, of reference and device

# The relative error that a layer's outputs may have. Of bf16 and fp16 it is four of their
# roundings; sums of thousands of fp32 numbers in another order differ by some fifty of its own;
# NVIDIA's GPUs convolve fp32 in TF32, which has fp16's ten bits.
TOLERANCES = {"fp32": 1e-5, "tf32": 4 * 2**-11, "fp16": 4 * 2**-11, "bf16": 4 * 2**-8}
# a block's parts magnify each other's roundings: measured up to twice over an EfficientNet
BLOCK_FACTOR = 2.0
# gradients cancel over the batch, and keep more of the error than the outputs: of residual nets
# with batch norm three times as much was measured; beyond the last nothing is left of them
GRADIENT_FACTOR, MAX_GRADIENT_TOLERANCE = 8.0, 0.8
# Adam's first steps are signs, which small gradients turn: the other way would be 2
UPDATE_TOLERANCE = 1.0
MAX_HALVINGS = 20  # of fp16's scale: from 65536 to below 1


@dataclass(frozen=True)
class Difference:
    """How far one layer's outputs lie from the reference's, given the same inputs."""

    name: str
    type: str
    error: float  # root mean square, relative to the reference's
    tolerance: float
    error_so_far: float  # given what the layers before it made of theirs

    @property
    def is_within(self) -> bool:
        return self.error <= self.tolerance  # false for a NaN


@dataclass(frozen=True)
class Step:
    """One step's loss on either side, and how far the gradients lie apart."""

    number: int
    reference_loss: float
    loss: float
    gradient_error: float
    worst_gradient: str  # the parameter whose gradient is the furthest off
    worst_gradient_error: float
    update_error: float  # of what the optimizer did to the weights
    loss_tolerance: float
    gradient_tolerance: float

    @property
    def loss_error(self) -> float:
        """Relative; of a loss below 1 absolute, since nothing is near nothing."""
        return _error(self.reference_loss, self.loss)

    @property
    def is_within(self) -> bool:
        return (
            self.loss_error <= self.loss_tolerance
            and self.gradient_error <= self.gradient_tolerance
            and self.update_error <= UPDATE_TOLERANCE
        )


@dataclass(frozen=True)
class Parity:
    """The layers in the order in which they ran, of the first step apart or the last; all steps."""

    layers: Sequence[Difference]
    steps: Sequence[Step]

    @property
    def first_apart(self) -> Difference | None:
        """Where it begins; the layers behind it inherit the difference."""
        return next((layer for layer in self.layers if not layer.is_within), None)

    @property
    def is_within(self) -> bool:
        return self.first_apart is None and all(step.is_within for step in self.steps)


def compare_devices(
    make_learner: Callable[[Device], Learner], device: Device, batches: Sequence[Batch], seed: int
) -> Parity:
    """Steps from the same weights on the same batches, on the processor in fp32 and on `device`.

    Every step starts from the reference's weights, so that what differs is that step's own and
    not what earlier ones left. What draws at random is off, since devices draw differently; batch
    norm works as in training.
    """
    reference = make_learner(reference_device(device))
    other = make_learner(device)
    layers: list[Difference] = []
    steps = []
    for number, batch in enumerate(batches, 1):
        state = reference.model.state_dict()
        other.model.load_state_dict(state)
        outputs = _Outputs(other.model)
        with outputs.recorded():
            loss = _collect(other, batch, seed)
        replay = _Replay(reference.model, other, outputs)
        with replay.watching():
            reference_loss = _collect(reference, batch, seed)
        layers = layers if any(not each.is_within for each in layers) else replay.found
        gradients = _gradients(reference), _fitting_gradients(other, batch, seed)
        updates = _updates(reference), _updates(other)
        tolerance = _tolerance(device) * math.sqrt(len(replay.found) + 1)
        steps.append(_step(number, (reference_loss, loss), gradients, updates, tolerance))
    return Parity(layers, steps)


def reference_device(device: Device) -> Device:
    """The processor in fp32, which every other device is held against."""
    return Device(torch.device("cpu"), "fp32", device.channels_last, False, "cpu, fp32")


def _tolerance(device: Device) -> float:
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


class _Outputs:
    """What each call gave on the device, and of what types its inputs were."""

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


class _Replay:
    """Gives each layer on the device the very inputs of the reference's, as soon as that ran.

    What a layer makes of its own inputs is its own: over a deep net with batch norm the roundings
    of all layers add up to a third of the outputs, with nothing wrong anywhere.
    """

    def __init__(self, model: nn.Module, other: Learner, outputs: _Outputs) -> None:
        self.calls = _Calls(model)
        self.other = other
        self.others = dict(other.model.named_modules())
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
        device = self.other.device
        types = iter(self.outputs.input_types[call])
        args, kwargs = tree_map_only(
            Tensor, lambda each: each.to(device.torch_device, next(types)), inputs
        )
        name = self.calls.names[layer]
        with torch.no_grad(), device.autocast():
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
                tolerance=factor * _tolerance(device),
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
    """Attention answers with a tuple, whose first part is the answer."""
    if isinstance(output, tuple | list):
        return next((each for each in map(_first_tensor, output) if each is not None), None)
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def _collect(learner: Learner, batch: Batch, seed: int) -> float:
    """A batch's gradients, and its loss."""
    stand_still(learner)
    seed_everything(seed, "parity")
    device = learner.device.torch_device
    images_BCHW, targets = batch
    loss, _ = learner.collect(images_BCHW.to(device), targets.to(device))
    return float(loss.detach())


def stand_still(learner: Learner) -> None:
    """Training mode for batch norm alone, where it is not frozen: nothing else that draws."""
    learner.model.eval()
    for layer in learner.model.modules():
        if isinstance(layer, _NormBase) and layer not in learner.frozen:
            layer.train()


def _gradients(learner: Learner) -> dict[str, Tensor]:
    """As the optimizer will see them, without fp16's scale."""
    scale = learner.scaler.get_scale() if learner.scaler.is_enabled() else 1.0
    return {
        name: each.grad.detach().to("cpu", torch.float64) / scale
        for name, each in learner.model.named_parameters()
        if each.grad is not None
    }


def _fitting_gradients(learner: Learner, batch: Batch, seed: int) -> dict[str, Tensor]:
    """Under the largest scale that fp16 bears: training would skip steps until it is found."""
    gradients = _gradients(learner)
    for _ in range(MAX_HALVINGS):
        if not learner.scaler.is_enabled() or _all_finite(gradients):
            break
        learner.optimizer.zero_grad(set_to_none=True)
        learner.scaler.update(learner.scaler.get_scale() / 2)
        _collect(learner, batch, seed)
        gradients = _gradients(learner)
    return gradients


def _all_finite(gradients: dict[str, Tensor]) -> bool:
    return all(bool(each.isfinite().all()) for each in gradients.values())


def _updates(learner: Learner) -> dict[str, Tensor]:
    """What the optimizer's step does to each parameter."""
    parameters = dict(learner.model.named_parameters())
    before = {name: each.detach().clone() for name, each in parameters.items()}
    learner.step()
    return {
        name: (each.detach() - before[name]).to("cpu", torch.float64)
        for name, each in parameters.items()
    }


def _step(
    number: int, losses: tuple[float, float], gradients: Pair, updates: Pair, tolerance: float
) -> Step:
    expected, found = gradients
    assert expected.keys() == found.keys(), "the same parameters get gradients"
    errors = {name: relative_error(expected[name], found[name]) for name in expected}
    # a NaN is the worst of all
    worst = max(errors, key=lambda name: math.inf if math.isnan(errors[name]) else errors[name])
    return Step(
        number=number,
        reference_loss=losses[0],
        loss=losses[1],
        gradient_error=relative_error(*map(_flat, gradients)),
        worst_gradient=worst,
        worst_gradient_error=errors[worst],
        update_error=relative_error(*map(_flat, updates)),
        loss_tolerance=tolerance,
        gradient_tolerance=min(GRADIENT_FACTOR * tolerance, MAX_GRADIENT_TOLERANCE),
    )


def _flat(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([each.flatten() for each in gradients.values()])


def relative_error(expected: Tensor, found: Tensor) -> float:
    """Root mean square of the difference beside that of what was expected; NaN where one is not."""
    expected, found = expected.double(), found.double()
    same = (expected == found) | (expected.isnan() & found.isnan())  # also infinities
    difference = torch.where(same, 0.0, found - expected).norm().item()
    size = torch.where(same & ~expected.isfinite(), 0.0, expected).norm().item()
    if size == 0:
        return 0.0 if difference == 0 else math.inf
    return float(difference / size)


def _error(expected: float, found: float) -> float:
    if repr(expected) == repr(found):
        return 0.0
    return abs(found - expected) / max(abs(expected), 1.0)
