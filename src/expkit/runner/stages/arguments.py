"""The arguments of each stage, by which a config is checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from expkit.training.arguments import View


@dataclass(frozen=True)
class Training:
    """The arguments of a training stage."""

    max_epochs: Annotated[int, Ge(1)]
    batch_size: Annotated[int, Ge(1)]
    batches_per_step: Annotated[int, Ge(1)] = 1
    balanced_sampling: bool = False
    # of its own; Parts.of_stage builds them
    optimizer: Mapping[str, Any] | None = None
    schedule: Mapping[str, Any] | None = None
    loss: Mapping[str, Any] | None = None
    start_from: str | None = None
    start_from_run: Annotated[str, MinLen(1)] | None = None
    labels_from: str | None = None
    trainable: Literal["all", "head"] | Sequence[str] = "all"
    frozen_up_to: str | None = None
    groups: Mapping[str, Mapping[str, Any]] | None = None
    unfreeze: Mapping[Any, str | Sequence[str]] | None = None
    unfreeze_warmup_epochs: Annotated[float, Ge(0)] = 0.0
    layer_decay: Annotated[float, Gt(0), Le(1)] | None = None
    ema_decay: Annotated[float, Gt(0), Lt(1)] | None = None
    swa_epochs: Annotated[int, Ge(1)] | None = None
    max_minutes: Annotated[float, Gt(0)] | None = None
    fit_schedule_to_time: bool = False
    stop_at: Mapping[str, object] | None = None
    monitor: str = "loss"
    patience: Annotated[int, Ge(1)] | None = None
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    snapshot_every: Annotated[int, Ge(1)] | None = 50


@dataclass(frozen=True)
class SimCLR:
    """The arguments of a contrastive pre-training."""

    heads: Annotated[Mapping[str, Any], MinLen(1)]
    max_epochs: Annotated[int, Ge(1)]
    batch_size: Annotated[int, Ge(2)]  # one image has no other to be told from
    temperature: Annotated[float, Gt(0)] = 0.1
    hidden_size: Annotated[int, Ge(1)] | None = None
    embedding_size: Annotated[int, Ge(2)] = 128
    optimizer: Mapping[str, Any] | None = None
    schedule: Mapping[str, Any] | None = None
    monitor: Literal["loss", "knn_accuracy", "linear_probe_accuracy"] = "loss"
    probe_every: Annotated[int, Ge(1)] = 5
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    images: Annotated[str, MinLen(1)] | None = None
    with_train: bool = True
    on_error: Literal["error", "skip"] = "error"


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
    temperature: Annotated[float, Ge(0.01), Le(100)] = 1.0
    tta: Sequence[View] = ()


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
