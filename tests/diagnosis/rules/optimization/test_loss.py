"""Rules on losses: what they say to made-up answers tells their kind and their settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from probed_models import DEVICE
from rule_findings import findings
from synthetic_evidence import make_evidence, make_metadata, make_signal
from torch import Tensor, nn
from torch.nn import functional

from expkit.diagnosis.evidence import Evidence
from expkit.losses.focal import Focal
from expkit.probes.loss import probe_loss

SMOOTH, FOCUS = "loss.label_smoothing=0.1", "loss.gamma=2"


class Function(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = self.function(outputs, targets)
        return value


def evidence_of(measured: Any, num_classes: int = 10, **config: Any) -> Evidence:
    module = measured if isinstance(measured, nn.Module) else Function(measured)
    record = probe_loss(module, num_classes, torch.arange(num_classes), DEVICE)
    return make_evidence(
        metadata=make_metadata((9,) * num_classes, None),
        signals=[make_signal("loss", **record)],
        **config,
    )


def one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.one_hot(targets, outputs.shape[1]).float()


MISMATCHED = {
    "sign turned": lambda x, t: -functional.cross_entropy(x, t),
    "no gradient": lambda x, t: functional.cross_entropy(x.detach(), t),
    "gradient of zero": lambda x, t: functional.cross_entropy(x.detach(), t) + 0 * x.sum(),
    "argmax": lambda x, t: (x.argmax(1) != t).float().mean(),
    "class as a number": lambda x, t: functional.mse_loss(x.mean(1), t.float()),
    "each to the class's number": lambda x, t: ((x - t[:, None]) ** 2).mean(),
    "log-likelihood of logits": functional.nll_loss,
    "targets shifted": lambda x, t: functional.cross_entropy(x, (t + 1) % x.shape[1]),
}


@pytest.mark.parametrize("name", MISMATCHED)
def test_mismatched_losses(name: str) -> None:
    """Losses that want something else than the right class are fatal."""
    own = {"_target_": "my_losses.Mine"}
    (finding,) = findings("loss_mismatch", evidence_of(MISMATCHED[name], loss=own))
    assert finding.severity == "fatal"
    assert finding.remedies == [["loss=cross_entropy"]]


SOUND = {
    "cross-entropy": functional.cross_entropy,
    "squares of one-hot": lambda x, t: functional.mse_loss(x, one_hot(x, t)),
    "binary by class": lambda x, t: functional.binary_cross_entropy_with_logits(x, one_hot(x, t)),
    "margins": functional.multi_margin_loss,
    "smoothed": lambda x, t: functional.cross_entropy(x, t, label_smoothing=0.5),
    "weighted": lambda x, t: functional.cross_entropy(x, t, weight=torch.linspace(0.1, 9, 10)),
    "log-likelihood": lambda x, t: functional.nll_loss(x.log_softmax(1), t),
    "focal": Focal(gamma=2.0).build([1] * 10),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_losses(name: str) -> None:
    """Unusual losses that want the right class get no finding."""
    evidence = evidence_of(SOUND[name])
    assert findings("loss_mismatch", evidence) == []
    assert findings("loss_settings", evidence) == []


def test_a_loss_that_right_answers_do_not_win() -> None:
    """The mean class number squared: told where a gate was lost, and of no sound loss there."""

    def number(x: Tensor, t: Tensor) -> Tensor:
        classes = torch.arange(x.shape[1]).float()
        return ((x.sigmoid() * classes).mean(1) - t).square().mean()

    lost = make_signal("model", "overfit_1", 2000)
    own = {"_target_": "my_losses.Mine"}
    for function, count in ((number, 1), (functional.cross_entropy, 0)):
        evidence = evidence_of(function, loss=own, num_classes=5)
        assert findings("loss_mismatch", evidence) == []
        failed = dataclasses.replace(evidence, signals=[*evidence.signals, lost])
        assert len(findings("loss_mismatch", failed)) == count


@pytest.mark.parametrize("num_classes", [2, 10, 950])
def test_few_and_many_classes(num_classes: int) -> None:
    """Neither two classes nor a puzzle's 950 make cross-entropy look wrong."""
    evidence = evidence_of(functional.cross_entropy, num_classes)
    assert findings("loss_mismatch", evidence) == []
    assert findings("loss_settings", evidence) == []


def test_label_smoothing_that_leaves_nothing() -> None:
    """0.95 leaves a twentieth of the gradient; the remedy is a usual value."""
    loss = nn.CrossEntropyLoss(label_smoothing=0.95)
    config = {"_target_": "expkit.losses.cross_entropy.CrossEntropy", "label_smoothing": 0.95}
    (finding,) = findings("loss_settings", evidence_of(loss, loss=config))
    assert (finding.severity, finding.remedies) == ("warning", [["loss.label_smoothing=0.1"]])
    assert finding.evidence["gradient_at_uniform"] == pytest.approx(0.05)


@pytest.mark.parametrize(("gamma", "severity"), [(5.0, None), (9.0, "fatal"), (50.0, "fatal")])
def test_gamma_that_leaves_nothing(gamma: float, severity: str | None) -> None:
    """Of two classes half a doubt to the power of nine is next to nothing; of five it is not."""
    config = {"_target_": "expkit.losses.focal.Focal", "gamma": gamma}
    evidence = evidence_of(Focal(gamma=gamma).build([1, 1]), 2, loss=config)
    found = findings("loss_settings", evidence)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert findings("loss_mismatch", evidence) == []


def test_sum_over_samples() -> None:
    """A sum is told from a mean by its size at equal answers."""
    (finding,) = findings("loss_settings", evidence_of(nn.CrossEntropyLoss(reduction="sum")))
    assert "sum over samples" in finding.sentence


def test_regression_losses() -> None:
    """Squares are sound; squares with a turned sign are not."""
    targets = torch.rand(9, 2)
    metadata = make_metadata((9,) * 2, None)
    for loss, count in ((nn.MSELoss(), 0), (Function(lambda x, t: -((x - t) ** 2).mean()), 1)):
        record = probe_loss(loss, 2, targets, DEVICE)
        evidence = make_evidence(metadata=metadata, signals=[make_signal("loss", **record)])
        assert len(findings("loss_mismatch", evidence)) == count


@pytest.mark.parametrize(
    ("settings", "remedies"),
    [
        ({"label_smoothing": 0.5, "gamma": 5.0}, [[SMOOTH, FOCUS], [SMOOTH], [FOCUS]]),
        ({"label_smoothing": 0.5}, [[SMOOTH]]),
        ({"gamma": 5.0}, [[FOCUS]]),
        ({}, [["loss=cross_entropy"]]),
    ],
)
def test_each_setting_that_is_heavy_may_be_lowered(settings: Any, remedies: Any) -> None:
    """Both together first, then each alone; another loss where neither is heavy."""
    record = make_signal(
        "loss",
        at_right=0.1,
        at_wrong=0.2,
        at_uniform=0.2,
        best=0.1,
        has_gradient=True,
        gradient_at_uniform=0.01,
        target_gradient=0.0,
    )
    loss = {"_target_": "expkit.losses.focal.Focal", **settings}
    (finding,) = findings("loss_settings", make_evidence(signals=[record], loss=loss))
    assert finding.remedies == remedies
    assert ("gamma 5" in finding.sentence) == ("gamma" in settings)


def test_outputs_divided_behind_the_last_layer() -> None:
    """The last layer's have size 2, the model's 0.05, and the gate was not passed."""
    start = {
        "layers": [{"name": "head", "rms": 2.0}],
        "outputs": {"rms": 0.05, "std_across_samples": 0.01},
        "last_operation": "Div",
    }
    failed = make_signal("model", "overfit_10", epoch=40, **start)
    evidence = make_evidence(signals=[make_signal("model", "preflight", **start), failed])
    (finding,) = findings("loss_settings", evidence)
    assert finding.sentence == (
        "the last layer's outputs have size 2, and the model's 0.05: they are divided by about 40 "
        "before the loss"
    )
    assert (finding.stage, finding.epoch) == ("overfit_10", 40)
