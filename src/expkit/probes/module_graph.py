"""The module graph, found by running it: chains of linear layers, mixed samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from expkit.probes.layers import first_tensor

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# what leaves a linear layer's output affine, in eval mode, and is no layer of its own
RESHAPING = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten, nn.Unflatten)
AFFINE = (*RESHAPING, _BatchNorm, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.ZeroPad2d)
FAR = 100.0  # times the inputs: where no activation is straight
# reads of a tensor, and other views of it: none of them is a use
VIEWS = frozenset(
    {"__get__", "__len__", "size", "dim", "numel", "stride", "is_floating_point", "data_ptr"}
    | {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose"}
    | {"contiguous", "untyped_storage", "is_contiguous", "numpy", "detach", "requires_grad_"}
    | {"dropout", "dropout1d", "dropout2d"}  # in eval mode they give what they are given
)


class ModuleGraph(TorchFunctionMode):
    """Follows the outputs of linear layers to whatever takes them up, by their storage.

    Views share a storage and its version, which any change in place raises: so neither
    `x.flatten(1)` nor an activation in place deceives it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._made: dict[int, tuple[str, nn.Module, Tensor, int]] = {}  # by storage
        self._depth = 0  # of leaf modules
        self._pairs: list[tuple[str, nn.Module, str, nn.Module]] = []
        self._used_otherwise: set[str] = set()
        self.multiplications = 0  # of a forward pass, by linear layers

    @contextmanager
    def open(self) -> Iterator[None]:
        handles = []
        for name, leaf in self._model.named_modules():
            if next(leaf.children(), None) is None:
                handles.append(leaf.register_forward_pre_hook(self._enter(name)))
                handles.append(leaf.register_forward_hook(self._leave(name), always_call=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def chains(self) -> list[list[str]]:
        """Pairs of linear layers of which the first adds nothing to what the second can do."""
        return [
            [before_name, name]
            for before_name, before, name, after in self._pairs
            if before_name not in self._used_otherwise and is_needless(before, after)
        ]

    def _maker_of(self, x: Any) -> tuple[str, nn.Module] | None:
        if not isinstance(x, Tensor):
            return None
        name, module, _, version = self._made.get(_storage(x), ("", self._model, x, -1))
        return (name, module) if version == x._version else None

    def _enter(self, name: str) -> Callable[[nn.Module, Any], None]:
        def enter(module: nn.Module, given: Any) -> None:
            self._depth += 1
            maker = self._maker_of(given[0] if given else None)
            if maker is None or isinstance(module, AFFINE):
                return
            if isinstance(module, LINEAR):
                self._pairs.append((*maker, name, module))
            else:
                self._used_otherwise.add(maker[0])

        return enter

    def _leave(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def leave(module: nn.Module, given: Any, output: Any) -> None:
            self._depth -= 1
            x = first_tensor(output)
            if x is None:
                return
            if isinstance(module, LINEAR):
                self._made[_storage(x)] = (name, module, x, x._version)
                self.multiplications += x.numel() * module.weight[0].numel()
            elif isinstance(module, AFFINE) and given and (maker := self._maker_of(given[0])):
                self._made[_storage(x)] = (*maker, x, x._version)

        return leave

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if self._depth == 0 and getattr(func, "__name__", "") not in VIEWS:
            given = [*args, *(kwargs or {}).values()]
            flat = [y for x in given for y in (x if isinstance(x, tuple | list) else [x])]
            with torch._C.DisableTorchFunction():
                self._used_otherwise |= {m[0] for x in flat if (m := self._maker_of(x))}
        return func(*args, **(kwargs or {}))


def is_needless(before: nn.Module, after: nn.Module) -> bool:
    """Tell whether two linear layers in a row do what one could.

    Not so where the first narrows what comes in and the second widens it again (low rank, and the
    linear bottleneck of MobileNetV2), nor where one works by groups (separable convolutions), cuts
    the image into patches, or keeps a fixed bank of filters.
    """
    assert isinstance(before, LINEAR)
    assert isinstance(after, LINEAR)
    if max(getattr(before, "groups", 1), getattr(after, "groups", 1)) > 1:
        return False
    if not (before.weight.requires_grad and after.weight.requires_grad):
        return False
    if is_separable(before, after) or is_separable(after, before) or cuts_patches(before):
        return False
    middle, width_in = before.weight.shape[:2]
    return bool(middle >= min(width_in, after.weight.shape[0]))


def is_separable(spatial: nn.Module, pointwise: nn.Module) -> bool:
    """Tell whether one filters a single channel and the other mixes channels alone.

    Of one channel, as grey images have, a depthwise convolution has one group and is a plain one.
    """
    if isinstance(spatial, nn.Linear) or isinstance(pointwise, nn.Linear):
        return False
    assert isinstance(spatial, LINEAR)
    assert isinstance(pointwise, LINEAR)
    is_pointwise = pointwise.weight[0, 0].numel() == 1
    return is_pointwise and spatial.weight.shape[1] == 1 < spatial.weight[0, 0].numel()


def cuts_patches(layer: nn.Module) -> bool:
    """Tell whether a convolution's stride is its kernel size, as in a patch embedding."""
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return False
    return layer.kernel_size == layer.stride and max(layer.stride) > 1


def _storage(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


@torch.no_grad()
def affine_error(model: nn.Module, images_BCHW: Tensor) -> float | None:
    """Measure how far f(a) + f(b) - f(c) is from f(a + b - c), as a fraction of f(a) - f(c).

    The larger of two: next to zero a tanh of small weights is all but a straight line.
    """
    if len(images_BCHW) < 3:
        return None
    errors = [_affine_error(model, images_BCHW), _affine_error(model, FAR * images_BCHW)]
    measured = [error for error in errors if error is not None and math.isfinite(error)]
    return max(measured) if len(measured) == 2 else None


def _affine_error(model: nn.Module, images_BCHW: Tensor) -> float | None:
    a, b, c = images_BCHW[0], images_BCHW[len(images_BCHW) // 2], images_BCHW[-1]
    f_a, f_b, f_c, f_abc = model(torch.stack([a, b, c, a + b - c])).double()
    difference = torch.stack([f_a - f_c, f_b - f_c]).square().mean().sqrt()
    error = (f_a + f_b - f_c - f_abc).square().mean().sqrt()
    return float(error / difference) if difference > 0 else None


def cross_sample_gradient(model: nn.Module, images_BCHW: Tensor) -> float | None:
    """Return how much the output to one sample hangs on another, relative to its own.

    The sample is one in the middle: what runs along the batch reaches it from either end. Where
    its answer hangs on no sample at all, what the layers within say of it is asked instead: a
    class token that attends along the batch meets nothing but other class tokens.
    """
    if len(images_BCHW) < 3:
        return None
    inputs = images_BCHW.detach().clone().requires_grad_()
    middle = len(inputs) // 2
    within: list[Tensor] = []
    with torch.enable_grad(), _kept_outputs(model, len(inputs), within):
        output_C = model(inputs)[middle]
    if not output_C.requires_grad:
        return None
    found = _cross_fraction(output_C, inputs, middle)
    if found is None and within:
        found = _cross_fraction(torch.cat([x[middle].flatten() for x in within]), inputs, middle)
    return found


@contextmanager
def _kept_outputs(model: nn.Module, num_samples: int, kept: list[Tensor]) -> Iterator[None]:
    """Keep the output of every leaf that has a row for each sample."""

    def keep(module: nn.Module, given: Any, output: Any) -> None:
        x = first_tensor(output)
        if x is not None and x.requires_grad and x.dim() > 1 and len(x) == num_samples:
            kept.append(x)

    leaves = [m for m in model.modules() if next(m.children(), None) is None]
    handles = [leaf.register_forward_hook(keep) for leaf in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _cross_fraction(output_C: Tensor, inputs: Tensor, middle: int) -> float | None:
    """None where the output hangs on no input."""
    # unequal weights: those of a softmax would cancel
    weight_C = torch.linspace(0.5, 1.5, len(output_C), device=output_C.device).cos()
    total = (output_C * weight_C).sum()
    (gradient,) = torch.autograd.grad(total, inputs, allow_unused=True, retain_graph=True)
    if gradient is None:
        return None
    size_B = gradient.flatten(1).double().norm(dim=1)
    own = size_B[middle].item()
    others = torch.cat([size_B[:middle], size_B[middle + 1 :]]).max().item()
    if own == 0:
        return float("inf") if others > 0 else None
    return float(others / own)
