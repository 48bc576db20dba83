"""The parts of a run after its training samples were given new labels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from expkit.data.store.split import Split
from expkit.records.run.labels import Labels
from expkit.runner.components import Parts, make_model


def relabel(parts: Parts, labels: Labels) -> Parts:
    """The same data with one more class, and a model and a loss for it."""
    facts = labels.apply(parts.facts)

    def renamed(split: Split) -> Split:
        renamed = replace(split, class_names=tuple(labels.class_names))
        if split.name != "train":
            return renamed
        targets = torch.tensor(labels.targets, device=split.targets.device)
        return replace(renamed, targets=targets)

    counts = facts.splits["train"].class_counts
    return replace(
        parts,
        reading=replace(parts.reading, facts=facts),
        splits={name: renamed(split) for name, split in parts.splits.items()},
        loss=parts.reading.loss.build(counts).to(parts.device.torch_device),
        make_model=partial(
            make_model,
            parts.reading.config.model,
            image_shape=facts.image_shape,
            num_outputs=facts.num_outputs,
        ),
    )
