"""Activations that a net calls as functions, which no hook on a layer sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from expkit.probes.layers import MEASURES, measure

KINDS = {"relu": nn.ReLU, "relu_": nn.ReLU, "relu6": nn.ReLU6}
KINDS |= {"tanh": nn.Tanh, "tanh_": nn.Tanh, "sigmoid": nn.Sigmoid, "sigmoid_": nn.Sigmoid}
MOST = 200  # a cell that is called step by step has no end of them


class FunctionWatch(TorchFunctionMode):
    """Collects the measures of a layer on every functional rectifier, tanh and sigmoid."""

    def __init__(self, model: nn.Module, num_samples: int) -> None:
        super().__init__()
        self._model = model
        self._num_samples = num_samples
        self._depth = 0  # of leaf modules: what they call inside is theirs
        self._behind = ""
        self._found: list[tuple[str, str, int, list[bool]]] = []
        self._numbers: list[Tensor] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        handles = []
        for name, leaf in self._model.named_modules():
            if next(leaf.children(), None) is None:
                handles.append(leaf.register_forward_pre_hook(self._enter))
                handles.append(leaf.register_forward_hook(self._leave(name), always_call=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, given: Any) -> None:
        self._depth += 1

    def _leave(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def leave(module: nn.Module, given: Any, output: Any) -> None:
            self._depth -= 1
            self._behind = name

        return leave

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        kind = KINDS.get(getattr(func, "__name__", ""))
        if kind is not None and self._depth == 0 and len(self._found) < MOST:
            with torch._C.DisableTorchFunction():
                self._see(func.__name__, kind(), output)
        return output

    def _see(self, function: str, kind: nn.Module, x: Any) -> None:
        is_batch = isinstance(x, Tensor) and x.dim() in (2, 3, 4) and x.numel()
        if not is_batch or len(x) != self._num_samples:
            return
        axis = x.dim() - 1 if x.dim() == 3 else 1
        measured, numbers = measure(kind, x.detach(), axis, self._num_samples)
        self._found.append((self._behind, function, x.shape[axis], measured))
        self._numbers.append(numbers)

    def read(self) -> list[dict[str, Any]]:
        """In the order of their calls, each with the layer that it stands `behind`."""
        if not self._numbers:
            return []
        rows = torch.stack(self._numbers).tolist()
        return [
            {"name": f"{function}() behind {behind}", "behind": behind, "type": function}
            | {"units": units}
            | {key: row[i] if measured[i] else None for i, key in enumerate(MEASURES)}
            for (behind, function, units, measured), row in zip(self._found, rows, strict=True)
        ]
