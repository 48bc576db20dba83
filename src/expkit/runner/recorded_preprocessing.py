"""Other data for a trained model is normalized as the run's training images were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.training.device import Device


def adopt_preprocessing(
    splits: Mapping[str, Split], run: Run, device: Device
) -> Mapping[str, Split]:
    """Normalized by what the run's training images said, not by what these say."""
    normalizer = read_normalizer(run, device)
    return {name: replace(split, normalizer=normalizer) for name, split in splits.items()}


def read_normalizer(run: Run, device: Device) -> Normalizer:
    if "normalizer" not in run.dataset.preprocessing:
        raise UserError(
            f"the run '{run.name}' does not say how its images were normalized",
            where=str(run.path / "dataset.json"),
            fix="train it again with this version: expkit train ...",
        )
    return Normalizer.from_json(run.dataset.preprocessing["normalizer"]).to(device.torch_device)
