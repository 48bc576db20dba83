"""The config, the data and the environment of somebody's own loop, as records have them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.sanitize import one_line
from expkit.watching.learner import WatchedLearner, largest_dropout
from expkit.watching.outputs import CalledLoss, Shapes

STAGE, EVALUATION = "train", "evaluate"
GENERATORS = ("numpy.random", "random", "torch._C", "torch")  # whose objects draw numbers
DRAWS = ("Generator", "RandomState", "Random")
MAX_DEPTH = 4  # of a data set within others, and its transforms
MOST_PARTS = 100  # of a list of transforms


def name_of(thing: Any) -> str:
    """The full name of an object's class, or of a function."""
    if isinstance(thing, CalledLoss):
        return name_of(thing._function)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return one_line(f"{named.__module__}.{named.__qualname__}")


def describe_config(
    learner: WatchedLearner,
    scheduler: Any,
    data: Any,
    asked: Mapping[str, Any],
    *,
    batch_size: int,
    is_fresh: bool,
    is_evaluated: bool,
) -> dict[str, Any]:
    """The content of config.yaml: names and numbers, of which nothing can be built."""
    stages: dict[str, Any] = {
        STAGE: {
            "_target_": "expkit.watching.Training",
            "batch_size": batch_size,
            "max_epochs": asked["epochs"],
        }
    }
    if is_evaluated:
        stages[EVALUATION] = {"_target_": "expkit.watching.Evaluation", "weights": "last"}
    dropout = largest_dropout(learner.model)
    return {
        "name": asked["name"],
        "watched": True,
        "seed": torch.initial_seed() % 2**63,
        "output_dir": str(asked["to"]),
        "hypothesis": asked["hypothesis"],
        "criteria": dict(asked["criteria"]),
        "model": {
            "class": name_of(learner.model),
            "weights": None if is_fresh else "unknown",
            **({} if dropout is None else {"dropout": dropout}),
        },
        "dataset": {"class": name_of(getattr(data, "dataset", data)) if data is not None else None},
        "augment": {"transforms": {"unknown": {}}},  # training figures may be of changed images
        "loss": _describe_loss(learner.loss),
        "optimizer": _describe_optimizer(learner.optimizer.first),
        "schedule": {} if scheduler is None else {"_target_": name_of(scheduler)},
        "device": {"name": learner.device.torch_device.type, "precision": learner.device.precision},
        "procedure": stages,
        "diagnosis": {"stop_on": "never", "ignore": list(asked["ignore"])},
    }


def _describe_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    first = optimizer.param_groups[0]
    options = {name: first.get(name) for name in optimizer.defaults}
    lr = first.get("initial_lr", first["lr"])
    return {"_target_": name_of(optimizer), **_plain(options), "lr": float(lr)}


def _describe_loss(loss: Any) -> dict[str, Any]:
    if loss is None:
        return {}
    names = ("label_smoothing", "reduction", "ignore_index", "delta", "beta")
    options = {name: getattr(loss, name) for name in names if hasattr(loss, name)}
    weights = getattr(loss, "weight", None)
    return {
        "_target_": name_of(loss),
        **_plain(options),
        **({"class_weights": weights.tolist()} if isinstance(weights, Tensor) else {}),
    }


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a YAML can hold."""

    def as_plain(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return [as_plain(each) for each in value]
        if isinstance(value, Tensor) and value.numel() == 1:
            return value.item()
        is_number = isinstance(value, float) and math.isfinite(value)
        is_plain = value is None or isinstance(value, str | bool | int) or is_number
        return value if is_plain else str(value)

    return {name: as_plain(value) for name, value in options.items()}


def describe_data(
    data: Any,
    shapes: Shapes,
    inputs_shape: Sequence[int] | None,
    splits: Mapping[str, tuple[int, Sequence[int] | None]],
) -> DatasetMetadata:
    """The content of dataset.json: what came by; nobody has looked at the bytes of all samples."""
    dataset = getattr(data, "dataset", data)
    names = getattr(dataset, "classes", None)
    count = shapes.num_outputs
    named = tuple(map(str, range(count)))
    if isinstance(names, list | tuple) and len({str(each) for each in names}) == count:
        named = tuple(one_line(str(each)) for each in names)
    return DatasetMetadata(
        name=one_line(name_of(dataset).rpartition(".")[2]) if data is not None else "unnamed",
        task="classification" if shapes.has_classes else "regression",
        class_names=named if shapes.has_classes else None,
        target_names=None if shapes.has_classes else named,
        image_shape=as_image_shape(inputs_shape or ()),
        splits={
            name: SplitMetadata(size, None if counts is None else tuple(counts), None)
            for name, (size, counts) in splits.items()
        },
        layouts={},
    )


def as_image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width; what is no image is 1 x 1 x its length, or its last three."""
    sizes = [1, 1, 1, *(max(1, size) for size in shape)]
    *_, channels, height, width = sizes
    return channels, height, width


def check_name(name: str) -> str:
    """Refuse a name that no folder can have."""
    if not re.fullmatch(r"[\w.-]{1,100}", name):
        raise UserError(
            f"a run cannot be called {name!r}",
            where=f"name={name}",
            allowed="letters, digits, dots, dashes and underscores, at most 100",
        )
    return name


def describe_workers(data: Any) -> dict[str, Any] | None:
    """How a loader's workers draw, as far as its data set shows; None of what has no workers."""
    workers = getattr(data, "num_workers", None)
    if not isinstance(workers, int):
        return None
    dataset = getattr(data, "dataset", None)
    return {
        "num_workers": workers,
        "own_generators": sorted(set(_own_generators(dataset, "dataset", MAX_DEPTH)))[:10],
        "seeds_workers": getattr(data, "worker_init_fn", None) is not None
        or _asks_for_worker(dataset),
    }


def _own_generators(thing: Any, path: str, depth: int) -> list[str]:
    """The paths of generators that an object draws from: workers get copies of them."""
    if depth == 0 or isinstance(thing, Tensor | nn.Module | str | bytes):
        return []
    if isinstance(thing, list | tuple) and len(thing) < MOST_PARTS:
        parts = {f"{path}[{place}]": each for place, each in enumerate(thing)}
        return [
            found
            for name, each in parts.items()
            for found in _own_generators(each, name, depth - 1)
        ]
    used = _names_used_by(thing)
    found = []
    for name, each in getattr(thing, "__dict__", {}).items():
        kind = type(each)
        if kind.__name__ in DRAWS and kind.__module__.startswith(GENERATORS):
            found += [f"{path}.{name}"] if name in used else []
        else:
            found += _own_generators(each, f"{path}.{name}", depth - 1)
    return found


def _names_used_by(thing: Any) -> set[str]:
    """The names in the code of an object's methods; what it does while it is made is over."""
    methods = [
        each
        for cls in type(thing).__mro__
        for name, each in vars(cls).items()
        if name != "__init__" and hasattr(each, "__code__")
    ]
    overridden: dict[str, Any] = {}
    for method in methods:
        overridden.setdefault(method.__name__, method)
    return {name for method in overridden.values() for name in method.__code__.co_names}


def _asks_for_worker(dataset: Any) -> bool:
    """Tell whether a data set's own code looks at which worker it is in."""
    return bool(_names_used_by(dataset) & {"get_worker_info", "worker_info", "initial_seed"})
