"""The file's own predictions of the held-out samples, kept as an evaluation's run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from expkit.data.store.split import as_bytes
from expkit.models.exported import ExportedModel
from expkit.records.exported import RECORDS
from expkit.records.places import without_places
from expkit.records.run.environment import describe_environment
from expkit.records.run.metadata import StageResult
from expkit.records.run.thresholds import keep_threshold, read_thresholds
from expkit.records.run.writer import RunFolder
from expkit.runner.components import Parts
from expkit.runner.relabelling import labels_of_weights, relabel
from expkit.runner.run import hash_text
from expkit.training.inference import predict

OF_THE_MACHINE = ("host", "slurm")  # is nobody's business where the file is served


def write_records(
    config: Mapping[str, Any],
    parts: Parts,
    exported: ExportedModel,
    file_format: str,
    folder: Path,
    command: Sequence[str],
) -> None:
    """Write the file's own predictions of the held-out samples, as an evaluation's run folder."""
    run = parts.evaluated
    assert run is not None, "an export is of a run"
    metadata = run.dataset
    labels = labels_of_weights(parts)
    splits = as_bytes((parts if labels is None else relabel(parts, labels)).splits)
    held_out = {name: split for name, split in splits.items() if name != "train"} or splits
    normalizer = next(iter(splits.values())).normalizer.to_json()  # none: the file has its own
    metadata = replace(
        parts.metadata,
        preprocessing={**metadata.preprocessing, "normalizer": normalizer},
    )
    kept = {k: v for k, v in config.items() if k not in ("evaluates", "output_dir")}
    kept["name"] = f"{run.config['name']}_{file_format}"
    kept = without_places({**kept, "evaluates": None})
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    environment = describe_environment(
        without_places(command), parts.device.reason, hash_text(text)
    )
    environment = {key: each for key, each in environment.items() if key not in OF_THE_MACHINE}
    records = RunFolder.create(
        folder,
        RECORDS,
        {
            "config.yaml": text,
            "overrides.yaml": "[]\n",
            "environment.json": json.dumps(environment, indent=2),
            "dataset.json": json.dumps(metadata.to_json()),
        },
    )
    if labels is not None:
        labels.write(records.path)
    names = metadata.target_names or ()
    predictions = [predict(exported, split, parts.device, 64, names) for split in held_out.values()]
    records.write_predictions(predictions)
    num_samples = sum(map(len, held_out.values()))
    records.append_stage(
        StageResult(
            stage="evaluate",
            kind="Evaluation",
            passed=True,
            reason=f"{num_samples:,} samples predicted by the exported file",
            num_samples=num_samples,
        )
    )
    records.close()
    # the file's probabilities are at the temperature already
    for threshold in read_thresholds(run.path):
        keep_threshold(replace(threshold, temperature=1.0), records.path)
