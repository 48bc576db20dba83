"""Probes of a model before it trains: a few samples forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd

from expkit.probes.activations import FunctionWatch
from expkit.probes.layers import LayerWatch, describe_outputs, look_at_layers
from expkit.probes.loss import probe_loss
from expkit.probes.module_graph import ModuleGraph, affine_error, cross_sample_gradient
from expkit.probes.output_activation import last_operation, output_limits
from expkit.probes.preserve_state import preserve_state
from expkit.training.device import Device
from expkit.training.step_stats import ParameterGroups

__all__ = ["look_at_layers", "probe_loss", "probe_model"]

NUM_LEARNT = 16  # samples of the backward pass: it costs twice the forward one
NUM_MIXED = 4  # samples among which a mixture is looked for
MAX_MULTIPLICATIONS = 3e10  # a second or two on one core: larger nets are shown fewer samples
MODAL = (_NormBase, _DropoutNd)  # they do other things in training than in eval mode
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


class Probed(Protocol):
    """A model with what it learns by: a learner's, or that of somebody's own loop."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def loss(self) -> nn.Module: ...

    @property
    def device(self) -> Device: ...

    @property
    def optimizer(self) -> ParameterGroups: ...

    @property
    def frozen(self) -> Sequence[nn.Module]: ...

    def train_mode(self) -> None: ...


class Samples(Protocol):
    """Samples to look at: a split's, or some of a batch that came by."""

    def spread_out(self, count: int) -> Samples: ...

    def batches(self, size: int, /) -> Iterator[tuple[Tensor, Tensor]]: ...


def probe_model(learner: Probed, split: Samples, num_samples: int = 64) -> dict[str, Any]:
    """The model on up to 64 training samples, spread out, without augmentation, in fp32.

    Nothing is changed by it: no weight, buffer, gradient, mode or generator. Layers and outputs
    are those of eval mode, but a batch norm that has no statistics yet takes the batch's.
    """
    model, arrange = learner.model, learner.device.arrange
    with preserve_state(model, learner.loss):
        graph = _trace(model, arrange(_batch(split, 2)[0]))
        num_samples = min(num_samples, _affordable(graph.multiplications))
        images_BCHW, targets = _batch(split, num_samples)
        images_BCHW = arrange(images_BCHW)
        probe = {
            "num_samples": len(images_BCHW),
            "inputs": describe_inputs(images_BCHW),
            "linear_chains": graph.chains(),
            **_modes(learner),
        }
        outputs_BC, layers, activations = _watch(learner, images_BCHW)
        probe |= {"outputs": describe_outputs(outputs_BC), "layers": layers}
        probe["activations"] = activations
        probe["affine_error"] = _try(affine_error, model, images_BCHW)
        few = images_BCHW[:NUM_MIXED]
        probe["cross_sample_gradient"] = _try(cross_sample_gradient, model, few)
        probe["repeat_gap"] = _try(_repeat_gap, model, few)
        every = max(1, len(images_BCHW) // NUM_LEARNT)
        probe |= _learn(learner, images_BCHW[::every], targets[::every], outputs_BC[::every])
    return probe


def _batch(split: Samples, count: int) -> tuple[Tensor, Tensor]:
    return next(split.spread_out(count).batches(count))


def _affordable(multiplications_of_two: int) -> int:
    return max(NUM_MIXED, int(MAX_MULTIPLICATIONS / max(1, multiplications_of_two / 2)))


def _try(
    measure: Callable[[nn.Module, Tensor], float | None], model: nn.Module, images_BCHW: Tensor
) -> float | None:
    """None where a net cannot be asked so, as some kernels have no backward pass in eval mode."""
    try:
        return measure(model, images_BCHW)
    except RuntimeError:
        return None


@torch.no_grad()
def _trace(model: nn.Module, images_BCHW: Tensor) -> ModuleGraph:
    model.eval()
    graph = ModuleGraph(model)
    with graph.open():
        model(images_BCHW)
    return graph


@torch.no_grad()
def _watch(
    learner: Probed, images_BCHW: Tensor
) -> tuple[Tensor, list[dict[str, Any]], list[dict[str, Any]]]:
    """The outputs, what the layers say, and what activations that are no layers do."""
    model = learner.model
    model.eval()
    for norm in _without_statistics(learner):
        norm.train()
    watch = LayerWatch(model, len(images_BCHW))
    functions = FunctionWatch(model, len(images_BCHW))
    with watch.open(), functions.open():
        outputs_BC: Tensor = model(images_BCHW)
    model.eval()
    return outputs_BC, watch.read(), functions.read()


def _without_statistics(learner: Probed) -> list[_BatchNorm]:
    """The batch norms that learn and have seen no samples: their mean is 0, their variance 1.

    In eval mode such a norm does nothing, and a deep net dies out or blows up as it never will in
    training. Values are compared, since trained weights of elsewhere may have counted no batches.
    """
    frozen = {id(inner) for layer in learner.frozen for inner in layer.modules()}
    found = []
    for norm in learner.model.modules():
        if (
            isinstance(norm, _BatchNorm)
            and norm.running_mean is not None
            and id(norm) not in frozen
        ):
            assert norm.running_var is not None, "both are kept, or none"
            if not norm.running_mean.any() and bool((norm.running_var == 1).all()):
                found.append(norm)
    return found


def describe_inputs(images_BCHW: Tensor) -> dict[str, float]:
    """The images as the model gets them."""
    std, mean = torch.std_mean(images_BCHW, correction=0)
    non_finite = (~images_BCHW.isfinite()).sum().float()
    numbers = [mean, std, images_BCHW.min(), images_BCHW.max(), non_finite]
    names = ("mean", "std", "min", "max", "non_finite")
    return dict(zip(names, torch.stack(numbers).tolist(), strict=True))


def _modes(learner: Probed) -> dict[str, Any]:
    """Modules that are not in the mode that they were sent to; those frozen on purpose excepted."""
    model = learner.model
    names = {name or "model": m for name, m in model.named_modules() if isinstance(m, MODAL)}
    on_purpose = {id(inner) for layer in learner.frozen for inner in layer.modules()}
    learner.train_mode()
    asleep = [n for n, m in names.items() if not m.training and id(m) not in on_purpose]
    model.eval()
    return {
        "not_training": asleep,
        "not_evaluating": [name for name, module in names.items() if module.training],
        "batch_norms": sum(isinstance(module, _BatchNorm) for module in model.modules()),
        "without_averages": [
            name
            for name, module in names.items()
            if isinstance(module, _BatchNorm) and module.running_mean is None
        ],
        "norm_momenta": sorted(
            {
                module.momentum
                for name, module in names.items()
                if isinstance(module, _BatchNorm)
                and module.momentum is not None
                and name not in asleep
                and id(module) not in on_purpose
            }
        ),
    }


def _learn(
    learner: Probed, images_BCHW: Tensor, targets: Tensor, evaluated_BC: Tensor
) -> dict[str, Any]:
    """One forward and one backward pass in training mode; no gradient is left behind."""
    model = learner.model
    learner.train_mode()
    named = dict(model.named_parameters())
    wanted = {name: p for name, p in named.items() if p.requires_grad}
    with torch.enable_grad():
        outputs_BC = model(images_BCHW)
        loss: Tensor = learner.loss(outputs_BC, targets)
    gradients: dict[str, Tensor | None] = {}
    if loss.requires_grad and wanted:
        found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
        gradients = dict(zip(wanted, found, strict=True))
    return {
        "loss": loss.item(),
        "expected_loss": _expected_loss(learner.loss, outputs_BC, targets),
        "last_operation": last_operation(outputs_BC),
        "output_limits": output_limits(outputs_BC),
        "train_eval_gap": _gap(outputs_BC.detach(), evaluated_BC),
        **_describe_parameters(learner, gradients),
    }


@torch.no_grad()
def _repeat_gap(model: nn.Module, images_BCHW: Tensor) -> float | None:
    """By how much two outputs to the same samples differ in eval mode, relative to their size."""
    return _gap(model(images_BCHW), model(images_BCHW))


@torch.no_grad()
def _expected_loss(loss: nn.Module, outputs_BC: Tensor, targets: Tensor) -> float | None:
    if targets.is_floating_point():
        return None
    nothing_BC = torch.zeros_like(outputs_BC)
    if last_operation(outputs_BC) == "LogSoftmax":
        nothing_BC = nothing_BC.log_softmax(1)
    value: float = loss(nothing_BC, targets).item()
    return value


def _gap(training_BC: Tensor, evaluated_BC: Tensor) -> float | None:
    size = evaluated_BC.square().mean().sqrt()
    gap = (training_BC - evaluated_BC).square().mean().sqrt()
    return (gap / size).item() if size > 0 else None


@torch.no_grad()
def _describe_parameters(learner: Probed, gradients: dict[str, Tensor | None]) -> dict[str, Any]:
    model = learner.model
    optimised = {id(p) for group in learner.optimizer.param_groups for p in group["params"]}
    named = dict(model.named_parameters())
    zero = torch.zeros((), device=next(iter(named.values())).device) if named else torch.zeros(())
    squares = {n: g.float().square().mean() for n, g in gradients.items() if g is not None}
    weights = torch.stack([zero, *(p.float().square().mean() for p in named.values())])
    weight_rms = weights.sqrt().tolist()[1:]
    gradient_rms = torch.stack([zero, *squares.values()]).sqrt().tolist()[1:]
    rms_of = dict(zip(squares, gradient_rms, strict=True))
    parameters = [
        {
            "name": name,
            "size": parameter.numel(),
            "weight_rms": rms,
            "gradient_rms": rms_of.get(name),
            "trainable": parameter.requires_grad,
            "optimised": id(parameter) in optimised,
            "kind": _kind(model, name),
        }
        for (name, parameter), rms in zip(named.items(), weight_rms, strict=True)
    ]
    norm = sum(rms_of[name] ** 2 * named[name].numel() for name in rms_of) ** 0.5
    return {
        "gradient_norm": norm,
        "parameters": parameters,
        "optimizer_strangers": len(optimised - {id(p) for p in named.values()}),
    }


def _kind(model: nn.Module, name: str) -> str:
    module_name, _, last = name.rpartition(".")
    if isinstance(model.get_submodule(module_name), NORMS):
        return "norm"
    return "bias" if "bias" in last else "weight"
