"""A run's trained model, brought back from its folder without its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from expkit.config.instantiate import build_part
from expkit.config.validation import check_config
from expkit.data.store.normalizer import Normalizer
from expkit.records.run.reader import Run
from expkit.runner.components import make_model
from expkit.runner.exported_device import refuse_other_device
from expkit.runner.exported_files import open_exported
from expkit.runner.loaded_inputs import without_downloads
from expkit.runner.recorded_preprocessing import read_normalizer
from expkit.training.arguments import View
from expkit.training.checkpoint import load_weights
from expkit.training.device import Device, DeviceChoice
from expkit.training.predictor import as_predictor


@dataclass(frozen=True)
class Restored:
    """A restored model, and how its images are prepared."""

    run: Run
    model: nn.Module
    device: Device
    normalizer: Normalizer


def restore(
    run: Run,
    *,
    trusted: Sequence[str] = (),
    device: Mapping[str, Any] | None = None,
    temperature: float = 1.0,
    views: Sequence[View] = (),
) -> Restored:
    """Build the run's model on a device, as its config has it but for the keys in `device`.

    The softmax of what it returns is the run's probabilities, at the temperature (that of
    `temperature_of(run)`, where it is wanted), averaged over the views.
    """
    weights = run.weights
    if run.trained.exported is not None:
        return _restore_exported(run, trusted, device or {}, views)
    config = check_config(without_downloads(run.config), trusted=trusted)
    choice: DeviceChoice = build_part({**config.device, **(device or {})}, "device", config.trust)
    opened = choice.open()
    metadata = run.dataset
    model = make_model(
        config.model,
        config.trust,
        image_shape=metadata.image_shape,
        num_outputs=metadata.num_outputs,
    )
    load_weights(weights, model)
    predictor = as_predictor(opened.place(model), temperature, views).eval()
    return Restored(run, predictor, opened, read_normalizer(run, opened))


def load_run_weights(run: Run, model: nn.Module) -> int:
    """Load what the run trained into a model, and return its epoch; an exported file has none."""
    return 0 if run.exported is not None else int(load_weights(run.weights, model)["epoch"])


def _restore_exported(
    run: Run, trusted: Sequence[str], device: Mapping[str, Any], views: Sequence[View]
) -> Restored:
    """Take the file for the model; it runs on the processor, normalizes and calibrates itself."""
    exported = run.trained.exported
    assert exported is not None, "asked before"
    refuse_other_device(exported, device)
    opened = DeviceChoice(name="cpu", precision="fp32", threads=device.get("threads")).open()
    threads = torch.get_num_threads()
    predictor = as_predictor(open_exported(run.trained, trusted, threads), views=views).eval()
    return Restored(run, predictor, opened, read_normalizer(run, opened))
