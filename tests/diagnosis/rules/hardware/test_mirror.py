"""A second copy that could not be written."""

from __future__ import annotations

from rule_findings import findings
from synthetic_evidence import make_evidence, make_signal


def sentences(*errors: str | None) -> list[str]:
    """The findings on a run whose mirror failed, or was written again, at epochs 1, 2, ..."""
    signals = [
        make_signal("mirror", epoch=epoch, folder="/drive/run", error=error)
        for epoch, error in enumerate(errors, start=1)
    ]
    return [each.sentence for each in findings("mirror_failed", make_evidence(signals=signals))]


def test_a_copy_that_is_behind_is_told_with_the_disks_words() -> None:
    """The last failure counts: an earlier one was made up for."""
    assert sentences("no space left on device", None, "input/output error") == [
        "the mirror is behind the run: from epoch 3 of train on, /drive/run could not be written "
        "(input/output error)"
    ]


def test_a_copy_that_is_whole_again_is_told_too() -> None:
    """For a while a resume would have come from an older epoch."""
    (sentence,) = sentences("no space left on device", None)
    assert sentence.startswith("the mirror could not be written at epoch 1 of train")
    assert sentence.endswith("whole again since epoch 2 of train")


def test_a_mirror_without_a_failure_is_no_finding() -> None:
    """Nor is a run without one."""
    assert sentences() == sentences(None) == []
