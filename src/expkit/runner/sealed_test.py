"""A sealed test set: kept from every run, and each look at it is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from expkit.data.store.samples import Dataset, Samples
from expkit.errors import UserError
from expkit.records.run.metadata import SealedSplit
from expkit.records.run.reader import Run
from expkit.records.run.test_look import TestLook
from expkit.records.run.writer import explain_disk_errors
from expkit.records.test_ledger import TestLedger, identify

TEST = "test"


def seal(dataset: Dataset) -> tuple[Dataset, SealedSplit]:
    """Take the test set out of the data, and return what may be known of it."""
    if TEST not in dataset.splits:
        raise UserError(
            "there is no test split to be sealed",
            where="dataset.sealed=true",
            allowed=f"data with a test split; this has {', '.join(dataset.splits)}",
            fix="dataset.sealed=false   (or dataset.test_fraction=0.15, where the data came whole)",
        )
    if "val" not in dataset.splits:
        raise UserError(
            "with the test split sealed, nothing is left to choose the epoch and to judge by",
            where="dataset.sealed=true",
            fix="dataset.val_fraction=0.15   (or dataset.sealed=false)",
        )
    samples = dataset.splits[TEST]
    known = SealedSplit(len(samples), samples.fingerprint(), identity_of(dataset, samples))
    return without_test(dataset), known


def without_test(dataset: Dataset) -> Dataset:
    """The data without its test set."""
    return replace(
        dataset,
        splits={name: each for name, each in dataset.splits.items() if name != TEST},
        cuttings={name: each for name, each in dataset.cuttings.items() if name != TEST},
    )


def identity_of(dataset: Dataset, samples: Samples) -> str:
    """Return the word by which a test set is known again: at any size, and in any order."""
    labels = dataset.class_names or dataset.target_names or ()
    return identify(labels, samples.names, samples.targets.tolist())


def begin_ledger(sealed: SealedSplit, run: Path) -> None:
    """Have looks at this test set counted from now on."""
    with explain_disk_errors(run.parent):
        TestLedger.of(run.parent, sealed.identity).seal(run.name)


def is_sealed(dataset: Dataset, run: Run) -> bool:
    """Tell whether the data has a test set that this run, or one beside it, was not given."""
    if TEST not in dataset.splits:
        return False
    identity, own = identity_of(dataset, dataset.splits[TEST]), run.trained.dataset_as_read.sealed
    beside = TestLedger.of(run.trained.path.resolve().parent, identity)
    return beside.exists or (own is not None and own.identity == identity)


def count_look(dataset: Dataset, evaluated: Run | None, run: Path) -> TestLook | None:
    """Count this run's look, where its test set was ever sealed; once, however often it resumes.

    It is counted before anything is predicted: a look that was cut off is a look.
    """
    if TEST not in dataset.splits:
        return None
    if (known := TestLook.read(run)) is not None:
        return known
    identity = identity_of(dataset, dataset.splits[TEST])
    sealed = None if evaluated is None else evaluated.dataset_as_read.sealed
    ledgers = [TestLedger.of(run.parent, identity)]
    if evaluated is not None:
        ledgers = TestLedger.all_of_run(evaluated, run.parent, identity)
    with explain_disk_errors(run.parent):
        if sealed is not None and sealed.identity == identity:
            ledgers[0].seal(run.name)  # also where somebody has removed it
        numbers = [each.count_look(run.name) for each in ledgers if each.exists]
        if not numbers:
            return None
        look = TestLook(TEST, identity, max(numbers))  # runs of two folders may have looked
        look.write(run)
    return look
