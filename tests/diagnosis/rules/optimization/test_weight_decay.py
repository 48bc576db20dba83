"""Weight decay that holds the weights down, without taking them away altogether."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_curves import make_course, make_gate, make_model_record

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding

STANDING = [2.3, 1.5, *[1.0] * 10]


def find(
    losses: list[float], kind: str, decay: float, ratio: float = 0.003, **more: Any
) -> list[Finding]:
    optimizer = {"_target_": f"torch.optim.{kind}", "lr": 0.001, "weight_decay": decay}
    start = make_model_record("train")
    curves = make_course(losses, optimizer=optimizer, ratio=ratio, signals=[start], **more)
    return list(load_rules()["weight_decay_crushes"].find(curves))


def test_a_decay_that_takes_what_a_step_gives() -> None:
    """10 at rate 0.001 takes 0.01 of a weight each step, and a step in all changes it by 0.003."""
    (found,) = find(STANDING, "AdamW", 10.0)
    assert found.severity == "warning"
    assert found.evidence["decay_to_step"] == pytest.approx(10 / 3)
    assert found.remedies == [["optimizer.weight_decay=0.05"], ["optimizer.weight_decay=0.0"]]


def test_a_decay_added_to_the_gradient_is_held_against_it() -> None:
    """0.1 of weights of 0.1 is ten times the gradient of 0.001; SGD's usual 5e-4 a twentieth."""
    (found,) = find(STANDING, "SGD", 0.1)
    assert found.evidence["decay_to_step"] == pytest.approx(10)
    assert not find(STANDING, "SGD", 5e-4)


@pytest.mark.parametrize(
    ("losses", "decay", "ratio"),
    [
        (STANDING, 0.3, 0.0002),  # sound as such, however small the steps
        (STANDING, 10.0, 0.03),  # steps that are larger than it
        ([2.3 * 0.9**i for i in range(12)], 10.0, 0.003),  # a loss that falls
        ([2.3, 1.0, *[0.1] * 10], 10.0, 0.003),  # all but learnt
        (STANDING[:5], 10.0, 0.003),  # too soon
    ],
)
def test_a_decay_that_does_no_harm(losses: list[float], decay: float, ratio: float) -> None:
    """It must be out of reason, as strong as a step, and the loss must stand still."""
    assert not find(losses, "AdamW", decay, ratio)


@pytest.mark.parametrize(("decay", "end", "expected"), [(5, 0.5, 1), (5, 0.3, 0), (0.1, 0.5, 0)])
def test_a_gate_whose_loss_comes_to_rest_under_a_decay(
    decay: float, end: float, expected: int
) -> None:
    """At 0.5 for the last half of 1000 steps, each of which took 0.005 of all weights away."""
    records = [make_model_record(), make_model_record("overfit_10", 1000)]
    gate = make_gate([2.3] * 20 + [0.5] * 600 + [end] * 380, signals=records)
    optimizer = {"_target_": "torch.optim.AdamW", "lr": 0.001, "weight_decay": decay}
    config = {**gate.config, "optimizer": optimizer}
    evidence = Evidence(
        config, gate.metadata, history=gate.history, signals=gate.signals, stages=gate.stages
    )
    assert len(list(load_rules()["weight_decay_crushes"].find(evidence))) == expected
