"""When training on past the turn is a fault, and when it is merely worth knowing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from evaluated_runs import TRAINED
from rule_findings import found_by
from synthetic_evidence import CONFIG, make_evidence, make_history, make_signal
from training_curves import procedure, wiggle

from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.rules.results.overfitting import stopped_early

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


def test_what_may_cure_it() -> None:
    """A patience where there is none, and mixed images where these are at hand."""
    history = make_history(train__loss=FALL, val__loss=np.linspace(1.0, 2.0, 60).tolist())
    for patience, mixup, remedies in (
        (None, 0, [["procedure.train.patience=5"], ["augment.mixup_alpha=0.2"]]),
        (None, 0.2, [["procedure.train.patience=5"]]),
        (99, 0, [["augment.mixup_alpha=0.2"]]),
        (99, None, []),
    ):
        augment = {**CONFIG["augment"], "mixup_alpha": mixup}
        evidence = make_evidence(
            history=history, procedure=procedure(patience=patience), augment=augment
        )
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.remedies == remedies
    averaged = make_evidence(history=history, procedure=procedure(swa_epochs=5))
    finding = found_by("overfitting", averaged)  # which is refused together with a patience
    assert finding is not None
    assert not any("patience" in word for group in finding.remedies for word in group)


def log_3(num_epochs: int = 50) -> dict[str, list[float]]:
    """Down to epoch 27 on held-out samples, and up from there; the training loss goes on down."""
    epochs = range(1, num_epochs + 1)
    val = [0.9 + 0.4 * ((e - 27) / 27) ** 2 for e in epochs]
    return {
        "train__loss": [1.4 * math.exp(-e / 20) for e in epochs],
        "val__loss": [a + b for a, b in zip(val, wiggle(num_epochs, 0.004), strict=True)],
        "val__accuracy": [0.6] * num_epochs,
    }


class TestOverfitting:
    def test_log_3s_turn_is_found(self) -> None:
        """Epoch 27 but for the noise of its neighbours; 0.9 rose to 1.19, by 32 %."""
        evidence = make_evidence(
            history=make_history(**log_3()), stages=[TRAINED], procedure=procedure()
        )
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.evidence["from epoch"] == pytest.approx(27, abs=2)
        assert "overfitting from epoch 2" in finding.sentence
        assert finding.evidence["val/loss now"] == pytest.approx(1.165, abs=0.01)
        assert finding.severity == "info"  # the best epoch is the one evaluated
        assert ["procedure.train.patience=5"] in [list(each) for each in finding.remedies]

    def test_what_patience_would_have_saved_by_hand(self) -> None:
        """Best at 3, none better at 4 and 5: stopped there, 3 epochs early, and 0.1 lost."""
        history = make_history(val__loss=[3, 2, 1.0, 1.5, 1.4, 1.3, 1.2, 0.9])
        found = stopped_early(history, "val/loss", patience=2)
        assert (found["stops at"], found["epochs saved"]) == (5, 3)
        assert found["val/loss lost"] == pytest.approx(0.1)

    def test_it_harms_where_the_last_epoch_is_kept(self) -> None:
        """The same losses, evaluated at their end, and gone on as long again as to the turn."""
        evidence = make_evidence(
            history=make_history(**log_3(60)), stages=[TRAINED], procedure=procedure("last")
        )
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.severity == "warning"

    def test_a_steep_start_is_no_noise(self) -> None:
        """Measured: down from 1.4 to 0.37 within 9 epochs, and slowly up to 0.47 by epoch 60."""
        val = [0.37 + 1.05 * math.exp(-e / 2) + 0.002 * max(0, e - 10) for e in range(60)]
        train = [2 * math.exp(-e / 4) for e in range(60)]
        history = make_history(train__loss=train, val__loss=val)
        evidence = make_evidence(history=history, stages=[TRAINED], procedure=procedure("last"))
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.severity == "warning"
        assert 10 <= finding.evidence["from epoch"] <= 13

    @pytest.mark.parametrize(
        ("train", "val"),
        [
            # both fall
            ([2 - 0.05 * e for e in range(20)], [2 - 0.04 * e for e in range(20)]),
            # both rise: a rate too high is another matter
            ([1 + 0.05 * e for e in range(20)], [1 + 0.08 * e for e in range(20)]),
            # a noisy loss that stands
            ([2 - 0.05 * e for e in range(20)], [1 + n for n in wiggle(20, 0.1)]),
            # a plateau with a slight drift
            ([2 - 0.05 * e for e in range(20)], [1 + 0.001 * e for e in range(20)]),
            # three epochs
            ([2.0, 1.0, 0.5], [1.0, 2.0, 3.0]),
        ],
    )
    def test_other_courses_are_none(self, train: Sequence[float], val: Sequence[float]) -> None:
        """Only a rise beyond noise beside a training loss that falls."""
        history = make_history(train__loss=train, val__loss=val)
        evidence = make_evidence(history=history, stages=[TRAINED], procedure=procedure("last"))
        assert found_by("overfitting", evidence) is None
