"""Other data in a run's terms: its classes by name, its decoding, its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from expkit.commands.evaluate import _as_other_data
from expkit.data.datasets.arrays import Arrays
from expkit.data.store.decoding import Decoding
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, Samples, check_dataset
from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.records.run.reader import Run
from expkit.runner.evaluation_data import _check_images, adopt_classes, decoding_of

FOLDER = {
    "_target_": "expkit.data.datasets.image_folder.ImageFolder",
    "root": "A",
    "val_fraction": 0.2,
}


class Trained(Run):
    """A run of these classes, with a rule of decoding as a file has it."""

    @classmethod
    def on(cls, classes: Sequence[str], recorded: Sequence[int] | None, **dataset: Any) -> Trained:
        run = cls(Path("outputs/a"))
        decoding = json.loads(json.dumps(Decoding((4, 4)).to_json())) | {"size": recorded}
        metadata = DatasetMetadata(
            name="MadeUp",
            task="classification",
            class_names=tuple(classes),
            target_names=None,
            image_shape=(3, 4, 4),
            splits={"train": SplitMetadata(9, (3,) * len(classes), "t")},
            layouts={},
            preprocessing={"decoding": decoding},
        )
        run.__dict__ |= {"dataset_as_read": metadata, "config": {"dataset": {**FOLDER, **dataset}}}
        return run


def dataset_of(
    classes: Sequence[str], targets: Sequence[int], decoding: Decoding | None = None
) -> Dataset:
    images = np.arange(len(targets) * 48).reshape(-1, 4, 4, 3).astype(np.uint8)
    names = [f"{i}" for i in range(len(targets))]
    samples = Samples(images, np.array(targets, np.int64), names)
    return Dataset({"test": samples}, "unit", class_names=classes, decoding=decoding)


def test_classes_are_numbered_as_the_run_numbers_them() -> None:
    """Whatever their order here; one that is absent is named and keeps its output."""
    run = Trained.on(["cat", "dog", "owl"], None)
    found = adopt_classes(dataset_of(["owl", "cat"], [0, 1, 0]), run, leave_out=False)
    assert found.class_names == ("cat", "dog", "owl")
    assert found.splits["test"].targets.tolist() == [2, 0, 2]
    assert found.class_counts("test") == (1, 0, 2)
    (remark,) = found.remarks
    assert remark.endswith("no samples here: dog")


def test_samples_of_unknown_classes_are_left_out_with_their_images() -> None:
    """The others keep theirs; a class without samples is no reason to refuse."""
    run = Trained.on(["cat", "dog"], None)
    data = dataset_of(["ant", "bee", "cat", "dog"], [2, 0, 3, 0])
    with pytest.raises(UserError, match="does not know all of these classes") as caught:
        adopt_classes(data, run, leave_out=False)
    assert caught.value.details["where"] == "not known to it: ant (2 samples)"
    found = adopt_classes(data, run, leave_out=True).splits["test"]
    assert (found.names, found.targets.tolist()) == (["0", "2"], [0, 1])
    assert np.array_equal(found.images, data.splits["test"].images[[0, 2]])


def test_nothing_but_unknown_classes_is_refused() -> None:
    """Leaving out all samples would leave nothing."""
    with pytest.raises(UserError) as caught:
        adopt_classes(dataset_of(["ant"], [0]), Trained.on(["cat", "dog"], None), leave_out=True)
    assert "--known-classes-only" not in (caught.value.details["do"] or "")


class Asked:
    """As much of a config as is looked at."""

    dataset: Mapping[str, Any] = {"size": None, "channels": 3}


@pytest.mark.parametrize(
    ("recorded", "given", "advice"),
    [
        ([4, 4], Decoding((4, 4)), None),
        ([4, 4], Decoding(None), None),  # of that size as they are
        (None, Decoding((4, 4)), None),
        (None, Decoding(None), None),
        ([4, 4], Decoding((4, 4), resize="squash"), "dataset.resize=crop"),
        (None, Decoding((4, 4), resize="squash"), "dataset.resize=crop"),
        ([4, 4], Decoding((4, 4), crop_fraction=0.5), "dataset.crop_fraction=1.0"),
    ],
)
def test_recorded_and_live_decoding_are_held_together_in_one_form(
    recorded: list[int] | None, given: Decoding, advice: str | None
) -> None:
    """JSON's list is the tuple of the config; what differs is named, with the right value."""
    run, data = Trained.on(["cat", "dog"], recorded), dataset_of(["cat"], [0], given)
    if advice is None:
        _check_images(data, Asked(), run)  # type: ignore[arg-type]
        return
    with pytest.raises(UserError, match="another rule") as caught:
        _check_images(data, Asked(), run)  # type: ignore[arg-type]
    assert caught.value.details["do"] == advice


def test_data_that_was_never_resized_is_not_cropped_either() -> None:
    """A crop that did nothing for want of a size does nothing to new files."""
    run = Trained.on(["cat", "dog"], None)
    run.dataset_as_read.preprocessing["decoding"]["crop_fraction"] = 0.5
    assert decoding_of(run.dataset_as_read) == Decoding((4, 4))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dataset.limit=3"], {}),
        (["dataset.size=8"], {}),
        (["dataset.root=B"], {"evaluate_only": True, "fold": None, "limit": None}),
        (["dataset.root=B", "dataset.limit=3"], {"evaluate_only": True, "limit": 3}),
        (["dataset.root=B", "dataset.fold=1"], {"evaluate_only": False, "fold": 1, "limit": None}),
        (["dataset.root=B"], {"size": [4, 4], "channels": 3}),
        (["dataset.root=B", "dataset.size=8"], {"size": 8}),
    ],
)
def test_other_data_is_evaluated_whole_where_no_word_says_else(
    words: list[str], expected: dict[str, Any]
) -> None:
    """Nothing is held out of it, and a try-out's limit is not carried over."""
    run = Trained.on(["cat", "dog"], [4, 4], fold=2, limit=7, size=4)
    changed = dict(run.config["dataset"])
    for word in words:
        key, _, value = word.removeprefix("dataset.").partition("=")
        changed[key] = int(value) if value.isdigit() else value
    found = _as_other_data(run, changed, words)
    assert {key: found.get(key) for key in expected} == expected
    if not expected:
        assert found == changed


def test_arrays_without_all_the_numbers(tmp_path: Path) -> None:
    """Numbers stand for themselves where data is only evaluated, and there need be no train."""
    images = np.zeros((3, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "a.npz", test_images=images, test_labels=np.array([2, 7, 2]))
    source = Arrays(images=str(tmp_path / "a.npz"), evaluate_only=True)
    data = source.read(silent)
    run = Trained.on([str(i) for i in range(10)], None)
    found = adopt_classes(data, run, leave_out=False)
    assert {name: each.targets.tolist() for name, each in found.splits.items()} == {
        "test": [2, 7, 2]
    }
    with pytest.raises(UserError, match="to train on"):
        Arrays(images=str(tmp_path / "a.npz")).read(silent)


def test_data_that_is_only_evaluated_cannot_be_trained_on() -> None:
    """Said before anything is built, with the setting to change."""
    data = dataset_of(["cat", "dog"], [0, 1])
    check_dataset(data, evaluate_only=True)
    with pytest.raises(UserError, match="no training samples") as caught:
        check_dataset(data)
    assert caught.value.details["do"] == "dataset.evaluate_only=false"
