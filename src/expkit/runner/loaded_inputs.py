"""All of a request that can be read and refused before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from expkit.config.instantiate import build_part
from expkit.config.schema import Config
from expkit.data.datasets.unlabelled import Unlabelled
from expkit.data.store.progress import ProgressCallback, silent
from expkit.data.store.samples import Dataset, check_dataset
from expkit.errors import UserError
from expkit.metrics.criteria import Criterion
from expkit.records.run.metadata import DatasetMetadata, Layout, SplitMetadata
from expkit.records.run.reader import Run
from expkit.runner.custom_parts import as_dataset, as_loss, refuse_listed_weights, wrong_part
from expkit.runner.evaluation_data import adopt_metadata, look_for_leaks, read_other_data
from expkit.runner.part_types import LossSource
from expkit.runner.sealed_test import TEST, seal, without_test
from expkit.runner.stated_criteria import check_criteria
from expkit.runner.unlabelled_images import read_unlabelled

TIMM_MODEL = "expkit.models.timm_model.TimmModel"


@dataclass(frozen=True)
class LoadedInputs:
    """The data with the facts on it, and a loss and criteria that suit it."""

    config: Config
    dataset: Dataset
    metadata: DatasetMetadata
    loss: LossSource
    criteria: Sequence[Criterion]
    stage_losses: Mapping[str, LossSource] = field(default_factory=dict)  # of stages' own
    unlabelled: Mapping[str, Unlabelled] = field(default_factory=dict)  # by pre-training stage


def load_inputs(config: Config, on_progress: ProgressCallback = silent) -> LoadedInputs:
    """Read the data and hold the config against it."""
    if not config.model.get("_partial_"):
        # what it knows to be wrong, it says before torch
        build_part(config.model, "model", config.trust)
    if config.evaluates is None:
        dataset = _read_dataset(config.dataset, config.trust, on_progress)
        check_dataset(dataset)
        sealed = None
        if config.dataset.get("sealed"):
            dataset, sealed = seal(dataset)
        metadata = replace(collect_metadata(dataset, config), sealed=sealed)
        _check_held_out(metadata)
    else:
        dataset, metadata = _read_evaluation(config, on_progress)
    loss = _read_loss(config, config.loss, "loss", metadata)
    criteria = check_criteria(config.criteria, metadata)
    stage_losses = {
        name: _read_loss(config, stage["loss"], f"procedure.{name}.loss", metadata)
        for name, stage in config.procedure.items()
        if isinstance(stage.get("loss"), Mapping)
    }
    unlabelled = read_unlabelled(config, dataset, metadata, on_progress)
    return LoadedInputs(config, dataset, metadata, loss, criteria, stage_losses, unlabelled)


def _read_loss(
    config: Config, node: Mapping[str, Any], key: str, metadata: DatasetMetadata
) -> LossSource:
    refuse_listed_weights(node, key)
    loss = as_loss(build_part(node, key, config.trust), node, metadata, key)
    _check_task(loss, metadata, f"{key}._target_={node['_target_']}", key)
    return loss


def _read_dataset(
    node: Mapping[str, Any], trusted: Sequence[str], on_progress: ProgressCallback
) -> Dataset:
    dataset = as_dataset(build_part(node, "dataset", trusted), node).read(on_progress)
    if not isinstance(dataset, Dataset):
        raise wrong_part("dataset", dataset, node)
    return dataset


def _read_evaluation(
    config: Config, on_progress: ProgressCallback
) -> tuple[Dataset, DatasetMetadata]:
    """Read other data for a run's weights, and search it for what they were trained on."""
    assert config.evaluates is not None, "it is an evaluation's"
    run = Run(Path(config.evaluates)).trained
    read = partial(_read_dataset, trusted=config.trust, on_progress=on_progress)
    dataset, sealed = read_other_data(config, run, read), None
    if config.dataset.get("sealed") and TEST in dataset.splits:
        dataset, sealed = without_test(dataset), run.dataset_as_read.sealed
    leaks = look_for_leaks(dataset, config, run, read)
    metadata = adopt_metadata(collect_metadata(dataset, config), run, leaks)
    return dataset, replace(metadata, sealed=sealed)


def _check_held_out(metadata: DatasetMetadata) -> None:
    """Refuse held-out splits that a run was trained on, whatever they are called."""
    train = metadata.splits["train"].fingerprint
    for name, split in metadata.splits.items():
        if name != "train" and split.fingerprint == train:
            raise UserError(
                f"the split '{name}' is the training split: nothing would be held out",
                where=f"dataset: both have the fingerprint {train}",
                fix="give other data to hold out, or none",
            )


def _check_task(loss: LossSource, metadata: DatasetMetadata, where: str, key: str) -> None:
    if loss.task != metadata.task:
        suits = {"classification": "cross_entropy", "regression": "mse"}[metadata.task]
        raise UserError(
            f"the loss is for {loss.task}, and the targets of this dataset are for {metadata.task}",
            where=where,
            fix=f"expkit train ... {key}={suits} criteria={metadata.task}",
        )


def collect_metadata(dataset: Dataset, config: Config) -> DatasetMetadata:
    """Collect the metadata of the data that pages need."""
    _, height, width, channels = next(iter(dataset.splits.values())).images.shape
    return DatasetMetadata(
        name=_name_of(config.dataset),
        task="regression" if dataset.class_names is None else "classification",
        class_names=None if dataset.class_names is None else tuple(dataset.class_names),
        target_names=None if dataset.target_names is None else tuple(dataset.target_names),
        image_shape=(channels, height, width),
        splits={
            name: SplitMetadata(len(samples), dataset.class_counts(name), samples.fingerprint())
            for name, samples in dataset.splits.items()
        },
        layouts={
            name: Layout(f"images/{name}.jpg", cut.rows, cut.columns, tuple(cut.cells))
            for name, cut in dataset.cuttings.items()
        },
        preprocessing={
            "decoding": None if dataset.decoding is None else dataset.decoding.to_json()
        },
        unsuitable_views=dict(dataset.unsuitable_views),
    )


def _name_of(node: Mapping[str, Any]) -> str:
    """The class's name: that of the user's own where one of expkit's only reads it."""
    inner = node.get("train")
    own = inner if isinstance(inner, Mapping) and "_target_" in inner else node
    return str(own["_target_"]).rpartition(".")[2]


LONGEST_SIDE = 2560  # pixels of an image kept for the pages


def encode_images(dataset: Dataset, metadata: DatasetMetadata) -> dict[str, bytes]:
    """The cut images as files of the run folder, so that pages need no data."""
    import io

    from PIL import Image

    files = {}
    for split, cutting in dataset.cuttings.items():
        image = Image.fromarray(cutting.image)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=88)
        files[metadata.layouts[split].image] = stream.getvalue()
    return files


def refuse_incomplete(run: Run, keys: Sequence[str]) -> None:
    """Refuse a recorded config without these keys."""
    if lacking := [key for key in keys if key not in run.config]:
        raise UserError(
            f"the config of '{run.name}' has no {', '.join(lacking)}",
            where=str(run.path / "config.yaml"),
            fix="bring the file back from a copy",
        )


def without_downloads(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a run whose own weights follow: no others need be fetched before them."""
    model = config.get("model")
    if model is None:
        return dict(config)  # which is refused where it is checked
    return {**config, "model": _without_weights(model)}


def _without_weights(node: Any) -> Any:
    """A model, and those within it, that begin from no file and no hub."""
    if isinstance(node, list):
        return [_without_weights(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    plain = {key: _without_weights(value) for key, value in node.items()}
    own = {"weights": None, "pretrained": False}
    return {**plain, **own} if node.get("_target_") == TIMM_MODEL else plain
