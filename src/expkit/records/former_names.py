"""Names that run folders of earlier versions hold, with the names that the same things have now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODULES: Mapping[str, str] = {
    "expkit.commands.launching": "expkit.sweeps.launchers.local",
    "expkit.commands.stacking": "expkit.sweeps.launchers.stacked",
    "expkit.data.arrays": "expkit.data.datasets.arrays",
    "expkit.data.digits": "expkit.data.datasets.digits",
    "expkit.data.image_folder": "expkit.data.datasets.image_folder",
    "expkit.data.own_dataset": "expkit.data.datasets.torch_dataset",
    "expkit.data.puzzle": "expkit.data.datasets.puzzle",
    "expkit.data.scan_lines": "expkit.data.datasets.scan_lines",
    "expkit.data.torchvision_sets": "expkit.data.datasets.torchvision",
    "expkit.engine.device": "expkit.training.device",
    "expkit.procedures.evaluation": "expkit.runner.stages.evaluation",
    "expkit.procedures.mistakes": "expkit.runner.stages.collect_mistakes",
    "expkit.procedures.overfit": "expkit.runner.stages.overfit",
    "expkit.procedures.preflight": "expkit.runner.stages.preflight",
    "expkit.procedures.training": "expkit.runner.stages.training",
}

FIELDS: Mapping[str, str] = {  # of dataset.json, signals.jsonl and thresholds.json
    "answer_limits": "output_limits",
    "clipped_share": "clipped_fraction",
    "constant_pictures": "constant_images",
    "dead_share": "dead_fraction",
    "denormal_share": "denormal_fraction",
    "largest_share": "largest_fraction",
    "mean_picture_correlation": "mean_image_correlation",
    "normaliser": "normalizer",
    "picture": "image",
    "relative_spread": "relative_std",
    "saturated_share": "saturated_fraction",
    "share": "fraction",
    "shares": "fractions",
    "spread": "std",
    "spread_across_classes": "std_across_classes",
    "spread_across_samples": "std_across_samples",
    "spread_of_means": "std_of_means",
}


def present_target(target: str) -> str:
    """Return the name that a class of expkit has now."""
    module, _, name = target.rpartition(".")
    return f"{MODULES[module]}.{name}" if module in MODULES else target


def with_present_names(value: Any) -> Any:
    """Return a recorded config in which every `_target_` has its present name."""
    if isinstance(value, Mapping):
        return {
            key: present_target(each)
            if key == "_target_" and isinstance(each, str)
            else with_present_names(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [with_present_names(each) for each in value]
    return value


def with_present_fields(value: Any) -> Any:
    """Return a record in which every field has its present name."""
    if isinstance(value, Mapping):
        return {FIELDS.get(key, key): with_present_fields(each) for key, each in value.items()}
    if isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        return [with_present_fields(each) for each in value]
    return value
