"""The same steps on the processor in fp32 and on another device or precision, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from expkit.probes.layer_replay import Difference, Outputs, Replay, relative_error, tolerance_of
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.seeding import seed_everything

Batch = tuple[Tensor, Tensor]
Pair = tuple[dict[str, Tensor], dict[str, Tensor]]  # by parameter, of reference and device

# gradients cancel over the batch, and keep more of the error than the outputs: of residual nets
# with batch norm three times as much was measured; beyond the last nothing is left of them
GRADIENT_FACTOR, MAX_GRADIENT_TOLERANCE = 8.0, 0.8
# Adam's first steps are signs, which small gradients turn: the other way would be 2
UPDATE_TOLERANCE = 1.0
MAX_HALVINGS = 20  # of fp16's scale: from 65536 to below 1


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
        outputs = Outputs(other.model)
        with outputs.recorded():
            loss = _collect(other, batch, seed)
        replay = Replay(reference.model, other.model, device, outputs)
        with replay.watching():
            reference_loss = _collect(reference, batch, seed)
        layers = layers if any(not each.is_within for each in layers) else replay.found
        gradients = _gradients(reference), _fitting_gradients(other, batch, seed)
        updates = _updates(reference), _updates(other)
        tolerance = tolerance_of(device) * math.sqrt(len(replay.found) + 1)
        steps.append(_step(number, (reference_loss, loss), gradients, updates, tolerance))
    return Parity(layers, steps)


def reference_device(device: Device) -> Device:
    """The processor in fp32, which every other device is held against."""
    return Device(torch.device("cpu"), "fp32", device.channels_last, False, "cpu, fp32")


def _collect(learner: Learner, batch: Batch, seed: int) -> float:
    """A batch's gradients, and its loss."""
    stand_still(learner)
    seed_everything(seed, "parity")
    device = learner.device.torch_device
    images_BCHW, targets = batch
    loss, _ = learner.forward_backward(images_BCHW.to(device), targets.to(device))
    return float(loss.detach())


def stand_still(learner: Learner) -> None:
    """Training mode for batch norm alone, where it is not frozen: nothing else that draws."""
    learner.model.eval()
    for layer in learner.model.modules():
        if isinstance(layer, _NormBase) and layer not in learner.frozen:
            layer.train()


def _gradients(learner: Learner) -> dict[str, Tensor]:
    """The gradients as the optimizer will see them, without fp16's scale."""
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
    """The change of each parameter by one optimizer step."""
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
    errors = {name: relative_error(expected[name], found[name]) for name in expected} or {"": 0.0}
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


def _error(expected: float, found: float) -> float:
    if repr(expected) == repr(found):
        return 0.0
    return abs(found - expected) / max(abs(expected), 1.0)
