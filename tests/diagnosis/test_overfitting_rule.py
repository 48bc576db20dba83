"""When training on past the turn is a fault, and when it is merely worth knowing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from synthetic_evidence import CONFIG, make_evidence, make_history, make_signal

from expkit.diagnosis.examine import load_rules

WEIGHTED = {"weighted_to_class_fractions": True}
FALL = np.geomspace(2.3, 1e-3, 60).tolist()


def severity(
    held_out: float,
    turn: int = 10,
    rise: float = 0.3,
    signals: Sequence[Mapping[str, Any]] = (),
    **stage: Any,
) -> str:
    """60 epochs, of which the held-out loss falls for some and then rises by a share."""
    val = [*np.linspace(2.3, 1.0, turn), *np.linspace(1.0, 1 + rise, 60 - turn)]
    history = make_history(
        train__loss=FALL, val__loss=val, train__accuracy=[1.0] * 60, val__accuracy=[held_out] * 60
    )
    procedure = {**CONFIG["procedure"], "train": {**CONFIG["procedure"]["train"], **stage}}
    evidence = make_evidence(history=history, signals=signals, procedure=procedure)
    found = load_rules()["overfitting"].find(evidence)
    return " ".join(each.severity for each in found)


def test_most_of_the_time_spent_past_the_turn() -> None:
    """50 of 60 epochs, and half of the held-out samples wrong where all of train's are right."""
    assert severity(0.5) == "warning"


@pytest.mark.parametrize(("mark", "severities"), [({}, ""), (WEIGHTED, "warning")])
def test_accuracy_of_balanced_draws_counts_where_it_was_weighted_back(
    mark: dict[str, bool], severities: str
) -> None:
    """An older run's is of other samples than the held-out one, and no gap between the two."""
    signals = [make_signal("epoch", epoch=epoch, **mark) for epoch in range(1, 61)]
    found = severity(0.5, signals=signals, balanced_sampling=True)
    assert found.replace("info", "") == severities


@pytest.mark.parametrize(
    "mild",
    [
        {"held_out": 0.97},  # a good result
        {"held_out": 0.5, "turn": 40},  # a third of the time
        {"held_out": 0.5, "rise": 0.07},
        {"held_out": 0.5, "patience": 60},  # it was told when to stop
    ],
)
def test_what_costs_little(mild: dict[str, Any]) -> None:
    """The best epoch's weights are evaluated: it is worth knowing and no more."""
    assert severity(**mild) == "info"
