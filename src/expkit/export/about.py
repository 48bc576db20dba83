"""What metadata.json says of an exported model, from the records of its run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from expkit.export.deployed_model import INPUT
from expkit.records.places import without_places
from expkit.records.run.kept_temperature import read_temperature
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import read_thresholds
from expkit.reports.run.summary import summarize
from expkit.runner.evaluation_data import decoding_of

OWN_LICENSE = (
    "The weights were trained from nothing: their licence is for whoever trained them to state. "
    "The licence of the training images may bind it."
)


def describe(run: Run, temperature: float) -> dict[str, Any]:
    """The classes, preprocessing, figures and origin of a run's model."""
    metadata, environment = run.dataset, run.environment
    return {
        "made": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "expkit_version": version("expkit"),
        "task": metadata.task,
        "class_names": None if metadata.class_names is None else list(metadata.class_names),
        "target_names": None if metadata.target_names is None else list(metadata.target_names),
        "input": {
            "name": INPUT,
            "type": "uint8",
            "shape": ["batch", "height", "width", metadata.image_shape[0]],
            "values": "as a file holds them, upright: RGB, or grey where there is one channel",
        },
        "preprocessing": {
            "in_the_graph": True,
            "decoding": decoding_of(metadata).to_json(),
            "normalizer": metadata.preprocessing.get("normalizer"),
        },
        "temperature": temperature,
        "calibration": None if temperature == 1 else _calibration(run),
        "thresholds": [
            {"class": each.class_name, "low": each.low, "high": each.high}
            for each in read_thresholds(run.path)
            if each.is_confirmed and each.temperature == temperature
        ],
        "measured": _measured(run),
        "data": {
            "name": metadata.name,
            "fingerprints": {name: split.fingerprint for name, split in metadata.splits.items()},
            "num_samples": {name: split.num_samples for name, split in metadata.splits.items()},
        },
        "model": without_places(run.config["model"]),
        "trained_with": {
            "versions": environment.get("versions"),
            "git": environment.get("git"),
            "sources": environment.get("sources"),
        },
        "license": license_of(run.config["model"]),
    }


def _measured(run: Run) -> Mapping[str, Any]:
    """The run's own figures on its judged split, each with its interval, and the baselines."""
    summary = summarize(run)
    split = summary["judged_split"]
    intervals, metrics = summary["intervals"].get(split, {}), summary["metrics"].get(split, {})
    return {
        "split": split,
        "on": summary["judged_on"],
        "num_samples": summary["num_judged"],
        "metrics": {
            name: {"value": value, "interval": intervals.get(name)}
            for name, value in metrics.items()
        },
        "baselines": {
            kind: {name: level for name, level in levels.items() if name in metrics}
            for kind, levels in summary["levels"].items()
        },
    }


def _calibration(run: Run) -> dict[str, Any] | None:
    """What the temperature was fitted and tried on; it may have been kept without helping."""
    kept = read_temperature(run.trained.path)
    if kept is None:
        return None
    names = ("split", "num_fitted", "num_confirmed", "log_loss", "calibration_error", "helps")
    return {name: value for name, value in asdict(kept).items() if name in names}


def license_of(model: Mapping[str, Any]) -> str:
    """The licence of the weights that training began from, as timm states it."""
    if not model.get("pretrained") or not model.get("name"):
        return OWN_LICENSE
    import timm

    config = timm.get_pretrained_cfg(str(model["name"]))
    stated = getattr(config, "license", None) or "not stated by timm"
    return (
        f"Training began from timm's weights of {model['name']}, licensed: {stated}. "
        "The licence of the training images may bind the result, too."
    )
