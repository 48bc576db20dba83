"""Other data for a trained model is normalised as the run's training images were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from expkit.data.store.normalizer import Normaliser
from expkit.data.store.split import Split
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.training.device import Device


def adopt_preprocessing(
    splits: Mapping[str, Split], run: Run, device: Device
) -> Mapping[str, Split]:
    """Normalised by what the run's training images said, not by what these say."""
    normaliser = read_normaliser(run, device)
    return {name: replace(split, normaliser=normaliser) for name, split in splits.items()}


def read_normaliser(run: Run, device: Device) -> Normaliser:
    if "normaliser" not in run.dataset.preprocessing:
        raise UserError(
            f"the run '{run.name}' does not say how its images were normalised",
            where=str(run.path / "dataset.json"),
            fix="train it again with this version: expkit train ...",
        )
    return Normaliser.from_json(run.dataset.preprocessing["normaliser"]).to(device.torch_device)
