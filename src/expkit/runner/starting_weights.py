"""Weights of another run that a stage starts from: found, held against the model, written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.config.schema import Config
from expkit.errors import UserError, nearest_of
from expkit.records.run.checkpoint_digests import digest_of
from expkit.records.run.find_run import find_run
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.reader import Run, is_run
from expkit.records.safe_open import is_file, refuse_links

if TYPE_CHECKING:
    from torch import nn

    from expkit.runner.session import Session
    from expkit.training.backbone import Taken

KEY = "start_from_run"


@dataclass(frozen=True)
class Start:
    """The best weights of a stage of another run."""

    run: Run
    stage: str
    key: str  # where the config asks for them

    @property
    def path(self) -> Path:
        return self.run.checkpoint(self.stage, "best")

    def load(self, model: nn.Module, metadata: DatasetMetadata) -> Taken:
        """Put them into the model, with the head where it was trained on the same classes."""
        from expkit.training.backbone import load_backbone

        refuse_links(self.path, self.run.path)
        theirs = self.run.dataset_of(self.stage)
        has_same_outputs = (theirs.class_names, theirs.target_names) == (
            metadata.class_names,
            metadata.target_names,
        )
        with_head = has_same_outputs and not self.run.is_pretraining(self.stage)
        return load_backbone(self.path, model, self.key, with_head=with_head)

    def to_json(self) -> dict[str, Any]:
        """The origin as environment.json keeps it."""
        from expkit.training.checkpoint import read_metadata

        return {
            "run": self.run.name,
            "path": str(self.run.path.resolve()),
            "stage": self.stage,
            "epoch": int(read_metadata(self.path)["epoch"]),
            "sha256": digest_of(self.path),
        }

    def differences(self, metadata: DatasetMetadata) -> Iterator[str]:
        """Say how its images were prepared otherwise than those here."""
        theirs = self.run.dataset_as_read
        for what, there, here in (
            ("channels, height and width", theirs.image_shape, metadata.image_shape),
            *(
                (what, theirs.preprocessing.get(what), metadata.preprocessing.get(what))
                for what in ("decoding", "normalizer")
            ),
        ):
            if there != here:
                yield f"{what}: {_short(there)} in {self.run.name}, {_short(here)} here"

    def refuse_changed(self, recorded: Mapping[str, Any]) -> None:
        """Refuse weights that are not those which the run began with."""
        if recorded.get("sha256") not in (None, digest_of(self.path)):
            raise UserError(
                f"the weights of {self.run.name} are not what they were when this run began",
                where=str(self.path),
                fix="bring the file back from a copy, or start a new run: expkit train ...",
            )


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def find_start(word: str, stage: str | None, key: str) -> Start:
    """The weights that a run's name, and perhaps a stage of it, mean."""
    where = f"{key}.{KEY}={word}"
    if word == "last":
        raise UserError(
            "'last' would be another run for each of several",
            where=where,
            allowed="a path of a run, or a part of its name",
        )
    try:
        run = find_run(word).trained
    except UserError as error:
        raise UserError(
            error.what, where=where, allowed=error.details["allowed"], fix=error.details["do"]
        ) from error
    if run.status == "running":
        raise UserError(
            f"'{run.name}' is still running: its best weights may be others soon",
            where=where,
            fix="wait for its end, or stop it",
        )
    kept = [name for name in run.stage_names if is_file(run.checkpoint(name, "best"), run.path)]
    if not kept or (stage is not None and stage not in kept):
        raise UserError(
            f"'{run.name}' has no trained weights" + (f" of a stage '{stage}'" if stage else ""),
            where=where + (f", {key}.start_from={stage}" if stage else ""),
            nearest=nearest_of(stage, kept) if stage else None,
            allowed=", ".join(kept) or "a run that has trained",
            fix=f"{key}.start_from=null   (its last)" if kept else None,
        )
    return Start(run, stage or kept[-1], f"{key}.{KEY}")


def take_from_run(session: Session, word: str, stage: str | None, model: nn.Module) -> str:
    """Put another run's weights into a stage's model; the words that say what was taken."""
    start = find_start(word, stage, f"procedure.{session.stage}")
    environment = Run(session.folder.path).environment
    start.refuse_changed(environment.get("started_from", {}).get(session.stage, {}))
    metadata = session.parts.metadata
    taken = start.load(model, metadata)
    lines = [f"starts from {start.run.name}, {start.stage}, epoch {taken.epoch}: {taken}"]
    return "; ".join([*lines, *start.differences(metadata)])


def resolve_starts(config: Config) -> Config:
    """The config with runs by their paths: `last` and parts of names mean another run tomorrow."""
    procedure = dict(config.procedure)
    for name, stage in procedure.items():
        word = stage.get(KEY)
        if isinstance(word, str) and word and not (is_run(Path(word)) and Path(word).is_absolute()):
            procedure[name] = {**stage, KEY: str(_find(word, name).path.resolve())}
    return replace(config, procedure=procedure)


def _find(word: str, stage: str) -> Run:
    try:
        return find_run(word)
    except UserError as error:
        details = error.details
        raise UserError(
            error.what,
            where=f"procedure.{stage}.{KEY}={word}",
            nearest=details["nearest"],
            allowed=details["allowed"],
            fix=details["do"],
        ) from error


def starts_of(config: Config) -> dict[str, Start]:
    """The weights of other runs by the stage that starts from them."""
    return {
        name: find_start(stage[KEY], stage.get("start_from"), f"procedure.{name}")
        for name, stage in config.procedure.items()
        if stage.get(KEY)
    }


def without_used_sources(run: Run, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config to resume a run by, without what its stages need no more.

    A stage that has a checkpoint needs no other run, and one that has ended no images of its own.
    """
    ended = {result.stage for result in run.stages}
    procedure = dict(config["procedure"])
    for name, stage in procedure.items():
        if stage.get(KEY) and is_file(run.checkpoint(name, "last"), run.path):
            procedure[name] = {**stage, KEY: None, "start_from": None}
        if name in ended and stage.get("images"):
            procedure[name] = {**stage, "images": None}
    return {**config, "procedure": procedure}
