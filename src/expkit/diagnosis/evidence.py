"""The records of one run that rules read, whether it is under way or long over."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from expkit.config.schema import PARTS
from expkit.config.stage_parts import own_parts
from expkit.metrics.predictions import Predictions
from expkit.records.files import Record
from expkit.records.run.metadata import DatasetMetadata, StageResult
from expkit.records.run.reader import Run


def _with_epochs_so_far(config: Mapping[str, Any], history: Sequence[Record]) -> dict[str, Any]:
    """Return a watched loop's config; where it told no number of epochs, those that there are."""
    stages = {
        name: {**stage, "max_epochs": stage.get("max_epochs") or max(1, len(history))}
        for name, stage in config["procedure"].items()
    }
    return {**config, "procedure": stages}


@dataclass(frozen=True)
class Evidence:
    """A run's records; what its time did not record is simply not there."""

    config: Mapping[str, Any]
    metadata: DatasetMetadata  # the data as it came
    environment: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    history: Sequence[Record] = ()
    signals: Sequence[Record] = ()
    stages: Sequence[StageResult] = ()
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    relabelled: DatasetMetadata | None = None  # the data with the labels that a stage gave
    run_config: Mapping[str, Any] | None = None  # where `config` is as it is for one stage

    @classmethod
    def of(cls, run: Run) -> Evidence:
        """All that a run folder holds by now."""
        ensemble = run.trained.ensemble
        # what to train again, also of an evaluation; of an ensemble, its best member
        overrides = (
            run.trained.overrides if ensemble is None else ensemble.members[ensemble.best].overrides
        )
        config = {**{key: {} for key in PARTS}, **run.config}  # an older run may lack a part
        return cls(
            config=_with_epochs_so_far(config, run.history) if run.is_watched else config,
            metadata=run.dataset_as_read,
            environment=run.environment,
            overrides=overrides,
            history=run.history,
            signals=run.signals,
            stages=run.stages,
            predictions=run.predictions,
            relabelled=run.relabelled,
        )

    def of_stage(self, stage: str) -> Evidence:
        """The same records beside the config as a stage has it, with its own optimizer and loss.

        A learning-rate range test of another stage's optimizer says nothing of its own.
        """
        config = self.run_config or self.config
        own = own_parts(config, stage)
        if not own and self.run_config is None:
            return self
        signals = self.signals
        if "optimizer" in own and stage not in self.trainings[:1]:
            signals = [each for each in signals if each["kind"] != "lr_range_test"]
        return replace(self, config={**config, **own}, run_config=config, signals=signals)

    @functools.cached_property
    def stages_with_own_parts(self) -> list[str]:
        """The training stages that have begun and have an own optimizer, schedule or loss."""
        config = self.run_config or self.config
        return [stage for stage in self.trainings if own_parts(config, stage)]

    @functools.cached_property
    def trainings(self) -> list[str]:
        """The training stages that have begun, in order."""
        begun = {record["stage"] for record in [*self.history, *self.signals]}
        return [name for name in self._of_class("Training") if name in begun]

    @property
    def is_watched(self) -> bool:
        """Tell whether these are the records of somebody's own loop, which expkit.watch saw."""
        return bool(self.config.get("watched"))

    @property
    def trains(self) -> bool:
        """Tell whether the run makes its weights of its own training samples."""
        is_evaluation = self.metadata.trained_by is not None or self.config.get("evaluates")
        return not is_evaluation and not self._of_class("Combination")

    @functools.cached_property
    def gates(self) -> list[str]:
        """The overfit gates that have begun, in order; their history has a line a step."""
        begun = {record["stage"] for record in self.history}
        return [name for name in self._of_class("OverfitGate") if name in begun]

    def _of_class(self, kind: str) -> list[str]:
        stages = self.config["procedure"].items()
        targets = {name: str((stage or {}).get("_target_")) for name, stage in stages}
        return [name for name, target in targets.items() if target.endswith(f".{kind}")]

    def epochs(self, stage: str) -> list[Record]:
        """The stage's lines of the history: metrics as `train/loss`, `val/accuracy`, and `lr`."""
        return self._history_by_stage.get(stage, [])

    @functools.cached_property
    def _history_by_stage(self) -> dict[str, list[Record]]:
        by_stage: dict[str, list[Record]] = {}
        for record in self.history:
            by_stage.setdefault(record["stage"], []).append(record)
        return by_stage

    def of_kind(self, kind: str, stage: str | None = None) -> list[Record]:
        """The signals of one kind, of one stage or of all, in the order they were recorded."""
        found = self._signals_by_kind.get(kind, [])
        return found if stage is None else [each for each in found if each["stage"] == stage]

    @functools.cached_property
    def _signals_by_kind(self) -> dict[str, list[Record]]:
        by_kind: dict[str, list[Record]] = {}
        for record in self.signals:
            by_kind.setdefault(record["kind"], []).append(record)
        return by_kind

    def probe_epochs(self, stage: str) -> list[Record]:
        """The epochs whose layers and parameters were measured too."""
        return [each for each in self.of_kind("epoch", stage) if "parameters" in each]

    def metadata_of(self, stage: str) -> DatasetMetadata:
        """The data as a stage met it: with new labels only where it learns them."""
        learns_labels = (self.config["procedure"].get(stage) or {}).get("labels_from")
        return (self.relabelled if learns_labels else None) or self.metadata

    def has_plain_accuracy(self, stage: str) -> bool:
        """Tell whether training accuracy is of samples as they come, as a held-out accuracy is.

        Of classes drawn equally often it is weighted back; older runs did not do so.
        """
        if not self.stage_config(stage).get("balanced_sampling"):
            return True
        return any("weighted_to_class_fractions" in each for each in self.of_kind("epoch", stage))

    def stage_config(self, stage: str) -> Mapping[str, Any]:
        return dict(self.config["procedure"][stage])

    def result(self, stage: str) -> StageResult | None:
        """Return how the stage ended; None while it runs."""
        return next((each for each in self.stages if each.stage == stage), None)

    @property
    def monitored(self) -> str:
        """The split that chooses the best epoch: val where there is one, else train."""
        return self.metadata.monitored_split

    @property
    def is_over(self) -> bool:
        """Tell whether no stage is still to come."""
        if any(not each.passed for each in self.stages):
            return True
        return {each.stage for each in self.stages} >= set(self.config["procedure"])
