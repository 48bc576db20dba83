"""The layer whose operation a format lacks, found in what its exporter says."""

from __future__ import annotations

import re

import torch

NODE = (
    re.compile(r"translating node %(\w+)"),  # torch.onnx
    re.compile(r"conversion of operation (\w+)/"),  # OpenVINO
)


def reason_of(program: torch.export.ExportedProgram, error: BaseException) -> str:
    """Say which operation of which layer could not be written; else the error's first line."""
    texts, cause = [str(error)], error.__cause__
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    # an exporter names what it makes of an operation as the operation, but for underscores
    nodes = {node.name.strip("_"): node for node in program.graph.nodes}
    for text in texts:
        for pattern in NODE:
            found = pattern.search(text)
            if found and found[1].strip("_") in nodes:
                return _describe(nodes[found[1].strip("_")])
    return (texts[0].strip().splitlines() or [type(error).__name__])[0]


def _describe(node: torch.fx.Node) -> str:
    while "getitem" in str(node.target) and isinstance(node.args[0], torch.fx.Node):
        node = node.args[0]  # one of several outputs: it is the operation that lacks
    operation = str(node.target).removesuffix(".default")
    return f"it has no {operation}, which {layer_of(node)} needs"


def layer_of(node: torch.fx.Node) -> str:
    """The layer of the model in which a node of the graph arose, by its name and type."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    paths = [(path.removeprefix("model").lstrip("."), kind) for path, kind in stack]
    name, kind = next(((p, k) for p, k in reversed(paths) if p), ("the model", ""))
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return f"the layer '{name}' ({kind.rpartition('.')[2]})" if kind else name
