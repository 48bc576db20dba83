"""The first layer at which an exported file computes something else than the model in torch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from expkit.export.deployed_model import INPUT, DeployedModel
from expkit.models.exported import ExportedModel
from expkit.probes.layer_replay import TOLERANCES, relative_error
from expkit.records.exported import Precision

NUM_SAMPLES = 2
# of one operation, given equal inputs; 256 levels over a range that outliers widen
EXPLAINED: Mapping[Precision, float] = {
    "fp32": TOLERANCES["fp32"],
    "fp16": TOLERANCES["fp16"],
    "int8": 0.1,
}

Values = dict[str, Tensor]


@dataclass(frozen=True)
class FirstDifference:
    """The first operation whose own error is more than the precision explains.

    Where each alone is within that, the one with the largest error: the roundings of all add up.
    """

    layer: str
    type: str
    tensor: str
    error: float  # root mean square, relative to torch's, given torch's inputs
    tolerance: float
    error_so_far: float  # given what the file made of all before it

    @property
    def is_beyond(self) -> bool:
        return not self.error <= self.tolerance  # a NaN is beyond


def compare_resize(
    graph: DeployedModel, exported: ExportedModel, images_BCHW: Tensor
) -> FirstDifference | None:
    """Hold the graph's resize in torch against the images that the run's own path prepared."""
    levels_BHWC = images_BCHW.permute(0, 2, 3, 1)
    resized_BHWC = graph.resize(torch.from_numpy(exported.with_border(images_BCHW)))
    error = relative_error(levels_BHWC, resized_BHWC)
    if error == 0:
        return None
    return FirstDifference("resize", type(graph.resize).__name__, "resize", error, 0.0, error)


def find_first_difference(
    program: torch.export.ExportedProgram,
    graph: DeployedModel,
    precision: Precision,
    file: Path,
    images_NHWC: npt.NDArray[np.uint8],
) -> FirstDifference | None:
    """Hold each tensor of a file against that of the program in fp32 of which it was written.

    The file is ONNX, or torch's own: their tensors have the names of the program's nodes.
    """
    expected = _Recorder(program.module())
    with torch.no_grad():
        expected.run(torch.from_numpy(images_NHWC))
    named = _with_output_names(program, graph, expected.values)
    read = _read_torch if file.suffix == ".pt2" else _read_onnx
    own, so_far = read(file, images_NHWC, named)
    nodes = {node.name: node for node in program.graph.nodes}
    nodes |= {new: nodes[old] for new, old in _output_names(program, graph).items()}
    found = [
        FirstDifference(
            *_layer_of(_first_merged(nodes[name], own), graph.layer_prefix),
            tensor=name,
            error=relative_error(named[name], tensor),
            tolerance=EXPLAINED[precision],
            error_so_far=relative_error(named[name], so_far[name]),
        )
        for name, tensor in own.items()
    ]
    first = next((each for each in found if each.is_beyond), None)
    return first or max(found, key=lambda each: each.error, default=None)


class _Recorder(torch.fx.Interpreter):
    """Runs a graph in torch and keeps what its nodes make; with `given`, each from these inputs."""

    def __init__(self, module: nn.Module, given: Values | None = None) -> None:
        super().__init__(module)
        self.given = given or {}
        self.values: Values = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        value = super().run_node(n)
        is_made = n.op.startswith("call") and isinstance(value, Tensor)
        if is_made and value.is_floating_point():
            self.values[n.name] = value.clone()
        if is_made and n.name in self.given:
            return self.given[n.name].to(value.dtype)
        return value


def _read_torch(
    file: Path, images_NHWC: npt.NDArray[np.uint8], named: Values
) -> tuple[Values, ...]:
    recorders = [_Recorder(torch.export.load(file).module(), given) for given in (named, {})]
    with torch.no_grad():
        for each in recorders:
            each.run(torch.from_numpy(images_NHWC))
    own, so_far = (
        {name: value for name, value in each.values.items() if name in named} for each in recorders
    )
    return own, so_far


def _read_onnx(file: Path, images_NHWC: npt.NDArray[np.uint8], named: Values) -> tuple[Values, ...]:
    """Each tensor's value when its operation has torch's inputs, and when it has the file's own."""
    import onnx

    model = onnx.load(file)
    rounded = _rounded_tensors(model)
    read = {rounded.get(n, n): n for node in model.graph.node for n in node.output if n in named}
    plain = copy.deepcopy(model)
    outputs = {each.name for each in model.graph.output}
    plain.graph.output.extend(onnx.ValueInfoProto(name=n) for n in read if n not in outputs)
    so_far = _run_onnx(plain, list(read), {INPUT: images_NHWC})
    read = {place: name for place, name in read.items() if so_far[place].dtype.kind == "f"}
    given = {
        f"given {place}": named[name].numpy().astype(so_far[place].dtype)
        for place, name in read.items()
    }
    forced = copy.deepcopy(plain)
    for node in forced.graph.node:
        node.input[:] = [f"given {each}" if each in read else each for each in node.input]
    for name, value in given.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        forced.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    own = _run_onnx(forced, list(read), {INPUT: images_NHWC, **given})
    return _as_tensors(own, read), _as_tensors(so_far, read)


def _rounded_tensors(model: Any) -> dict[str, str]:
    """The tensor in 8 bits, as a float again, of each that is rounded to them.

    It is the one to look at: rounding also does what a ReLU did that was taken out of the file.
    """
    back = {n.input[0]: n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    return {
        node.input[0]: back[node.output[0]]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.output[0] in back
    }


def _run_onnx(model: Any, names: Sequence[str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    used = {each.name for each in session.get_inputs()}
    fed = {name: value for name, value in inputs.items() if name in used}
    return dict(zip(names, session.run(list(names), fed), strict=True))


def _as_tensors(arrays: Mapping[str, Any], read: Mapping[str, str]) -> Values:
    return {name: torch.from_numpy(np.array(arrays[place])) for place, name in read.items()}


def _output_names(program: torch.export.ExportedProgram, graph: DeployedModel) -> dict[str, str]:
    """The node of each output, which the file calls otherwise."""
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    return {name: node.name for name, node in zip(graph.output_names, output.args[0], strict=False)}


def _with_output_names(
    program: torch.export.ExportedProgram, graph: DeployedModel, values: Values
) -> Values:
    outputs = _output_names(program, graph)
    return values | {new: values[old] for new, old in outputs.items() if old in values}


def _first_merged(node: torch.fx.Node, own: Values) -> torch.fx.Node:
    """The first of the nodes that became one operation of the file, as a convolution, its batch
    norm and its activation do: the values between them are not in the file."""
    while node.args and isinstance(before := node.args[0], torch.fx.Node):
        value = before.meta.get("val")
        is_float = isinstance(value, Tensor) and value.is_floating_point()
        is_call = before.op == "call_function" and (is_float or isinstance(value, tuple | list))
        if before.name in own or not is_call:
            break
        node = before
    return node


def _layer_of(node: torch.fx.Node, prefix: str) -> tuple[str, str]:
    """The path of the layer in which a node arose, and its type; of what surrounds the model, the
    operation."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    if not path or f"{path}." == prefix:
        return node.name, str(node.target)
    return path.removeprefix(prefix), kind.rpartition(".")[2]
