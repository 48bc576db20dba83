"""Rules on what reaches the net: not finite, unscaled, and next to nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from damaged_data import Array, change, digits, evidence_of
from rule_findings import findings
from synthetic_evidence import make_evidence, make_history, make_signal

from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import StageResult

TENTH = (np.arange(1257) % 10 == 0).astype(np.uint8)
RULES = ("non_finite_inputs", "unscaled_inputs", "inputs_scaled_twice")


def probe(mean: float, std: float, non_finite: int = 0, **others: Any) -> dict[str, Any]:
    inputs = {"mean": mean, "std": std, "min": mean - std, "max": mean + std}
    return make_signal(
        "model",
        "preflight",
        num_samples=64,
        inputs={**inputs, "non_finite": non_finite},
        **{"loss": 2.4, "expected_loss": 2.3, "batch_norms": 0, **others},
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.3, 0.25), (-0.5, 0.05)])
def test_usual_inputs_are_left_alone(rule: str, mean: float, std: float) -> None:
    """Normalized, in [0, 1], and dark images; and a run without any probe."""
    assert findings(rule, evidence_of(digits(), [probe(mean, std)])) == []
    assert findings(rule, make_evidence()) == []


def test_nan_is_fatal() -> None:
    """One number is enough."""
    (found,) = findings("non_finite_inputs", make_evidence(signals=[probe(0, 1, non_finite=1)]))
    assert found.severity == "fatal"


def test_bytes_are_a_note_until_they_do_harm() -> None:
    """0 to 255 with batch norm, or before anything went wrong: as log 4 did on purpose."""
    normed = [probe(110, 60, batch_norms=53, loss=50.0)]
    (found,) = findings("unscaled_inputs", make_evidence(signals=normed))
    assert found.severity == "info"
    assert list(found.remedies) == [["dataset.normalize=dataset"]]
    learnt = make_history(train__accuracy=[0.3, 0.5, 0.7], train__loss=[2.0, 1.0, 0.5])
    (found,) = findings("unscaled_inputs", make_evidence(signals=[probe(110, 60)], history=learnt))
    assert found.severity == "info"


@pytest.mark.parametrize(
    "others",
    [
        {"signals": [probe(110, 60, loss=40.0)]},
        {
            "signals": [probe(110, 60)],
            "history": make_history(train__accuracy=[0.1] * 3, train__loss=[2.3] * 3),
        },
        {
            "signals": [probe(110, 60)],
            "history": make_history(train__accuracy=[0.1], train__loss=[float("nan")]),
        },
    ],
)
def test_bytes_that_do_harm_are_a_warning(others: dict[str, Any]) -> None:
    """A first loss of 40, nothing learnt in three epochs, or NaN."""
    (found,) = findings("unscaled_inputs", make_evidence(**others))
    assert found.severity == "warning"


def test_a_failed_gate_makes_bytes_a_warning() -> None:
    """The gate is recorded, and has not been passed."""
    gate = {"_target_": "expkit.runner.stages.overfit.OverfitGate"}
    failed = StageResult("overfit_1", passed=False, reason="", kind="OverfitGate")
    evidence = make_evidence(
        signals=[probe(110, 60)],
        history=make_history("overfit_1", train__loss=[2.0]),
        stages=[failed],
        procedure={"overfit_1": gate},
    )
    (found,) = findings("unscaled_inputs", evidence)
    assert (found.severity, "overfit_1" in found.sentence) == ("warning", True)


def to_unit(images: Array) -> Array:
    return np.asarray((images / 255).round().astype(np.uint8))


def test_inputs_scaled_twice_are_told() -> None:
    """By the probe; and without one by the images, which hold 0 and 1 and are divided by 255."""
    (found,) = findings("inputs_scaled_twice", make_evidence(signals=[probe(0.001, 0.002)]))
    assert list(found.remedies) == [["dataset.normalize=dataset"]]
    dataset = change(change(digits(), "train", to_unit), "val", to_unit)
    (found,) = findings("inputs_scaled_twice", evidence_of(dataset))
    assert found.evidence["max_byte"] == [1]


def normalized(evidence: Evidence) -> Evidence:
    dataset = {**evidence.config["dataset"], "normalize": "dataset"}
    return replace(evidence, config={**evidence.config, "dataset": dataset})


def test_masks_are_no_lost_pictures() -> None:
    """0 and 1 in even shares, normalized to the data, are masks; where ones are rare, a loss."""
    masks = change(digits(), "train", to_unit)
    assert findings("inputs_scaled_twice", normalized(evidence_of(masks))) == []

    white = change(digits(), "train", lambda images: (images > 254) * np.uint8(1))
    thin = change(white, "train", lambda images: images * TENTH[:, None, None, None])
    (found,) = findings("inputs_scaled_twice", normalized(evidence_of(thin)))
    assert "0 and 1 alone" in found.sentence


@pytest.mark.parametrize(("relative_std", "count"), [(0.0006, 1), (0.36, 0)])
def test_inputs_that_the_model_divides_too_are_told(relative_std: float, count: int) -> None:
    """The first layer varies by 0.0006 of its level, all the rest being its bias."""
    layer = {"name": "conv", "type": "Conv2d", "rms": 0.19, "relative_std": relative_std}
    weight = {"name": "conv.weight", "weight_rms": 0.2}
    record = probe(0.3, 0.4, layers=[layer], parameters=[weight])
    found = findings("inputs_scaled_twice", evidence_of(digits(), [record]))
    assert [each.severity for each in found] == ["warning"] * count
