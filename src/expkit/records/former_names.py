"""Names that run folders of earlier versions hold, with the names that the same things have now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "rates": "lrs",
    "relative_spread": "relative_std",
    "saturated_share": "saturated_fraction",
    "share": "fraction",
    "shares": "fractions",
    "spread": "std",
    "spread_across_classes": "std_across_classes",
    "spread_across_samples": "std_across_samples",
    "spread_of_means": "std_of_means",
}


KINDS: Mapping[str, str] = {"rates": "lr_range_test"}  # of signals

KEYS: Mapping[str, str] = {"normalise": "normalize"}  # of a config's parts, where they are expkit's

RULES: Mapping[str, str] = {  # of diagnosis
    "batch_too_small_for_rate": "batch_too_small_for_lr",
    "constant_pictures": "constant_images",
    "regularisation_too_strong": "regularization_too_strong",
    "repeated_pictures": "repeated_images",
}


def present_target(target: str) -> str:
    """Return the name that a class of expkit has now."""
    module, _, name = target.rpartition(".")
    return f"{MODULES[module]}.{name}" if module in MODULES else target


def with_present_names(value: Any) -> Any:
    """Return a recorded config in which every `_target_`, key and rule has its present name."""
    if isinstance(value, Mapping):
        is_ours = _is_ours(value)
        named = {KEYS.get(key, key) if is_ours else key: each for key, each in value.items()}
        return {key: _with_present_names(key, each) for key, each in named.items()}
    if isinstance(value, list):
        return [with_present_names(each) for each in value]
    return value


def _with_present_names(key: str, value: Any) -> Any:
    if key == "_target_" and isinstance(value, str):
        return present_target(value)
    if key == "diagnosis" and isinstance(value, Mapping) and isinstance(value.get("ignore"), list):
        return {**value, "ignore": [RULES.get(str(rule), rule) for rule in value["ignore"]]}
    return with_present_names(value)


def with_present_keys(words: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Return recorded overrides, such as `dataset.normalise=none`, with the keys of today.

    `config` is theirs: a part of somebody's own keeps the keys that it has.
    """

    def present(word: str) -> str:
        given, sign, value = word.partition("=")
        part, dot, key = given.partition(".")
        settings = config.get(part.lstrip("+~"))
        is_ours = isinstance(settings, Mapping) and _is_ours(settings)
        return f"{part}{dot}{KEYS[key]}{sign}{value}" if is_ours and key in KEYS else word

    return [present(word) for word in words]


def _is_ours(part: Mapping[str, Any]) -> bool:
    return str(part.get("_target_")).startswith("expkit.")


def with_present_fields(value: Any) -> Any:
    """Return a record in which every field has its present name."""
    if isinstance(value, Mapping):
        named = {FIELDS.get(key, key): with_present_fields(each) for key, each in value.items()}
        kind = named.get("kind")
        return {**named, "kind": KINDS[kind]} if isinstance(kind, str) and kind in KINDS else named
    if isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        return [with_present_fields(each) for each in value]
    return value
