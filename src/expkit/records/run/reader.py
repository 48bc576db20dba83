"""A run folder as everything that reads it sees it; opening one runs no code from it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import yaml

from expkit.errors import UserError, refuse_watched
from expkit.metrics.predictions import Predictions
from expkit.records.arrays import (
    MISTAKES_ARRAYS,
    SAMPLES_ARRAYS,
    SNAPSHOT_ARRAYS,
    check_samples,
    check_snapshot,
    read_arrays,
    read_image,
)
from expkit.records.exported import (
    RECORDS,
    ExportedFolder,
    is_exported,
    read_exported,
)
from expkit.records.files import Record, read_json, read_lines, read_yaml
from expkit.records.former_names import with_present_fields, with_present_keys, with_present_names
from expkit.records.run.ensemble import EnsembleRecord, predictions_path, read_ensemble
from expkit.records.run.extensions import FILE as EXTENSIONS
from expkit.records.run.extensions import (
    Extension,
    counted_stages,
    read_extensions,
    with_extensions,
)
from expkit.records.run.labels import Labels
from expkit.records.run.metadata import DatasetMetadata, Layout, StageResult
from expkit.records.run.predictions import PLAIN, read_predictions
from expkit.records.run.schema import (
    FORMAT_VERSION,
    RecordedEnvironment,
    check_config,
    check_name,
    is_epoch,
    is_signal,
)
from expkit.records.run.test_look import TestLook
from expkit.records.run.writer import is_locked
from expkit.records.safe_open import is_file, list_inside, read_file
from expkit.records.typed_values import ShapeError, check_shape
from expkit.sanitize import one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

OF_EVALUATION = ("dataset", "device", "evaluates")  # settings of its own, beside its stage
EVALUATION = ".Evaluation"  # how the `_target_` of a stage ends that records predictions
Status = Literal["running", "interrupted", "failed", "finished"]


@dataclass(frozen=True)
class Run:
    """The records of one run, read when asked for."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, as it is shown."""
        folder = self.path if self.exported is None else self.exported.path
        return one_line(folder.name)

    @functools.cached_property
    def exported(self) -> ExportedFolder | None:
        """The exported model whose predictions these are; None of a run that trained."""
        folder = self.path.absolute().parent
        is_inside = self.path.name == RECORDS and is_exported(folder)
        return read_exported(folder) if is_inside else None

    @functools.cached_property
    def config(self) -> Mapping[str, Any]:
        """Its config, in the names that parts have now, and as it is since it was extended."""
        with explain_damage(self.path / EXTENSIONS):
            config = with_extensions(self.recorded_config, self.extensions)
        return cast("Mapping[str, Any]", with_present_names(config))

    @functools.cached_property
    def extensions(self) -> list[Extension]:
        """The trainings that went on beyond their end."""
        return read_extensions(self.path)

    @functools.cached_property
    def recorded_config(self) -> Mapping[str, Any]:
        """Its config as it was written down."""
        path = self._need("config.yaml")
        with explain_damage(path):
            config = read_yaml(path)
            check_config(config)
            if "procedure" not in config:
                raise ValueError("it holds no config")
        return cast("Mapping[str, Any]", config)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The config by which the model was made: of an exported file and of an evaluation that of
        the training, with what is their own.

        So a comparison shows what differs, and not that one of them trained.
        """
        if self.trained is not self:
            return self._recipe_of_evaluation(self.trained.recipe)
        if self.exported is None:
            return self.config
        record = self.exported.record
        trained = with_present_names(record.about.get("config") or self.config)
        own = {name: self.config[name] for name in ("device",) if name in self.config}
        batch = record.batch or "dynamic"
        export = {"format": record.format, "precision": record.precision, "batch": batch}
        return {**cast("Mapping[str, Any]", trained), **own, "export": export}

    def _recipe_of_evaluation(self, trained: Mapping[str, Any]) -> Mapping[str, Any]:
        own = {name: self.config[name] for name in OF_EVALUATION if name in self.config}
        stages = dict(trained["procedure"])
        for name, stage in self.config["procedure"].items():
            stages[name] = {**(stages.get(name) or {}), **(stage or {})}
        return {**trained, **own, "procedure": stages}

    @property
    def config_text(self) -> str:
        """Its config to the letter."""
        path = self._need("config.yaml")
        with explain_damage(path):
            return read_file(path).decode()

    @functools.cached_property
    def overrides(self) -> list[str]:
        path = self._need("overrides.yaml")
        with explain_damage(path):
            overrides = read_yaml(path) or []
            check_shape(overrides, list[str])
        words = with_present_keys(cast("list[str]", overrides), self.recorded_config)
        for word in (word for each in self.extensions for word in each.words):
            key = word.partition("=")[0]
            words = [*(each for each in words if each.partition("=")[0] != key), word]
        return words

    @functools.cached_property
    def environment(self) -> Record:
        path = self._need("environment.json")
        environment = read_json(path)
        with explain_damage(path):
            check_shape(environment, RecordedEnvironment)
        if environment.get("format_version", 0) > FORMAT_VERSION:
            raise UserError(
                f"'{self.name}' was written by a newer expkit: its folder has format "
                f"{environment['format_version']}, and this one reads up to {FORMAT_VERSION}",
                where=str(path),
                fix="read it with the expkit that made it, or a newer one",
            )
        return environment

    @functools.cached_property
    def dataset(self) -> DatasetMetadata:
        """The data as the last stage met it, with the labels that an earlier one may have given."""
        return (
            self.dataset_as_read if self.labels is None else self.labels.apply(self.dataset_as_read)
        )

    def dataset_of(self, stage: str) -> DatasetMetadata:
        """The data as one stage met it: with new labels only where it learns them."""
        learns_labels = (self.config["procedure"].get(stage) or {}).get("labels_from")
        return (self.relabelled if learns_labels else None) or self.dataset_as_read

    @functools.cached_property
    def relabelled(self) -> DatasetMetadata | None:
        """The data with the labels that a stage has given; None where none has."""
        labels = Labels.read(self.path, self.dataset_as_read)
        return None if labels is None else labels.apply(self.dataset_as_read)

    @functools.cached_property
    def labels(self) -> Labels | None:
        """The new labels that the run's weights have learnt, where they have."""
        if self.trained is self and self.exported is None:
            stage = self.config["procedure"].get(self._weights_of[0]) or {}
            if not stage.get("labels_from"):
                return None
        return Labels.read(self.path, self.dataset_as_read)

    @functools.cached_property
    def dataset_as_read(self) -> DatasetMetadata:
        """The data as it came, before any stage gave it new labels."""
        path = self._need("dataset.json")
        with explain_damage(path):
            return DatasetMetadata.from_json(with_present_fields(read_json(path)))

    @functools.cached_property
    def history(self) -> list[Record]:
        return read_lines(self.path / "history.jsonl", ("stage", "epoch"), is_epoch)

    @functools.cached_property
    def signals(self) -> list[Record]:
        """The measurements of data, model, loss, steps and epochs that the rules read."""
        lines = read_lines(self.path / "signals.jsonl", ("stage", "epoch", "kind"), is_signal)
        return [with_present_fields(line) for line in lines]

    @functools.cached_property
    def stages(self) -> list[StageResult]:
        """The results of the stages that have ended; not those that an extension does again."""
        return counted_stages(self.recorded_stages, self.extensions)

    @functools.cached_property
    def recorded_stages(self) -> list[StageResult]:
        """All results as they were written down."""
        path = self.path / "stages.jsonl"
        with explain_damage(path):
            results = [StageResult.from_json(record) for record in read_lines(path)]
            for result in results:
                check_name(result.stage)
        return results

    @functools.cached_property
    def summary(self) -> Record | None:
        path = self.path / "summary.json"
        return read_json(path) if is_file(path) else None

    @functools.cached_property
    def predictions(self) -> Mapping[str, Predictions]:
        """By split; empty where the run did not get as far."""
        return self._read_predictions("predictions.csv")

    @functools.cached_property
    def plain_predictions(self) -> Mapping[str, Predictions]:
        """The model's own, without the further views that an evaluation averaged them with."""
        is_averaged = is_file(self.path / PLAIN)
        return self._read_predictions(PLAIN) if is_averaged else self.predictions

    def _read_predictions(self, name: str) -> Mapping[str, Predictions]:
        path = self.path / name
        if not is_file(path):
            if any(result.kind == "Evaluation" for result in self.stages):
                self._need(path.name)
            return {}
        return read_predictions(path, self.dataset)

    @functools.cached_property
    def ensemble(self) -> EnsembleRecord | None:
        """The members whose weights were put together here; None of a run that trained."""
        return read_ensemble(self.path)

    @functools.cached_property
    def test_look(self) -> TestLook | None:
        """The how-manieth look at a sealed test set this is; None of one that never was."""
        return TestLook.read(self.path)

    def member_predictions(self, place: int) -> Mapping[str, Predictions]:
        """The predictions of a member of the ensemble, by split; empty where none were kept."""
        path = predictions_path(self.path, place)
        return read_predictions(path, self.dataset) if is_file(path, self.path) else {}

    @property
    def trained(self) -> Run:
        """The run that made the weights: another one where this one evaluates it."""
        seen = {self.path.resolve()}
        run = self
        while (source := run.config.get("evaluates")) is not None:
            where = f"{run.path / 'config.yaml'}: evaluates: {source}"
            if not is_run(Path(source)):
                raise UserError(
                    f"'{self.name}' evaluates a run that is not there any more",
                    where=where,
                    fix="move it back, or ask that run by its new path",
                )
            run = Run(Path(source))
            if run.path.resolve() in seen:
                raise UserError(
                    f"'{self.name}' evaluates itself: no run made its weights",
                    where=where,
                    fix="bring config.yaml back from a copy",
                )
            seen.add(run.path.resolve())
        return run

    @property
    def weights(self) -> Path:
        """The weights that stand for the run: those of its evaluation, or the last best ones."""
        if self.trained is not self:
            return self.trained.weights
        if self.exported is not None:
            self.exported.refuse_changed()
            return self.exported.model_file
        if self.is_watched:
            raise refuse_watched(str(self.path / "config.yaml"))
        path = self.checkpoint(*self._weights_of)
        if not is_file(path, self.path):
            raise UserError(
                f"the run '{self.name}' has no trained weights",
                where=str(path),
                fix="name a run that has trained, or go on with this one: expkit resume RUN",
            )
        return path

    @property
    def is_watched(self) -> bool:
        """Tell whether these are the records of somebody's own loop, which expkit.watch saw."""
        return bool(self.config.get("watched"))

    @property
    def _weights_of(self) -> tuple[str, str]:
        """The stage and the epoch that an evaluation names, or the last stage that kept any."""
        chosen = self.evaluation
        which = chosen.get("weights", "best")
        kept = [
            name
            for name in self.stage_names
            if not self.is_pretraining(name) and is_file(self.checkpoint(name, which), self.path)
        ]
        return chosen.get("of") or (kept or [""])[-1], which

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """The arguments of its last evaluation; empty where it has none."""
        stages = [stage for stage in self.config["procedure"].values() if stage]
        evaluations = [each for each in stages if str(each.get("_target_")).endswith(EVALUATION)]
        return evaluations[-1] if evaluations else {}

    def is_pretraining(self, stage: str) -> bool:
        """Tell whether a stage trains a backbone alone: its weights have no classifier."""
        target = (self.config["procedure"].get(stage) or {}).get("_target_")
        return str(target).rpartition(".")[2] == "SimCLR"

    def checkpoint(self, stage: str, which: str) -> Path:
        """Where a stage keeps the weights of its best or its last epoch."""
        with explain_damage(self.path / "config.yaml"):
            check_name(stage or "none")
            check_name(which)
        return self.path / "checkpoints" / stage / f"{which}.safetensors"

    def snapshots(self) -> Iterator[tuple[str, int, Mapping[str, npt.NDArray[np.generic]]]]:
        """The predictions recorded in the middle of training, by stage and epoch."""
        for path in list_inside(self.path / "snapshots", "*/epoch_*.npz", self.path):
            number = path.stem.removeprefix("epoch_")
            if number.isdecimal():
                arrays = read_arrays(path, self.path, SNAPSHOT_ARRAYS)
                check_snapshot(arrays, path)
                yield path.parent.name, int(number), arrays

    def samples(self, name: str) -> Mapping[str, npt.NDArray[np.generic]] | None:
        """Images that the run kept for its pages: `augmented`, `wrong_val`; None without."""
        path = self.path / "samples" / f"{name}.npz"
        if not is_file(path, self.path):
            return None
        is_of_mistakes = name.startswith("wrong_")
        arrays = read_arrays(path, self.path, MISTAKES_ARRAYS if is_of_mistakes else SAMPLES_ARRAYS)
        check_samples(arrays, path, self.dataset.num_classes)
        return arrays

    def image(self, layout: Layout) -> Image | None:
        """The image that a split was cut from; None where the run does not hold it."""
        path = self.path / layout.image
        return read_image(path, self.path) if is_file(path, self.path) else None

    def _need(self, name: str) -> Path:
        """A file that every run begins with."""
        path = self.path / name
        if not is_file(path):
            raise UserError(
                f"the run '{self.name}' lacks its {name}: it is no whole run folder any more",
                where=str(path),
                fix="bring the file back, or start the run again: expkit train ...",
            )
        return path

    @property
    def stage_names(self) -> list[str]:
        """The stages that the run was asked for, in order."""
        return list(self.config["procedure"])

    @property
    def status(self) -> Status:
        """Told from the records, so that it cannot go stale when a process is killed."""
        if any(not result.passed for result in self.stages):
            return "failed"
        if {result.stage for result in self.stages} >= set(self.stage_names):
            return "finished"
        return "running" if is_locked(self.path) else "interrupted"

    @property
    def has_pages(self) -> bool:
        """Tell whether it has ended and its pages say so: summary.json is written last."""
        status = self.status
        is_over = status in ("finished", "failed")
        return is_over and self.summary is not None and self.summary.get("status") == status


@contextlib.contextmanager
def explain_damage(path: Path) -> Iterator[None]:
    """A record without what it should hold is refused by its file."""
    try:
        yield
    except (
        *(KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError),
        *(ArithmeticError, IndexError, RecursionError, MemoryError),
    ) as error:
        kind = "" if isinstance(error, ShapeError) else f"{type(error).__name__}: "
        raise UserError(
            f"'{path.name}' is damaged: {kind}{str(error).partition(chr(10))[0]:.120}",
            where=str(path),
            fix="bring the file back from a copy",
        ) from error


def is_run(path: Path) -> bool:
    return exists(path / "config.yaml") and exists(path / "environment.json")


def exists(path: Path) -> bool:
    """Also where a user's word is too long to be a path, at which Path.exists raises."""
    try:
        return path.exists()
    except OSError:
        return False
