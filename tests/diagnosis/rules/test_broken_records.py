"""Every rule beside records of runs that broke early: none may fail on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from synthetic_curves import make_course, make_gate

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import FAILED, ask, load_rules
from expkit.records.run.metadata import StageResult

NAN, INF = math.nan, math.inf
HISTORIES = [
    [NAN],
    [NAN] * 3,
    [INF] * 6,
    [INF, 2.3, NAN],
    [2.3, NAN],
    [2.3, 2.2, 2.1, INF],
    [NAN, 2.3, 2.2, 2.1, 2.0, 1.9],
    [NAN] * 20,
    [0.0] * 20,
    [-1.0] * 20,
]


@pytest.mark.parametrize("losses", HISTORIES)
@pytest.mark.parametrize("first_losses", [(), (NAN,) * 20, (INF, 2.3), (2.3,)])
@pytest.mark.parametrize("is_over", [False, True])
def test_histories_without_numbers(
    losses: Sequence[float], first_losses: Sequence[float], is_over: bool
) -> None:
    """Of losses that are no numbers, or all nought, from the first epoch or a later one on."""
    for schedule in ({}, {"warmup_epochs": 30}):
        curves = make_course(
            losses,
            first_losses=first_losses,
            gradients=NAN,
            weights=NAN,
            ratio=NAN,
            schedule=schedule,
            optimizer={"weight_decay": 10.0},
            model={"dropout": 0.95, "name": "vit", "_target_": "x"},
            stage={"max_gradient_norm": 1.0},
        )
        stages = [StageResult("train", True, "", "Training")] if is_over else []
        assert not failures(with_stages(curves, stages))


@pytest.mark.parametrize("losses", HISTORIES)
def test_gates_without_numbers(losses: Sequence[float]) -> None:
    """A gate that failed with nothing but NaN, or on its way there."""
    assert not failures(make_gate(losses))


def test_runs_without_signals() -> None:
    """Signals may be missing altogether, as of an old run."""
    curves = make_course([NAN, 2.3, 2.2] * 4)
    bare = Evidence(curves.config, curves.metadata, history=curves.history)
    assert not failures(bare)
    assert not failures(Evidence(curves.config, curves.metadata))


def failures(evidence: Evidence) -> list[str]:
    found = [f for name, rule in load_rules().items() for f in ask(name, rule, evidence)]
    return [f"{each.sentence}: {each.evidence['error']}" for each in found if each.rule == FAILED]


def with_stages(evidence: Evidence, stages: Sequence[StageResult]) -> Evidence:
    return Evidence(
        evidence.config,
        evidence.metadata,
        history=evidence.history,
        signals=evidence.signals,
        stages=stages,
    )
