"""The parts of a run after its training samples were given new labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from expkit.data.store.split import Split
from expkit.records.run.labels import Labels
from expkit.records.run.metadata import DatasetMetadata
from expkit.runner.components import Parts, make_model


def relabel(parts: Parts, labels: Labels) -> Parts:
    """The same data with one more class, and a model and a loss for it."""
    metadata = labels.apply(parts.metadata)

    def renamed(split: Split) -> Split:
        renamed = replace(split, class_names=tuple(labels.class_names))
        if split.name != "train":
            return renamed
        targets = torch.tensor(labels.targets, device=split.targets.device)
        return replace(renamed, targets=targets)

    counts = metadata.splits["train"].class_counts
    return replace(
        parts,
        inputs=replace(parts.inputs, metadata=metadata),
        splits={name: renamed(split) for name, split in parts.splits.items()},
        loss=parts.inputs.loss.build(counts).to(parts.device.torch_device),
        make_model=_model_maker(parts, metadata),
    )


def labels_of_weights(parts: Parts) -> Labels | None:
    """The classes of another run's weights: these samples keep their own, beside the new."""
    theirs = None if parts.evaluated is None else parts.evaluated.labels
    if theirs is None:
        return None
    train = parts.splits.get("train")
    targets = theirs.targets if train is None else train.targets.tolist()
    return Labels(theirs.class_names, targets)


def _model_maker(parts: Parts, metadata: DatasetMetadata) -> Callable[..., nn.Module]:
    """The net for the new classes; an exported file has them already."""
    if parts.evaluated is not None and parts.evaluated.exported is not None:
        return parts.make_model
    return partial(
        make_model,
        parts.inputs.config.model,
        parts.inputs.config.trust,
        image_shape=metadata.image_shape,
        num_outputs=metadata.num_outputs,
    )
