"""Parts of a user's own, put to the use that they were built for, or refused on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from expkit.config.targets.allowed import role_of
from expkit.data.datasets.torch_dataset import WANTED as DATASET
from expkit.data.datasets.torch_dataset import OwnDataset
from expkit.data.store.samples import DatasetSource
from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata

if TYPE_CHECKING:
    from expkit.runner.part_types import LossSource, ScheduleSource
    from expkit.training.augmentation import AugmentationSource

# for each part, what it is asked for: the first is the common case
WANTED: Mapping[str, str] = {
    "dataset": DATASET + "\nor read(on_progress) -> expkit.data.store.samples.Dataset",
    "loss": "an nn.Module called as loss(outputs, targets), which gives the batch's mean\n"
    "or a class with task and build(class_counts, *, plain), as expkit.losses.focal.Focal",
    "model": "an nn.Module, made with image_shape=(channels, height, width) and num_outputs",
    "optimizer": "a torch.optim.Optimizer, made with the parameter groups",
    "schedule": "a torch.optim.lr_scheduler.LRScheduler with `_partial_: true`\n"
    "or scale_at(fraction), in a class derived from expkit.optim.schedule.Curve",
    "augment": "an nn.Module called with images B x C x H x W in [0, 1], which gives such images",
    "device": "open() -> expkit.training.device.Device, "
    "as expkit.training.device.DeviceChoice has it",
    "procedure": "check(key, parts, before), and run(session) -> StageResult, which is\n"
    "session.result(kind, passed=..., reason=..., records=[])",
}


def as_dataset(built: Any, node: Mapping[str, Any]) -> DatasetSource:
    """A source of expkit's kind, or a torch Dataset, of which val and test are made."""
    if hasattr(built, "read"):
        source: DatasetSource = built
        return source
    if hasattr(built, "__getitem__") or hasattr(built, "__iter__"):
        return OwnDataset(train=built)
    raise wrong_part("dataset", built, node)


def refuse_listed_weights(node: Mapping[str, Any], key: str = "loss") -> None:
    """A list is no tensor, and a YAML has no other: expkit's own losses take it."""
    weights = node.get("weight")
    if str(node["_target_"]).startswith("torch.nn.") and isinstance(weights, list):
        listed = ",".join(map(str, weights))
        raise UserError(
            "the losses of torch want a tensor for their weight, which no YAML can hold",
            where=f"{key}.weight=[{listed}]",
            fix=f"expkit train ... {key}=cross_entropy '{key}.class_weights=[{listed}]'",
        )


def as_loss(
    built: Any, node: Mapping[str, Any], metadata: DatasetMetadata, key: str = "loss"
) -> LossSource:
    """A source of expkit's kind, or a module that is called with outputs and targets."""
    if hasattr(built, "build") and hasattr(built, "task"):
        source: LossSource = built
        return source
    if isinstance(built, type) or not callable(built):
        raise wrong_part(key, built, node)
    from expkit.losses.custom import OwnLoss

    loss = OwnLoss(built, metadata.task, metadata.num_outputs)
    loss.check(str(node["_target_"]))
    return loss


def as_augmentation(built: Any, node: Mapping[str, Any]) -> AugmentationSource:
    """An augmentation of expkit's kind, or one transform that is called with a batch."""
    from torch import nn

    from expkit.augment.pipeline import LoneTransform

    if all(hasattr(built, name) for name in ("is_identity", "mix", "mixes", "check")):
        augmentation: AugmentationSource = built
        return augmentation
    if isinstance(built, nn.Module):
        return LoneTransform({type(built).__name__: built})
    raise wrong_part("augment", built, node)


def as_schedule(
    built: Any, node: Mapping[str, Any], lr: float, key: str = "schedule"
) -> ScheduleSource:
    """A schedule of expkit's kind, or a scheduler of torch that still wants its optimizer."""
    from expkit.optim.torch_schedule import TorchSchedule, is_scheduler

    if all(hasattr(built, name) for name in ("scale", "warmup_epochs", "watched_metric")):
        schedule: ScheduleSource = built
        return schedule
    if is_scheduler(built):
        return TorchSchedule(built, lr, str(node["_target_"]))
    raise wrong_part(key, built, node)


def require(built: Any, key: str, node: Mapping[str, Any], *methods: str) -> Any:
    """The part itself, where it has what it will be asked for."""
    if all(callable(getattr(built, name, None)) for name in methods):
        return built
    raise wrong_part(key, built, node)


def wrong_part(key: str, built: Any, node: Mapping[str, Any]) -> UserError:
    """The screen for a part that was built and can do nothing in its place."""
    kind = built.__name__ if isinstance(built, type) else type(built).__name__
    return UserError(
        f"{key} cannot be a {kind}",
        where=f"{key}._target_={node.get('_target_')}",
        allowed=WANTED[role_of(key)],
        fix="docs/parts.md of expkit shows each kind of part whole",
    )
