"""Checkpoints: one safetensors file each, tensors and plain JSON, nothing that runs when read."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.loss import _WeightedLoss
from torch.optim.swa_utils import AveragedModel

from expkit.errors import UserError
from expkit.records.files import parse_json
from expkit.records.run.checkpoint_digests import note_digest, refuse_damaged
from expkit.records.safe_open import open_regular
from expkit.records.typed_values import Count, check_shape
from expkit.training.learner import Learner

# before the names of tensors that are not the model's, which stand bare
OPTIMIZER = "optimizer:"
AVERAGE = "average:"
LOSS = "loss:"


class Origin(TypedDict):
    """The epoch after which a checkpoint was written."""

    epoch: Count


class Metadata(Origin, total=False):
    """The metadata of a checkpoint, as far as it is used."""

    stage: str
    training: dict[str, Any]


def save_weights(
    path: Path, model: nn.Module, metadata: dict[str, Any], *, without: Collection[str] = ()
) -> None:
    """The model alone, under its own names, as anything that reads safetensors wants it."""
    tensors = {name: value for name, value in model.state_dict().items() if name not in without}
    _save(path, tensors, metadata)


def save_learner(path: Path, learner: Learner, metadata: dict[str, Any]) -> None:
    """All that the next epoch depends on: randomness and schedule hold no state."""
    state = learner.optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            kind: dict[str, Any] = tensors if isinstance(value, Tensor) else scalars
            kind[f"{OPTIMIZER}{index}:{name}"] = value
    training = {
        "groups": state["param_groups"],
        "scalars": scalars,
        "scaler": learner.scaler.state_dict(),
    }
    if learner.average is not None:
        average = learner.average.state_dict()
        tensors |= {f"{AVERAGE}{name}": value for name, value in average.items()}
    tensors |= {f"{LOSS}{name}": value for name, value in _state_of(learner.loss).items()}
    _save(path, {**learner.model.state_dict(), **tensors}, {**metadata, "training": training})


def _state_of(loss: nn.Module) -> dict[str, Tensor]:
    """The buffers that training may change, which the class weights of torch's losses are not."""
    state: dict[str, Tensor] = dict(loss.state_dict())
    if isinstance(loss, _WeightedLoss):
        state.pop("weight", None)
    return state


def load_weights(path: Path, model: nn.Module, *, redrawn: Collection[str] = ()) -> dict[str, Any]:
    """Put a checkpoint's weights into the model, the average of them where it keeps one.

    Parameters that are `redrawn` keep their own where the shapes differ.
    """
    weights, metadata = read_weights(path)
    _put(_fitting(weights, model, redrawn), model, path)
    return metadata


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint's weights by the model's names, and its metadata.

    They are the average of the weights where it keeps one.
    """
    refuse_damaged(path, to_go_on=False)
    tensors, metadata = _load(path)
    average = f"{AVERAGE}module."
    weights = {
        name.removeprefix(average): value
        for name, value in tensors.items()
        if name.startswith(average)
    }
    return weights or _own(tensors), metadata


def _fitting(
    weights: dict[str, Tensor], model: nn.Module, redrawn: Collection[str]
) -> dict[str, Tensor]:
    here = model.state_dict()
    other = {name for name in redrawn if name in weights and name in here}
    other = {name for name in other if weights[name].shape != here[name].shape}
    return {**weights, **{name: here[name] for name in other}}


def _own(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that the optimizer moves."""
    others = (OPTIMIZER, AVERAGE, LOSS)
    return {name: value for name, value in tensors.items() if not name.startswith(others)}


def _put(weights: dict[str, Tensor], model: nn.Module, path: Path) -> None:
    here = model.state_dict()
    try:
        for name in weights.keys() & here.keys():
            if _kind(weights[name]) != _kind(here[name]):
                raise RuntimeError(f"\n{name} is {weights[name].dtype}, not {here[name].dtype}")
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"the weights in '{path.name}' do not fit the model of this config",
            where="\n".join(line.strip()[:160] for line in str(error).splitlines()[1:4]),
        ) from error


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def load_learner(path: Path, learner: Learner) -> dict[str, Any]:
    """Bring a fresh learner to where `save_learner` left one; return the metadata."""
    refuse_damaged(path, to_go_on=True)
    try:
        return _load_learner(path, learner)
    except (*(KeyError, ValueError, TypeError, AttributeError), IndexError, RuntimeError) as error:
        raise UserError(
            f"'{path.name}' holds no state that this training could go on from: "
            f"{type(error).__name__}: {error!s:.120}",
            where=str(path),
            fix="bring the file back from a copy, or start the run again: expkit train ...",
        ) from error


def _load_learner(path: Path, learner: Learner) -> dict[str, Any]:
    tensors, metadata = _load(path)
    if "training" not in metadata:
        raise UserError(
            "the checkpoint holds weights alone, and training cannot go on from it", where=str(path)
        )
    _put(_own(tensors), learner.model, path)
    average = {n.removeprefix(AVERAGE): v for n, v in tensors.items() if n.startswith(AVERAGE)}
    if average and learner.swa_start is not None:  # the mean over the last epochs has begun
        learner.average = AveragedModel(learner.model)
    if learner.average is not None:
        learner.average.load_state_dict(average)
    loss = {n.removeprefix(LOSS): v for n, v in tensors.items() if n.startswith(LOSS)}
    # an older checkpoint has none of it
    learner.loss.load_state_dict({**learner.loss.state_dict(), **loss})
    training = metadata["training"]
    parameters = [p for group in learner.optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    named = {name: value for name, value in tensors.items() if name.startswith(OPTIMIZER)}
    for name, value in {**named, **training["scalars"]}.items():
        index, key = name.removeprefix(OPTIMIZER).split(":")
        state.setdefault(int(index), {})[key] = _laid_out_like(value, parameters[int(index)])
    learner.optimizer.load_state_dict({"state": state, "param_groups": training["groups"]})
    learner.scaler.load_state_dict(training["scaler"])
    return metadata


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a checkpoint, without its tensors."""
    with _opened(path) as opened:
        metadata: dict[str, Any] = parse_json((opened.metadata() or {})["facts"])
        check_shape(metadata, Metadata)
        return metadata


def _laid_out_like(value: Any, parameter: Tensor) -> Any:
    """Fused optimizers walk state and parameter side by side in memory: strides must agree."""
    if isinstance(value, Tensor) and value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return value


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain: dict[str, Tensor] = {}
    for name, value in tensors.items():
        saved = value.detach().cpu().contiguous()
        # safetensors refuses tied weights, which share memory
        tied = any(saved.data_ptr() == other.data_ptr() for other in plain.values())
        plain[name] = saved.clone() if tied else saved
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as aside:
        written = Path(aside.name)
    try:
        save_file(plain, written, metadata={"facts": json.dumps(metadata)})
        written.chmod(0o644)
        note_digest(path, written)
        written.replace(path)
    except BaseException as error:
        written.unlink(missing_ok=True)
        if isinstance(error, SafetensorError):  # it wraps the disk's errors
            raise OSError(str(error)) from error
        raise


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with _opened(path) as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return tensors, read_metadata(path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        os.close(open_regular(path, os.O_RDONLY))  # a pipe would hang, a link may lead anywhere
        with safe_open(path, framework="pt") as opened:
            yield opened
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"the checkpoint cannot be read: {error}", where=str(path)) from error
