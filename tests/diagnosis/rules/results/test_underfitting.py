"""Nets too small for what they are to tell apart, and those that are not to blame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from evaluated_runs import TRAINED
from rule_findings import found_by
from synthetic_curves import make_gate, make_model_record
from synthetic_evidence import CONFIG, make_evidence, make_history

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.finding import Finding
from expkit.records.run.metadata import StageResult

SLOW = [2.3 * 0.995**i for i in range(500)]
SETTLED = [2.3] * 50 + [1.2] * 450


def probe(features: int) -> dict[str, Any]:
    """Of a net whose last layer has so many features for each of ten classes."""
    record = make_model_record(size=10 * features)
    return {**record, "layers": [{"name": "head.0", "type": "Linear", "units": 10}]}


def find(evidence: Evidence) -> list[Finding]:
    return list(load_rules()["underfitting"].find(evidence))


@pytest.mark.parametrize("losses", [SLOW, SETTLED])
def test_three_features_for_ten_classes(losses: list[float]) -> None:
    """Ten classes take four binary digits: it stands for the gate's failure, and says the cure."""
    gate = make_gate(losses, signals=[probe(3)])
    gate = Evidence(
        {**gate.config, "model": {**CONFIG["model"], "widths": [3, 3, 3]}},
        gate.metadata,
        history=gate.history,
        signals=gate.signals,
        stages=gate.stages,
    )
    (found,) = find(gate)
    assert (found.severity, found.evidence["features"]) == ("fatal", 3)
    assert found.remedies == [["model.widths=[16,32,64]"]]
    rules = {name: load_rules()[name] for name in ("underfitting", "gate_failed")}
    assert [each.rule for each in examine(gate, rules)] == ["underfitting"]


def test_other_gates_that_fail() -> None:
    """64 features suffice; four whose loss still falls may; and a leap of the loss has its rate."""
    assert not find(make_gate(SETTLED, signals=[probe(64)]))
    assert not find(make_gate(SLOW, signals=[probe(4)]))
    assert find(make_gate(SETTLED, signals=[probe(4)]))
    assert not find(make_gate([2.3, 9.0, *SETTLED], signals=[probe(3)]))
    assert not find(make_gate(SETTLED, passed=True, signals=[probe(3)]))


@pytest.mark.parametrize(("features", "expected"), [(3, 1), (64, 0)])
def test_a_training_that_stands_at_half(features: int, expected: int) -> None:
    """Half of the samples right is hardly learnt only where the net cannot do better."""
    history = make_history(train__loss=[1.5] * 12, val__loss=[1.5] * 12, train__accuracy=[0.5] * 12)
    ended = [StageResult("train", True, "", "Training")]
    evidence = make_evidence(history=history, signals=[probe(features)], stages=ended)
    assert len(find(evidence)) == expected


class TestUnderfitting:
    def evidence(self, losses: Sequence[float], accuracies: Sequence[float]) -> Evidence:
        history = make_history(
            train__loss=losses, train__accuracy=accuracies, val__accuracy=accuracies
        )
        return make_evidence(history=history, stages=[TRAINED])

    def test_little_learnt_and_no_more_to_come(self) -> None:
        """20 % of ten classes: a ninth of the way from 10 % to all."""
        finding = found_by("underfitting", self.evidence([2.1] * 30, [0.2] * 30))
        assert finding is not None
        assert "20.00 % right, the largest class is 10.00 %" in finding.sentence

    def test_learnt_or_learning_is_none(self) -> None:
        """Half right and still; or a fifth right and falling."""
        assert found_by("underfitting", self.evidence([1.5] * 30, [0.5] * 30)) is None
        falling = [2.3 - 0.02 * e for e in range(30)]
        assert found_by("underfitting", self.evidence(falling, [0.2] * 30)) is None
