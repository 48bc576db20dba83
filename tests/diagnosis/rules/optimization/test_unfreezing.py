"""A loss that leaps when layers thaw is found, and a calm one is not."""

from __future__ import annotations

from typing import Any

import pytest
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_evidence, make_history

RULE = "unfreezing_too_sudden"


def evidence_of(losses: list[float], **stage: Any) -> Any:
    given = {**CONFIG["procedure"]["train"], "unfreeze": {1: ["head"], 4: ["blocks.*"]}, **stage}
    return make_evidence(history=make_history(train__loss=losses), procedure={"train": given})


def test_a_leap_is_found_with_the_warm_up_that_may_cure_it() -> None:
    """From a mean of 0.45 to 0.9, and not back within three epochs."""
    found = found_by(RULE, evidence_of([1.0, 0.5, 0.4, 0.9, 0.8, 0.7, 0.6]))
    assert found is not None
    assert (found.severity, found.stage, found.epoch) == ("warning", "train", 4)
    assert found.evidence["loss_before"] == pytest.approx(0.45)
    assert found.evidence["rise"] == pytest.approx(1.0)
    assert found.evidence["thawed"] == "blocks.*"
    assert found.remedies[0] == ["procedure.train.unfreeze_warmup_epochs=2"]


def test_a_leap_that_is_made_up_for_is_worth_knowing() -> None:
    found = found_by(RULE, evidence_of([1.0, 0.5, 0.4, 0.9, 0.4], unfreeze_warmup_epochs=3))
    assert found is not None
    assert found.severity == "info"
    assert found.remedies[0] == ["procedure.train.unfreeze_warmup_epochs=6"]


@pytest.mark.parametrize(
    "evidence",
    [
        evidence_of([1.0, 0.5, 0.4, 0.46, 0.4]),
        evidence_of([1.0, 0.5, 0.4]),
        evidence_of([1.0, 0.5, 0.4, 0.9], unfreeze=None),
        evidence_of([0.01, 0.001, 0.001, 0.003, 0.002]),
    ],
)
def test_calm_curves_are_left_alone(evidence: Any) -> None:
    assert found_by(RULE, evidence) is None
