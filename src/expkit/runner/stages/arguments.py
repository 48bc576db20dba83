"""The arguments of each stage, by which a config is checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from expkit.errors import UserError
from expkit.training.arguments import View

# keys by which a training may end before its last epoch, and what ends it then
EARLY_ENDS = {"max_minutes": "time", "patience": "patience", "stop_at": "a target"}


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

    @staticmethod
    def check_together(key: str, **given: Any) -> None:
        """Refuse values that are right one by one and do not go together."""
        if given["fit_schedule_to_time"] and given["max_minutes"] is None:
            raise UserError(
                "there is no time to fit the schedule to",
                where=f"{key}.fit_schedule_to_time=true, {key}.max_minutes=null",
                fix=f"expkit train ... {key}.max_minutes=20",
            )
        if given["swa_epochs"] is not None:
            _check_averages(key, given)


def _check_averages(key: str, given: Mapping[str, Any]) -> None:
    """Refuse averages that contradict each other, or of epochs that may never come."""
    swa_epochs, max_epochs = given["swa_epochs"], given["max_epochs"]
    where = f"{key}.swa_epochs={swa_epochs}"
    if given["ema_decay"] is not None:
        raise UserError(
            "two averages of the weights: only one can be evaluated and kept",
            where=f"{where}, {key}.ema_decay={given['ema_decay']}",
            fix=f"expkit train ... {key}.ema_decay=null",
        )
    if swa_epochs > max_epochs:
        raise UserError(
            "more epochs would be averaged than are trained",
            where=f"{where}, {key}.max_epochs={max_epochs}",
            allowed=f"1 to {max_epochs}",
            fix=f"expkit train ... {key}.swa_epochs={max(1, max_epochs // 4)}",
        )
    early = [name for name in EARLY_ENDS if given[name]]
    if early:
        shown = ", ".join(f"{key}.{name}={_shown(given[name])}" for name in early)
        without = " ".join(f"{key}.{name}=null" for name in early)
        raise UserError(
            f"which epochs are the last is not known where {EARLY_ENDS[early[0]]} ends the "
            "training",
            where=f"{where}, {shown}",
            fix=f"expkit train ... {without}\n"
            f"or expkit train ... {key}.swa_epochs=null {key}.ema_decay=0.999",
        )


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {each}" for name, each in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


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
