"""Trainings made up for tests: the signals of epochs whose losses are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthetic_evidence import make_evidence, make_history, make_signal

from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import StageResult

STEPS = 32  # an epoch


def make_course(
    losses: Sequence[float],
    *,
    first_losses: Sequence[float] = (2.3,) * 20,
    ratio: float = 0.003,
    gradients: float | Sequence[float] = 1e-3,
    weights: float | Sequence[float] = 0.1,
    rates: float | Sequence[float] = 0.001,
    probe_loss: float | None = None,
    optimizer: Mapping[str, Any] | None = None,
    schedule: Mapping[str, Any] | None = None,
    stage: Mapping[str, Any] | None = None,
    signal: Mapping[str, Any] | None = None,
    signals: Sequence[Mapping[str, Any]] = (),
    **config: Any,
) -> Evidence:
    """A run of 50 planned epochs of ten balanced classes, looked at in every epoch.

    `gradients`, `weights` and `rates` are one number, or one for each epoch.
    """
    per_epoch = [spread(each, len(losses)) for each in (gradients, weights, rates)]
    history = make_history(train__loss=losses)
    for record, rate in zip(history, per_epoch[2], strict=True):
        record["lr"] = rate
    made = [
        make_signal("step", epoch=1, step=i, loss=loss, gradient_norm=1.0, lr=0.001)
        for i, loss in enumerate(first_losses, start=1)
    ]
    for i, (loss, gradient, weight) in enumerate(zip(losses, *per_epoch[:2], strict=True)):
        row = {
            "name": "head.0.weight",
            "weight_rms": weight,
            "gradient_rms": gradient,
            "update_ratio": ratio,
        }
        content = {
            "first_non_finite_step": None,
            "clipped_fraction": None,
            "step_loss": {"max": loss, "mean": loss, "std": 0.1 * loss},
            "parameters": [row],
            "gradient_norm": 1.0,
            "gradients_left": False,
            "probe_loss": loss if probe_loss is None else probe_loss,
            **(signal or {}),
        }
        made.append(make_signal("epoch", epoch=i + 1, **content))
    base = make_evidence().config
    parts = {
        "optimizer": {**base["optimizer"], **(optimizer or {})},
        "schedule": {"warmup_epochs": 0.0, **(schedule or {})},
        "procedure": {
            **base["procedure"],
            "train": {**base["procedure"]["train"], **(stage or {})},
        },
        **config,
    }
    return make_evidence(history=history, signals=[*signals, *made], **parts)


def make_gate(
    losses: Sequence[float], *, passed: bool = False, signals: Sequence[Mapping[str, Any]] = ()
) -> Evidence:
    """A run that ended at its gate of ten samples, a line a step."""
    gate = {"_target_": "expkit.runner.stages.overfit.OverfitGate", "num_samples": 10}
    return make_evidence(
        history=make_history("overfit_10", train__loss=losses),
        signals=signals,
        stages=[StageResult("overfit_10", passed, "", "OverfitGate")],
        procedure={"overfit_10": gate, **make_evidence().config["procedure"]},
    )


def make_model_record(stage: str = "preflight", epoch: int = 0, **row: Any) -> dict[str, Any]:
    """One weight, and a bias that no rule may take for one."""
    weight = {
        "name": "head.0.weight",
        "size": 100,
        "weight_rms": 0.1,
        "gradient_rms": 1e-3,
        "trainable": True,
        "optimised": True,
        "kind": "weight",
        **row,
    }
    bias = {**weight, "name": "head.0.bias", "weight_rms": 1e-9, "size": 10, "kind": "bias"}
    return make_signal("model", stage, epoch, parameters=[weight, bias])


def spread(value: float | Sequence[float], count: int) -> Sequence[float]:
    return [value] * count if isinstance(value, int | float) else value
