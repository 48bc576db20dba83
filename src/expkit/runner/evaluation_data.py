"""Other data for a trained model: of the same kind, in its classes, searched for what it learnt."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.config.plain_config import with_own_cache
from expkit.data.audit.leaks import find_leaks
from expkit.data.store.decoding import Decoding
from expkit.data.store.samples import Dataset, Samples, check_dataset
from expkit.diagnosis.rules.data.duplicates import expected_near
from expkit.errors import UserError, nearest_of
from expkit.records.run.metadata import DatasetMetadata, Leaks, SplitLeaks, TrainedBy
from expkit.records.run.reader import Run

if TYPE_CHECKING:
    from expkit.config.schema import Config

Read = Callable[[Mapping[str, Any]], Dataset]
"""Makes a dataset's part and has it read."""


def read_other_data(config: Config, run: Run, read: Read) -> Dataset:
    """Read what an evaluation is asked for, in the classes of the run that trained."""
    _refuse_unlabelled(config, run)
    dataset = read(config.dataset)
    check_dataset(dataset, evaluate_only=True)
    _check_images(dataset, config, run)
    if dataset.class_names is None or run.dataset_as_read.class_names is None:
        _check_targets(dataset, run)
        return dataset
    stages = config.procedure.values()
    leave_out = any(stage.get("unknown_classes") == "leave_out" for stage in stages)
    return adopt_classes(dataset, run, leave_out=leave_out)


def adopt_metadata(metadata: DatasetMetadata, run: Run, leaks: Leaks) -> DatasetMetadata:
    """The facts of other data: prepared as the run's own, with what is known of where it is from.

    Where it has no training samples of its own, train is what the weights were trained on.
    """
    trained = run.dataset_as_read
    return replace(
        metadata,
        splits={"train": trained.splits["train"], **metadata.splits},
        preprocessing=trained.preprocessing,
        unsuitable_views={**trained.unsuitable_views, **metadata.unsuitable_views},
        trained_by=TrainedBy(
            run=run.name,
            fingerprints=trained.fingerprints,
            monitored=trained.monitored_split,
            leaks=leaks,
        ),
    )


def look_for_leaks(dataset: Dataset, config: Config, run: Run, read: Read) -> Leaks:
    """Search the data for the run's training samples, where those can still be read."""
    trained = run.dataset_as_read
    own = trained.splits["train"].fingerprint
    wanted = {
        name: samples
        for name, samples in dataset.splits.items()
        if name != "train" or samples.fingerprint() != own
    }
    is_same = dict(with_own_cache(run.config)["dataset"]) == dict(config.dataset)
    try:
        theirs = dataset if is_same else _read_training_data(run, read)
    except Exception as error:  # somebody else's data, with whatever is wrong with it now
        what = error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        reason = f"its training data could not be read: {what}"
        return Leaks(reason, _known_by_fingerprint(wanted, own))
    train = theirs.splits.get("train")
    if train is None or train.images.shape[1:] != _image_shape(dataset):
        return Leaks("its training data is not what it was", _known_by_fingerprint(wanted, own))
    changed = train.fingerprint() != own
    reason = "its training data is not what it was: searched for what lies there now"
    found = find_leaks(theirs.splits, wanted)
    splits = {}
    for name, each in found.items():
        expected = expected_near(each.pop("within"), len(wanted[name]))
        splits[name] = SplitLeaks(**each, expected_near=expected)
    return Leaks(reason if changed else None, splits)


def _known_by_fingerprint(wanted: Mapping[str, Samples], own: str | None) -> dict[str, SplitLeaks]:
    """Whole splits that the run's records know as its training samples, without their images."""
    return {
        name: SplitLeaks(exact=len(samples), near=0, expected_near=0.0, pairs=[])
        for name, samples in wanted.items()
        if samples.fingerprint() == own
    }


def _read_training_data(run: Run, read: Read) -> Dataset:
    """The run's own data, without fetching anything; a part that may be a stranger's."""
    part = dict(with_own_cache(run.config)["dataset"])
    if "download" in part:
        part["download"] = False
    return read(part)


def adopt_classes(dataset: Dataset, run: Run, *, leave_out: bool) -> Dataset:
    """Number the samples as the run numbers its classes, whatever their order here.

    Samples of other classes are refused, or left out where the user says so.
    """
    here, known = dataset.class_names or (), run.dataset_as_read.class_names or ()
    places = np.array([known.index(name) if name in known else -1 for name in here], np.int64)
    targets = {name: places[each.targets.astype(int)] for name, each in dataset.splits.items()}
    strange = _count_strange(dataset, targets)
    if strange and (not leave_out or all((each < 0).all() for each in targets.values())):
        raise _unknown_classes(run, here, strange)
    kept = {name: np.flatnonzero(each >= 0) for name, each in targets.items()}
    splits, cuttings = {}, {}
    for name, samples in dataset.splits.items():
        if not len(kept[name]):
            continue
        few = samples if len(kept[name]) == len(samples) else samples.select(kept[name]).settle()
        splits[name] = replace(few, targets=targets[name][kept[name]])
        if name in dataset.cuttings:
            cells = [dataset.cuttings[name].cells[i] for i in kept[name].tolist()]
            cuttings[name] = replace(dataset.cuttings[name], cells=cells)
    remarks = [*dataset.remarks, *_tell_classes(splits, known, strange, run)]
    return replace(dataset, splits=splits, class_names=known, cuttings=cuttings, remarks=remarks)


def _count_strange(dataset: Dataset, targets: Mapping[str, Any]) -> dict[str, int]:
    """Count the samples of each class that the run does not know."""
    counts = np.zeros(len(dataset.class_names or ()), np.int64)
    for name, samples in dataset.splits.items():
        classes = samples.targets[targets[name] < 0].astype(int)
        counts += np.bincount(classes, minlength=len(counts))
    names = dataset.class_names or ()
    return {name: int(n) for name, n in zip(names, counts, strict=True) if n}


def _tell_classes(
    splits: Mapping[str, Samples], known: Sequence[str], strange: Mapping[str, int], run: Run
) -> list[str]:
    present = {int(each) for samples in splits.values() for each in np.unique(samples.targets)}
    absent = [name for place, name in enumerate(known) if place not in present]
    remarks = []
    if absent:
        remarks.append(
            f"{len(absent)} of the {len(known)} classes of {run.name} have no samples here: "
            f"{_listed(absent)}"
        )
    if strange:
        remarks.append(
            f"{sum(strange.values())} samples left out, of classes that {run.name} does not know: "
            f"{_listed([f'{name} ({count})' for name, count in strange.items()])}"
        )
    return remarks


def _unknown_classes(run: Run, here: Sequence[str], strange: Mapping[str, int]) -> UserError:
    known = run.dataset_as_read.class_names or ()
    counted = [f"{name} ({count} samples)" for name, count in strange.items()]
    near = {name: nearest_of(name, known) for name in strange}
    shared = [name for name in here if name in known]
    renamed = [f"'{name}' to '{other}'" for name, other in near.items() if other]
    advice = []
    if renamed:
        advice.append(f"rename {_listed(renamed)}, where the same is meant")
    if shared:
        advice.append("add --known-classes-only, which leaves out their samples")
    return UserError(
        f"{run.name} does not know all of these classes: it could only be wrong on their samples",
        where=f"not known to it: {_listed(counted)}",
        allowed=_listed(known),
        fix="\n".join(advice) or "give data of these classes",
    )


def _refuse_unlabelled(config: Config, run: Run) -> None:
    """Refuse a folder of images without folders of classes: nothing says what is right."""
    root = Path(str(config.dataset.get("root") or "")).expanduser()
    if not config.dataset.get("root") or not root.is_dir() or config.dataset.get("table"):
        return
    from expkit.data.store.folder_tree import image_suffixes

    entries = [each for each in root.iterdir() if not each.name.startswith(".")]
    suffixes = image_suffixes()
    images = [each for each in entries if each.suffix.lower() in suffixes and each.is_file()]
    if images and not any(each.is_dir() for each in entries):
        raise UserError(
            f"'{root}' holds {len(images)} images and no folders of classes: without labels "
            "nothing can be measured",
            where=f"dataset.root={root}",
            allowed="ROOT/CLASS/IMAGE, or ROOT/test/CLASS/IMAGE",
            fix=shlex.join(["expkit", "predict", str(run.path), str(root)]),
        )


def decoding_of(metadata: DatasetMetadata) -> Decoding:
    """The run's own rule; data that was never in files is brought to its size, undistorted."""
    channels, height, width = metadata.image_shape
    if channels not in (1, 3):
        raise UserError(
            f"the model wants images of {channels} channels, and no file is decoded to those",
            allowed="models of grey (1) or coloured (3) images",
        )
    known = metadata.preprocessing.get("decoding")
    if known is None:
        return Decoding(size=(height, width), channels=1 if channels == 1 else 3)
    decoding = Decoding.from_json(known)
    # without a size of its own the data had one size throughout, which any image can be given
    return decoding if decoding.size else replace(decoding, size=(height, width), crop_fraction=1.0)


def _check_images(dataset: Dataset, config: Config, run: Run) -> None:
    """Refuse images of another size or channels, and those resized by another rule."""
    trained = run.dataset_as_read
    here = _image_shape(dataset)
    theirs = (*trained.image_shape[1:], trained.image_shape[0])
    if here != theirs:
        wanted: dict[str, object] = {}
        if here[:2] != theirs[:2] and "size" in config.dataset:
            wanted["size"] = list(theirs[:2])
        if here[2] != theirs[2] and "channels" in config.dataset:
            wanted["channels"] = theirs[2]
        raise UserError(
            f"the images are {_shape(here)}, and {run.name} was trained on {_shape(theirs)}",
            where="dataset",
            allowed="images of the same size and channels",
            fix=_as_overrides(wanted) or None,
        )
    if dataset.decoding is None or trained.preprocessing.get("decoding") is None:
        return
    rule, ours = decoding_of(trained), dataset.decoding
    # of the same shape, and never resized: as the rule would have left them, but for its crop
    applied = ours if ours.size else replace(rule, crop_fraction=1.0)
    if applied == rule:
        return
    given = ours.to_json()
    differing = {key: value for key, value in rule.to_json().items() if given[key] != value}
    raise UserError(
        f"these images are decoded by another rule than those of {run.name}",
        where=_as_overrides({key: given[key] for key in differing}),
        fix=_as_overrides(differing),
    )


def _check_targets(dataset: Dataset, run: Run) -> None:
    trained = run.dataset_as_read
    here, theirs = (
        ("classes", tuple(each.class_names))
        if each.class_names is not None
        else ("numbers", tuple(each.target_names or ()))
        for each in (dataset, trained)
    )
    if here != theirs:
        raise UserError(
            f"the targets are not those of {run.name}",
            where=f"dataset: {here[0]}: {_listed(here[1])}",
            allowed=f"{theirs[0]}: {_listed(theirs[1])}",
        )


def _image_shape(dataset: Dataset) -> tuple[int, ...]:
    """Height, width and channels."""
    shape: tuple[int, ...] = next(iter(dataset.splits.values())).images.shape[1:]
    return shape


def _shape(shape: Sequence[int]) -> str:
    height, width, channels = shape
    return f"{height} x {width} with {channels} channel(s)"


def _as_overrides(values: Mapping[str, object]) -> str:
    """Write settings as words of the command line, quoted where a shell would take a pattern."""
    words = []
    for key, value in values.items():
        if isinstance(value, list | tuple):
            words.append(f"'dataset.{key}=[{','.join(map(str, value))}]'")
        else:
            words.append(f"dataset.{key}={'null' if value is None else value}")
    return " ".join(words)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12]) or "none"
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
