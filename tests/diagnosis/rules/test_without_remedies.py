"""A finding that no override can cure says in words what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from probed_models import conv_net, flat, make_look, probed, training
from rule_findings import findings
from synthetic_evidence import CONFIG, make_evidence, make_history, make_signal
from torch import Tensor, nn

from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import StageResult

# a net that draws its own weights, on inputs that are normalized already
FITTED: Mapping[str, Any] = {
    "model": {"_target_": "expkit.models.timm_model.TimmModel"},
    "dataset": {**CONFIG["dataset"], "normalize": "dataset"},
}
GATE = {"_target_": "expkit.runner.stages.overfit.OverfitGate", "num_samples": 10}


def with_inputs(mean: float, std: float, non_finite: int = 0, **others: Any) -> Evidence:
    inputs = {"mean": mean, "std": std, "non_finite": non_finite}
    figures = {"num_samples": 64, "loss": 2.4, "expected_loss": 2.3, "batch_norms": 0}
    signal = make_signal("model", "preflight", inputs=inputs, **figures)
    return make_evidence(signals=[signal], **{**FITTED, **others})


def deep(activation: type[nn.Module], gain: float) -> nn.Module:
    torch.manual_seed(0)
    hidden = [layer for _ in range(12) for layer in (nn.Linear(64, 64), activation())]
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(3072, 64), activation(), *hidden, nn.Linear(64, 5)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    return model


def failed_after(start: Mapping[str, Any], **changed: Any) -> Evidence:
    """A gate of ten samples that was lost, with the probes before and after it."""
    probes = [
        make_signal("model", "overfit_10", epoch, **{**start, **after})
        for epoch, after in ((0, {}), (300, changed))
    ]
    stages = {"overfit_10": GATE, **training()}
    return make_evidence(signals=probes, procedure=stages, **FITTED)


def start_of(hidden: float, spread: float, **others: Any) -> dict[str, Any]:
    outputs = {"rms": 1.0, "std_across_samples": spread, "non_finite": 0}
    start = {"layers": flat(hidden), "outputs": outputs, "batch_norms": 0, "parameters": []}
    return {**start, "loss": 2.3, "gradient_norm": 1.0, **others}


def saturated() -> Evidence:
    model = conv_net(activation=nn.Tanh)
    with torch.no_grad():
        model[0].weight.mul_(1000)
    return probed(model, **FITTED)


def collapsed() -> Evidence:
    start = make_signal("model", **start_of(0.048, 0.024))
    looks = [
        make_look(1, loss=2.32, layers=flat(0.2), spread=0.02),
        make_look(2, loss=2.303, layers=flat(0.02), spread=0.0006),
    ]
    history = [{"stage": "train", "epoch": 1}]
    return make_evidence(signals=[start, *looks], history=history, **FITTED)


def died_out() -> Evidence:
    """What the layers output has a millionth of the inputs' size, and a gate is lost."""
    layers = [{**each, "rms": 1e-6} for each in flat(0.3)]
    weight = {"name": "1.weight", "weight_rms": 1e-4, "gradient_rms": 1e-9, "trainable": True}
    start = start_of(0.3, 0.3, layers=layers, inputs={"std": 1.0}, parameters=[weight])
    return failed_after(start)


class Scaled(nn.Sequential):
    """A net whose norms hide that its weights are large, all but the last layer's."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs: Tensor = super().forward(images_BCHW)
        return outputs / 100


def large() -> Evidence:
    torch.manual_seed(0)
    hidden = [layer for _ in range(5) for layer in (nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())]
    model = Scaled(nn.Flatten(), nn.Linear(3072, 64), nn.LayerNorm(64), *hidden, nn.Linear(64, 5))
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(1000)
    return probed(model, **FITTED)


def lost_gate() -> dict[str, Any]:
    failed = StageResult("overfit_10", passed=False, reason="", kind="OverfitGate")
    history = make_history("overfit_10", train__loss=[2.0])
    return {"stages": [failed], "history": history, "procedure": {"overfit_10": GATE}}


CASES: Sequence[tuple[str, Any, str, str]] = [
    ("non_finite_inputs", lambda: with_inputs(0, 1, non_finite=3), "3 input numbers", "look at"),
    ("unscaled_inputs", lambda: with_inputs(110, 60), "a spread of 60", "scale the inputs"),
    ("unscaled_inputs", lambda: with_inputs(110, 60, **lost_gate()), "overfit_10", "scale the"),
    ("inputs_scaled_twice", lambda: with_inputs(0, 0.002), "a std of 0.002", "save the images"),
    ("saturated_units", saturated, "(Tanh) stand at its limits", "start the layer before 1"),
    ("vanishing_gradients", lambda: probed(deep(nn.Sigmoid, 1.0), **FITTED), "die out", "ReLU or"),
    ("vanishing_gradients", died_out, "1.0e-06 of the inputs' size", "draw the weights"),
    (
        "exploding_gradients",
        lambda: probed(deep(nn.ReLU, 10.0), stage="alone", **FITTED),
        "gradients explode",
        "draw the weights smaller, or put a norm",
    ),
    ("exploding_gradients", large, "a typical layer multiplies", "draw the weights smaller: a std"),
    ("collapsed_features", collapsed, "the outputs now by 0.06 %", "draw the weights for"),
    (
        "collapsed_features",
        lambda: failed_after(start_of(0.02, 0.02)),
        "features differed by 0.02 between samples, and the gate overfit_10",
        "look where the samples' std is lost",
    ),
    (
        "collapsed_features",
        lambda: failed_after(start_of(0.3, 0.0)),
        "outputs did not differ at all between samples, and the gate overfit_10",
        "look where the samples' std is lost",
    ),
]


@pytest.mark.parametrize(("rule", "evidence", "sentence", "command"), CASES)
def test_what_no_override_cures(rule: str, evidence: Any, sentence: str, command: str) -> None:
    """Without an override to propose, the finding names the next step in words."""
    (found,) = findings(rule, evidence())
    assert list(found.remedies) == []
    assert sentence in found.sentence
    assert found.command.startswith(command)
    given = evidence()
    raw = {**CONFIG["dataset"], "normalize": "none"}
    model = {**CONFIG["model"], "init": "default"}
    curable = replace(given, config={**given.config, "dataset": raw, "model": model})
    (found,) = findings(rule, curable)
    assert found.remedies
    assert found.command == ""


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (
            {"history": make_history(train__accuracy=[0.1], train__loss=[float("nan")])},
            "not finite",
        ),
        (
            {"history": make_history(train__accuracy=[0.1] * 3, train__loss=[2.3] * 3)},
            "3 epochs have brought training accuracy to 10.0 % only",
        ),
    ],
)
def test_the_harm_of_unscaled_inputs_is_named(others: Any, words: str) -> None:
    """Not a number, or nothing learnt: with the figure."""
    (found,) = findings("unscaled_inputs", with_inputs(110, 60, **others))
    assert words in found.sentence
    assert found.command == "scale the inputs to a std of about 1"


def test_a_high_first_loss_of_unscaled_inputs_is_named() -> None:
    """Before anything is trained, by the probe alone."""
    evidence = with_inputs(110, 60)
    (signal,) = evidence.signals
    high = replace(evidence, signals=[{**signal, "loss": 40.0}])
    (found,) = findings("unscaled_inputs", high)
    assert "the first loss is 40, where knowing nothing costs 2.3" in found.sentence
    assert found.command
