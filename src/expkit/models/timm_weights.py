"""Weights from a file into a model of timm: all of them, or a word on what did not fit."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_LISTED = 6


def load_file(net: nn.Module, name: str, path: Path) -> None:
    """Load a file's weights; a last layer for other classes and no other layer stays as drawn."""
    given = _adapt(_read(path), net, name, path)
    here = net.state_dict()
    head = _prefixes(net, "classifier")
    missing = [
        key
        for key in here
        if key not in given and not key.startswith(head) and not key.endswith("num_batches_tracked")
    ]
    unknown = [key for key in given if key not in here and not key.startswith(head)]
    other = [key for key, value in given.items() if key in here and here[key].shape != value.shape]
    unfit = [key for key in other if not key.startswith(head)]
    if missing or unknown or unfit:
        raise UserError(
            f"the weights in '{path}' do not fit {name}",
            where="\n".join(
                [
                    f"model.weights={path}",
                    *_listed("the file lacks", missing),
                    *_listed("the model does not know", unknown),
                    *_listed("of another shape", unfit),
                ]
            ),
            fix="give the model that they were saved from: model.name=...",
        )
    net.load_state_dict(
        {**here, **{k: v for k, v in given.items() if k in here and k not in other}}
    )


def _read(path: Path) -> dict[str, Tensor]:
    import timm
    import torch
    from safetensors import SafetensorError

    try:
        state = timm.models.load_state_dict(str(path))
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError) as error:
        raise _unreadable(path, error) from error
    except (pickle.UnpicklingError, AttributeError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    # a run's own checkpoint keeps the optimizer's tensors beside the weights
    kept = {k: v for k, v in state.items() if isinstance(v, torch.Tensor) and ":" not in k}
    if not kept:
        raise _unreadable(path, ValueError("it holds no tensors"))
    return kept


def _adapt(state: dict[str, Tensor], net: nn.Module, name: str, path: Path) -> dict[str, Tensor]:
    """Adapt weights as timm does: names of other sources, other position and channel sizes."""
    import timm

    module = sys.modules[timm.model_entrypoint(name.partition(".")[0]).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None)
    try:
        state = dict(convert(state, net)) if convert is not None else state
        for first in _names(net, "first_conv"):
            key = f"{first}.weight"
            expected = net.state_dict().get(key)
            if key in state and expected is not None and expected.shape != state[key].shape:
                state[key] = timm.models.adapt_input_conv(expected.shape[1], state[key])
    except (RuntimeError, LookupError, ValueError, AttributeError, NotImplementedError) as error:
        raise UserError(
            f"the weights in '{path}' do not fit {name}: {str(error)[:200]}",
            where=f"model.weights={path}",
            fix="give the model that they were saved from: model.name=...",
        ) from error
    return state


def _names(net: nn.Module, kind: str) -> tuple[str, ...]:
    """The names of timm's classifier or first convolution: none, one, or two."""
    config: Mapping[str, Any] = getattr(net, "pretrained_cfg", None) or {}
    names = config.get(kind) or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _prefixes(net: nn.Module, kind: str) -> tuple[str, ...]:
    return tuple(f"{name}." for name in _names(net, kind))


def _listed(what: str, keys: list[str]) -> list[str]:
    more = f" and {len(keys) - MOST_LISTED} more" if len(keys) > MOST_LISTED else ""
    return [f"{what}: {', '.join(keys[:MOST_LISTED])}{more}"] if keys else []


def _unreadable(path: Path, error: Exception) -> UserError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UserError(
        f"'{path}' cannot be read as weights: {first:.200}",
        where=f"model.weights={path}",
        allowed="a .safetensors file, or a .pt or .pth that holds weights only",
    )
