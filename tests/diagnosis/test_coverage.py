"""Which rules could not look at a watched loop, and that none is named of a run of our own."""

from __future__ import annotations

from typing import Any

from synthetic_curves import make_course
from synthetic_evidence import make_evidence, make_signal

from expkit.diagnosis.coverage import not_looked
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules

NOTHING = {"a scheduler": False, "a scaler": False, "held-out outputs": False}


def loop_of(**handed_over: bool) -> Evidence:
    names = {name.replace("_", " "): value for name, value in handed_over.items()}
    signal = make_signal("loop", "train", handed_over={**NOTHING, **names})
    return make_evidence(watched=True, signals=[signal])


def by_rule(evidence: Evidence) -> dict[str, str]:
    unlooked = not_looked(evidence, load_rules())
    return {rule: reason for reason, rules in unlooked.items() for rule in rules}


def test_a_run_of_our_own_has_no_such_rules() -> None:
    assert not_looked(make_course([2.3, 2.2]), load_rules()) == {}


def test_what_was_not_handed_over_is_named() -> None:
    found = by_rule(loop_of())
    assert found["scheduler_misstepped"] == "a scheduler was not handed over"
    assert found["clipped_before_unscaling"] == "a scaler was not handed over"
    assert found["overfitting"] == "held-out outputs were not handed over"
    assert "zero_grad_forgotten" not in found


def test_what_was_handed_over_is_not() -> None:
    found = by_rule(loop_of(a_scheduler=True, a_scaler=True))
    assert found.keys() >= {"overfitting"}
    assert not found.keys() & {"scheduler_misstepped", "clipped_before_unscaling"}


def test_records_that_a_loop_cannot_make_are_the_reason() -> None:
    """The samples were never read as a data set, and nobody looked at the machine."""
    found: dict[str, Any] = by_rule(loop_of())
    assert "came by in batches" in found["constant_images"]
    assert found["denormals"] == "the machine was not measured"


def test_records_of_another_shape_tell_nothing() -> None:
    """A stranger's folder: what it hands over is no mapping, or not there."""
    for content in ({}, {"handed_over": 3}, {"handed_over": {"a scheduler": "yes"}}):
        evidence = make_evidence(watched=True, signals=[make_signal("loop", "train", **content)])
        assert by_rule(evidence)["scheduler_misstepped"] == "a scheduler was not handed over"


def test_a_rule_that_is_ignored_is_not_missed() -> None:
    evidence = make_evidence(
        watched=True,
        signals=[make_signal("loop", "train", handed_over=NOTHING)],
        diagnosis={"stop_on": "never", "ignore": ["overfitting"]},
    )
    assert "overfitting" not in by_rule(evidence)
