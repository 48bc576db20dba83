"""Training samples among an evaluation's: a warning with names, also where nobody could look."""

from __future__ import annotations

from dataclasses import replace

from rule_findings import findings
from synthetic_evidence import make_evidence, make_metadata

from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import DatasetMetadata, Leaks, SplitLeaks, TrainedBy


def facts_with(unchecked: str | None = None, **splits: SplitLeaks) -> DatasetMetadata:
    trained_by = TrainedBy("a", {"train": "t", "val": "v"}, "val", Leaks(unchecked, splits))
    metadata = make_metadata(train=(50, 50), val=(10, 10))
    return replace(metadata, trained_by=trained_by)


def evaluated(unchecked: str | None = None, **splits: SplitLeaks) -> Evidence:
    return make_evidence(metadata=facts_with(unchecked, **splits))


def test_equal_images_are_a_warning() -> None:
    """Even one; near copies count where they are more than alike images would be."""
    pairs = [("x.png", "y.png", 1.0)]
    (found,) = findings("leaked_samples", evaluated(val=SplitLeaks(1, 3, 1.0, pairs)))
    assert found.severity == "warning"
    assert found.sentence.startswith("4 of 20 samples of val are training samples of a")
    assert found.evidence["images"] == ["val/x.png = a/train/y.png"]
    (found,) = findings("leaked_samples", evaluated(val=SplitLeaks(1, 3, 4.0, pairs)))
    assert found.sentence.startswith("1 of 20")


def test_all_held_out_splits_are_told_at_once_and_the_judged_one_first() -> None:
    """A rule is told once: what is wrong with the figures must not hide behind the rest."""
    metadata = facts_with(val=SplitLeaks(7, 0, 1.0, []), test=SplitLeaks(2, 0, 1.0, []))
    splits = {**metadata.splits, "test": metadata.splits["val"]}
    (found,) = findings("leaked_samples", make_evidence(metadata=replace(metadata, splits=splits)))
    assert found.sentence.startswith("2 of 20 samples of test and 7 of 20 samples of val are")
    assert found.sentence.endswith("9 byte for byte")


def test_a_train_that_nothing_is_judged_on_is_not_warned_of() -> None:
    """A run evaluated on its own data has all of its training samples there, as it should."""
    own = SplitLeaks(100, 0, 1.0, [])
    assert findings("leaked_samples", evaluated(train=own)) == []
    (found,) = findings("leaked_samples", evaluated(train=own, val=SplitLeaks(1, 0, 1.0, [])))
    assert found.sentence.startswith("1 of 20 samples of val is a training sample")
    alone = facts_with(train=own)
    alone = replace(alone, splits={"train": alone.splits["train"]})
    (found,) = findings("leaked_samples", make_evidence(metadata=alone))
    assert found.sentence.startswith("100 of 100 samples of train are")


def test_images_that_are_merely_alike_are_no_warning() -> None:
    """As many near copies as the training samples have among themselves; none says nothing."""
    (found,) = findings("leaked_samples", evaluated(val=SplitLeaks(0, 3, 4.0, [])))
    assert found.severity == "info"
    assert findings("leaked_samples", evaluated(val=SplitLeaks(0, 0, 1.0, []))) == []
    assert findings("leaked_samples", make_evidence()) == []


def test_an_open_question_is_told() -> None:
    """The reason why nobody could look."""
    (found,) = findings("leaked_samples", evaluated("the folder is not there"))
    assert "the folder is not there" in found.sentence


def test_absent_classes_of_an_evaluation_are_no_fault_of_a_split() -> None:
    """They are named, and the figures are said to be over the others."""
    metadata = facts_with()
    splits = {"train": metadata.splits["train"], "val": replace(metadata.splits["val"])}
    splits["val"] = replace(splits["val"], class_counts=(20, 0))
    (found,) = findings("missing_classes", make_evidence(metadata=replace(metadata, splits=splits)))
    assert found.severity == "info"
    assert found.evidence["absent"] == ["class_1"]


def test_leaks_survive_their_record() -> None:
    """Written as JSON has it and read again."""
    metadata = facts_with(val=SplitLeaks(1, 2, 1.5, [("x", "y", 0.9)], part_of="val"))
    assert DatasetMetadata.from_json(metadata.to_json()) == metadata


def test_near_copies_alone_are_named_as_such() -> None:
    """Three of 20, none of them byte for byte."""
    (found,) = findings("leaked_samples", evaluated(val=SplitLeaks(0, 3, 1.0, [])))
    assert found.sentence == "3 of 20 samples of val are training samples of a: 3 as near copies"
    assert found.severity == "warning"
