"""Other data for a trained model: it must be of the same kind, and is prepared as that was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from expkit.data.normaliser import Normaliser
from expkit.data.split import Split
from expkit.engine.device import Device
from expkit.errors import UserError
from expkit.records.facts import DatasetFacts, TrainedBy
from expkit.records.run import Run


def adopt_facts(facts: DatasetFacts, run: Run) -> DatasetFacts:
    """The facts of data that the run's model is to answer; refused where it cannot."""
    trained = run.dataset_as_read
    if facts.image_shape != trained.image_shape:
        raise UserError(
            f"the pictures are {_shape(facts)}, and {run.name} was trained on {_shape(trained)}",
            where="dataset",
            allowed="pictures of the same size and channels",
        )
    _check_decoding(facts, run)
    _check_names(facts.class_names or facts.target_names or (), run)
    return replace(
        facts,
        preprocessing={
            **facts.preprocessing,
            "normaliser": trained.preprocessing.get("normaliser"),
        },
        trained_by=TrainedBy(
            run=run.name,
            fingerprints={name: split.fingerprint for name, split in trained.splits.items()},
            monitored=trained.monitored_split,
        ),
    )


def adopt_preprocessing(
    splits: Mapping[str, Split], run: Run, device: Device
) -> Mapping[str, Split]:
    """Normalised by what the run's training pictures said, not by what these say."""
    normaliser = read_normaliser(run, device)
    return {name: replace(split, normaliser=normaliser) for name, split in splits.items()}


def read_normaliser(run: Run, device: Device) -> Normaliser:
    if "normaliser" not in run.dataset.preprocessing:
        raise UserError(
            f"the run '{run.name}' does not say how its pictures were normalised",
            where=str(run.path / "dataset.json"),
            fix="train it again with this version: expkit train ...",
        )
    return Normaliser.from_json(run.dataset.preprocessing["normaliser"]).to(device.torch_device)


def _shape(facts: DatasetFacts) -> str:
    channels, height, width = facts.image_shape
    return f"{height} x {width} with {channels} channel(s)"


def _check_decoding(facts: DatasetFacts, run: Run) -> None:
    """Pictures resized by another rule are other pictures."""
    here = facts.preprocessing.get("decoding")
    theirs = run.dataset_as_read.preprocessing.get("decoding")
    if here is None or theirs is None or here == theirs:
        return
    differing = [key for key in here if here[key] != theirs.get(key)]
    raise UserError(
        f"these pictures are decoded by another rule than those of {run.name}",
        where=", ".join(f"dataset.{key}={here[key]}" for key in differing),
        fix=" ".join(f"dataset.{key}={_as_override(theirs.get(key))}" for key in differing),
    )


def _as_override(value: object) -> str:
    """As a word of the command line has it."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return "null" if value is None else str(value)


def _check_names(names: Sequence[str], run: Run) -> None:
    trained = run.dataset_as_read
    known = trained.class_names or trained.target_names or ()
    if tuple(names) == tuple(known):
        return
    differing = [name for name in names if name not in known]
    missing = [name for name in known if name not in names]
    raise UserError(
        f"the classes are not those of {run.name}",
        where=f"not known to it: {_listed(differing)}\nmissing here: {_listed(missing)}"
        if differing or missing
        else "the same names in another order",
        allowed=_listed(known),
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12]) or "none"
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
