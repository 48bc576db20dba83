"""Folders of images without labels that stages pre-train on: read with the data, kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expkit.config.schema import Config
from expkit.data.datasets.unlabelled import Unlabelled, UnlabelledFolder
from expkit.data.store.cache import Cache, default_folder
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset, Samples
from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.reader import Run
from expkit.runner.evaluation_data import decoding_of

MEMORY_FRACTION = 0.25  # of a dataset that does not say how much of the memory it may take


def read_unlabelled(
    config: Config, dataset: Dataset, metadata: DatasetMetadata, on_progress: ProgressCallback
) -> dict[str, Unlabelled]:
    """Read each stage's folder, decoded as the dataset is, without copies of held-out samples."""
    return {
        name: UnlabelledFolder(
            root=Path(stage["images"]).expanduser(),
            decoding=decoding_of(metadata),
            cache=_cache_of(config.dataset),
            on_error=stage.get("on_error", "error"),
            key=f"procedure.{name}",
        ).read(_known(dataset, with_train=stage.get("with_train", True)), on_progress)
        for name, stage in config.procedure.items()
        if str(stage["_target_"]).endswith(".SimCLR") and stage.get("images")
    }


def _known(dataset: Dataset, *, with_train: bool) -> Mapping[str, Samples]:
    """The samples that are to be met nowhere else: training samples only beside themselves."""
    splits = dataset.splits.items()
    return {name: samples for name, samples in splits if with_train or name != "train"}


def _cache_of(dataset: Mapping[str, Any]) -> Cache:
    folder = dataset.get("cache_dir")
    fraction = dataset.get("memory_fraction", MEMORY_FRACTION)
    return Cache(Path(folder).expanduser() if folder else default_folder(), float(fraction))


def describe_unlabelled(unlabelled: Mapping[str, Unlabelled]) -> dict[str, dict[str, Any]]:
    """The images by stage, as environment.json tells them from others."""
    return {
        name: {"num_images": len(each.samples), "fingerprint": each.samples.fingerprint()}
        for name, each in unlabelled.items()
    }


def refuse_other_images(run: Run, unlabelled: Mapping[str, Unlabelled]) -> None:
    """Refuse to go on with other images than the run began with."""
    recorded = run.environment.get("unlabelled", {})
    for name, now in describe_unlabelled(unlabelled).items():
        if recorded.get(name, now) != now:
            raise UserError(
                "the images without labels are not what they were when the run began",
                where=f"procedure.{name}.images={run.config['procedure'][name]['images']}",
                fix="bring the folder back, or start a new run: expkit train ...",
            )
