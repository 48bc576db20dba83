"""The output activation: the last operation before a model's outputs, by autograd."""

from __future__ import annotations

from torch import Tensor
from torch.autograd.graph import Node

# autograd's names for what leaves every number as it is
VIEWS = frozenset({"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Clone", "ToCopy"})
LIMITS = (("min", "max"), ("min_val", "max_val"))  # a clamp's names for them, and a hard tanh's


def last_operation(outputs_BC: Tensor) -> str | None:
    """Autograd's name for what made the outputs, such as Softmax or Addmm."""
    node = _last_node(outputs_BC)
    return None if node is None else _operation(node)


def output_limits(outputs_BC: Tensor) -> list[float | None] | None:
    """The least and the largest number that a clamp at the end lets through."""
    node = _last_node(outputs_BC)
    for names in LIMITS:
        saved = [getattr(node, f"_saved_{name}", None) for name in names]
        limits = [float(each) if isinstance(each, float | int) else None for each in saved]
        if limits != [None, None]:
            return limits
    return None


def _last_node(outputs_BC: Tensor) -> Node | None:
    node = outputs_BC.grad_fn
    while node is not None and _operation(node) in VIEWS:
        node = node.next_functions[0][0]
    return node


def _operation(node: Node) -> str:
    return node.name().rstrip("0123456789").removesuffix("Backward")
