"""The arguments of each stage, by which a config is checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen


@dataclass(frozen=True)
class Training:
    """The arguments of a training stage."""

    max_epochs: Annotated[int, Ge(1)]
    batch_size: Annotated[int, Ge(1)]
    batches_per_step: Annotated[int, Ge(1)] = 1
    balanced_sampling: bool = False
    start_from: str | None = None
    labels_from: str | None = None
    trainable: Literal["all", "head"] | Sequence[str] = "all"
    frozen_up_to: str | None = None
    groups: Mapping[str, Mapping[str, Any]] | None = None
    layer_decay: Annotated[float, Gt(0), Le(1)] | None = None
    ema_decay: Annotated[float, Gt(0), Lt(1)] | None = None
    stop_at: Mapping[str, object] | None = None
    monitor: str = "loss"
    patience: Annotated[int, Ge(1)] | None = None
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    snapshot_every: Annotated[int, Ge(1)] | None = 50


@dataclass(frozen=True)
class OverfitGate:
    """The arguments of an overfit gate."""

    num_samples: Annotated[int, Ge(1)]
    max_steps: Annotated[int, Ge(1)]
    max_loss: Annotated[float, Gt(0)]
    min_accuracy: Annotated[float, Gt(0), Le(1)] = 1.0
    max_regression_loss: Annotated[float, Gt(0)] = 0.001


@dataclass(frozen=True)
class Evaluation:
    """The arguments of an evaluation."""

    of: str | None = None
    weights: Literal["best", "last"] = "best"
    unknown_classes: Literal["refuse", "leave_out"] = "refuse"  # samples of them in other data
    batch_size: Annotated[int, Ge(1)] = 256


Combine = Literal["probabilities", "logits", "soup", "greedy_soup"]


@dataclass(frozen=True)
class Combination:
    """The arguments of a combination of several runs' models."""

    members: Annotated[Sequence[str], MinLen(2)]  # their run folders
    combine: Combine
    batch_size: Annotated[int, Ge(1)] = 256
    latency_seconds: Annotated[float, Gt(0)] = 0.5  # to measure for


@dataclass(frozen=True)
class MistakeCollection:
    """The arguments of a collection of mistakes."""

    like: str
    label: Annotated[str, MinLen(1)] = "maybe"
    num_folds: Annotated[int, Ge(2)] = 5
    batch_size: Annotated[int, Ge(1)] = 256


@dataclass(frozen=True)
class Preflight:
    """The arguments of the checks before training."""

    max_seconds: Annotated[float, Gt(0)] = 10.0
