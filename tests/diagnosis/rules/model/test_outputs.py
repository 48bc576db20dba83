"""Rules on a model's first answers, met by real small nets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from probed_models import ThenDo, conv_net, probed, training
from rule_findings import findings
from synthetic_evidence import make_history, make_signal
from torch import Tensor, nn


@pytest.mark.parametrize(
    ("squash", "named"),
    [
        (lambda x: x.softmax(1), "softmax"),
        (torch.sigmoid, "sigmoid"),
        (lambda x: x.softmax(1)[:, None].squeeze(1), "softmax"),
        (lambda x: x.softmax(1) + 0.0, "softmax"),  # by its row sums alone
        (torch.tanh, "tanh"),
    ],
)
def test_probabilities_before_the_loss(squash: Any, named: str) -> None:
    """However the answers are squashed, the finding names the operation."""
    (finding,) = findings("probabilities_before_loss", probed(ThenDo(conv_net(), squash)))
    assert f"is a {named}" in finding.sentence
    assert finding.severity == "warning"


class LogOf(nn.Module):
    """A loss at home with probabilities."""

    def forward(self, probabilities_BC: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.nll_loss(probabilities_BC.log(), targets)


def test_probabilities_where_the_loss_wants_them() -> None:
    """A loss of probabilities, and cross-entropy of log-probabilities, are sound."""
    soft = ThenDo(conv_net(), lambda x: x.softmax(1))
    assert findings("probabilities_before_loss", probed(soft, LogOf())) == []
    logs = ThenDo(conv_net(), lambda x: x.log_softmax(1))
    assert findings("probabilities_before_loss", probed(logs)) == []


@pytest.mark.parametrize(("factor", "severity"), [(1.0, None), (30.0, "info"), (300.0, "warning")])
def test_initial_loss(factor: float, severity: str | None) -> None:
    """The same net with its last layer drawn larger; far larger is a warning."""
    model = conv_net()
    with torch.no_grad():
        model[-1].weight.mul_(factor)
        model[0].weight.mul_(3.0)
        model[2].weight.mul_(3.0)
    found = findings("initial_loss", probed(model))
    assert [each.severity for each in found] == ([severity] if severity else [])


def test_initial_loss_of_trained_weights_is_their_own() -> None:
    """A stage that goes on with an earlier one's weights starts where that one ended."""
    model = conv_net()
    with torch.no_grad():
        model[-1].weight.mul_(3000.0)
    evidence = probed(model, procedure=training(start_from="head"))
    assert findings("initial_loss", evidence) == []


def test_a_temperature_the_wrong_way() -> None:
    """A factor behind the last layer is named, and not that layer's weights."""
    (finding,) = findings("initial_loss", probed(ThenDo(conv_net(), lambda x: x / 1e-4)))
    assert finding.evidence["factor"] == pytest.approx(1e4, rel=0.01)
    assert "temperature" in finding.cause


def test_a_rectifier_before_the_loss() -> None:
    """It has no upper limit: nothing is said of how low the loss can fall."""
    model = ThenDo(conv_net(), torch.relu)
    (finding,) = findings("probabilities_before_loss", probed(model))
    assert "is a ReLU" in finding.sentence
    assert finding.sentence.endswith(f"and {finding.evidence['highest_answer']:.3g}")
    (finding,) = findings("probabilities_before_loss", probed(ThenDo(conv_net(), torch.tanh)))
    assert finding.sentence.endswith("cross-entropy cannot fall below 0.43")


def test_epochs_spent_on_unlearning_the_first_outputs() -> None:
    """Two epochs above the loss of knowing nothing are counted."""
    evidence = probed(ThenDo(conv_net(), lambda x: x / 1e-4))
    history = make_history(train__loss=[9.0, 3.0, 1.5])
    (finding,) = findings("initial_loss", replace(evidence, history=history))
    assert finding.sentence.endswith("; 2 epochs went by until it was there")
    assert (finding.severity, finding.evidence["epochs_above"]) == ("warning", 2)


def test_epochs_that_steps_cost_are_not_the_starts() -> None:
    """Nothing is unlearnt where the loss leaps to ten times its start: it stays an info."""
    model = conv_net()
    with torch.no_grad():
        model[-1].weight.mul_(30.0)
        model[0].weight.mul_(3.0)
        model[2].weight.mul_(3.0)
    evidence = probed(model)
    history = make_history(train__loss=[8.0, 1.9, 1.5])
    for leap, severity, lost in ((1.0, "warning", 2), (4.5, "warning", 2), (10.0, "info", 0)):
        first = evidence.of_kind("model")[0]["loss"]
        losses = [first, *[first * leap] * 20]
        steps = [make_signal("step", epoch=1, loss=loss) for loss in losses]
        told = replace(evidence, history=history, signals=[*evidence.signals, *steps])
        (finding,) = findings("initial_loss", told)
        assert (finding.severity, finding.evidence["epochs_above"]) == (severity, lost)
