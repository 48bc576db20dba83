"""Rules on layers and gradients: dead, stuck, flat, not finite, vanishing, exploding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from probed_models import conv_net, flat, make_look, probed
from rule_findings import findings
from synthetic_evidence import make_evidence, make_signal
from torch import Tensor, nn

from expkit.diagnosis.evidence import Evidence


def test_a_dead_layer_is_fatal() -> None:
    """A bias of -99 silences a layer: all answers are equal, and nothing behind it learns."""
    model = conv_net()
    with torch.no_grad():
        model[2].bias.fill_(-99.0)
    (finding,) = findings("dead_units", probed(model))
    assert (finding.severity, finding.evidence["dead_fraction"]) == ("fatal", 1.0)


def test_nearly_all_units_dead() -> None:
    """One of 32 units is left: a warning, as something still passes."""
    model = conv_net()
    with torch.no_grad():
        model[2].bias[1:].fill_(-99.0)
        model[2].bias[0] = 9.0
    (finding,) = findings("dead_units", probed(model))
    assert finding.severity == "warning"


def test_units_that_rest_while_the_net_learns() -> None:
    """Most units of a layer may rest at a look of a net whose loss falls."""
    layer = {"name": "2", "type": "ReLU", "units": 64, "dead_fraction": 0.95, "non_finite": 0}
    probe_epoch = make_look(8, loss=1.0, layers=[layer, layer], spread=0.5)
    assert (
        findings("dead_units", make_evidence(signals=[probe_epoch], history=[{"stage": "train"}]))
        == []
    )
    stuck = make_look(8, loss=2.3026, layers=[layer, layer], spread=0.5)
    evidence = make_evidence(signals=[stuck], history=[{"stage": "train"}])
    (finding,) = findings("dead_units", evidence)
    assert finding.epoch == 8


def test_saturated_units() -> None:
    """Tanhs behind weights a thousand times too large stand at their limits."""
    model = conv_net(activation=nn.Tanh)
    with torch.no_grad():
        model[0].weight.mul_(1000)
    (finding,) = findings("saturated_units", probed(model))
    assert "Tanh" in finding.sentence
    assert findings("saturated_units", probed(conv_net(activation=nn.Tanh))) == []


def collapse(*probe_epochs: dict[str, Any], hidden: float, batch_norms: int = 0) -> Evidence:
    outputs = {"rms": 1.0, "std_across_samples": hidden / 2, "non_finite": 0}
    start = {"layers": flat(hidden), "outputs": outputs, "batch_norms": batch_norms}
    start |= {"parameters": [], "loss": 2.3, "gradient_norm": 1.0}
    made = make_signal("model", **start)
    history = [{"stage": "train", "epoch": 1}]
    return make_evidence(signals=[made, *probe_epochs], history=history)


def test_collapsed_features() -> None:
    """Flat at the start, levelled by the second epoch, loss at chance: log 1's deep head."""
    probe_epochs = [
        make_look(1, loss=2.32, layers=flat(0.2), spread=0.02),
        make_look(2, loss=2.303, layers=flat(0.02), spread=0.0006),
    ]
    (finding,) = findings("collapsed_features", collapse(*probe_epochs, hidden=0.048))
    assert (finding.severity, finding.epoch) == ("fatal", 2)
    both, *alone = finding.remedies
    assert both == ["model.init=kaiming", "dataset.normalize=dataset"]
    assert alone == [["model.init=kaiming"], ["dataset.normalize=dataset"]]


@pytest.mark.parametrize(
    ("start", "now", "loss", "spread", "update", "norms"),
    [
        (0.33, 0.02, 2.303, 0.0006, 1e-3, 0),  # not flat at the start: killed by something else
        (0.048, 0.3, 2.303, 0.03, 1e-3, 0),  # features come to differ
        (0.048, 0.02, 2.0, 0.0006, 1e-3, 0),  # it learns
        (0.048, 0.02, 2.303, 0.0006, 1e-6, 0),  # a warm-up: nothing has moved yet
        (0.048, 0.02, 2.303, 0.0006, 1e-3, 9),  # batch norm starts flat in eval mode
    ],
)
def test_features_that_are_flat_for_a_time(
    start: float, now: float, loss: float, spread: float, update: float, norms: int
) -> None:
    """Every one of the conditions is needed."""
    probe_epoch = make_look(2, loss=loss, layers=flat(now), spread=spread, update=update)
    assert (
        findings("collapsed_features", collapse(probe_epoch, hidden=start, batch_norms=norms)) == []
    )


class LogNet(nn.Module):
    """Takes the logarithm of what may be negative."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3072, 8), nn.Linear(8, 5)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs: Tensor = self.second(self.first(images_BCHW.flatten(1)).log())
        return outputs


def test_first_layer_that_is_not_finite() -> None:
    """The first layer with a NaN is named, from finite weights before it."""
    (finding,) = findings("non_finite_layer", probed(LogNet()))
    assert (finding.severity, finding.evidence["first_layer"]) == ("fatal", "second")


def test_a_diverged_training_blames_no_layer() -> None:
    """Where a step's gradient was NaN already, all layers are, and none is at fault."""
    layers = [{**each, "non_finite": 3} for each in flat(0.3)]
    probe_epoch = make_look(3, loss=float("nan"), layers=layers, spread=0.1)
    probe_epoch["parameters"][0]["gradient_rms"] = float("nan")
    evidence = make_evidence(signals=[probe_epoch], history=[{"stage": "train"}])
    assert findings("non_finite_layer", evidence) == []


def deep(activation: type[nn.Module], gain: float, depth: int = 12) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(3072, 64), activation()]
    for _ in range(depth):
        layers += [nn.Linear(64, 64), activation()]
    model = nn.Sequential(*layers, nn.Linear(64, 5))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    return model


def test_vanishing_gradients() -> None:
    """Twelve sigmoids multiply the gradient by less than a quarter each."""
    (finding,) = findings("vanishing_gradients", probed(deep(nn.Sigmoid, 1.0)))
    assert finding.evidence["ratio"] < 1e-5
    assert findings("vanishing_gradients", probed(deep(nn.ReLU, 2.4))) == []


def test_a_last_layer_of_zeros_lets_no_gradient_through_at_first() -> None:
    """A head that starts at zero is sound: the first step moves it."""
    model = deep(nn.ReLU, 2.4)
    with torch.no_grad():
        model[-1].weight.zero_()
    assert findings("vanishing_gradients", probed(model)) == []
    assert findings("detached_parameters", probed(model)) == []


def test_exploding_gradients() -> None:
    """Weights drawn ten times too large in each of twelve layers."""
    (finding,) = findings("exploding_gradients", probed(deep(nn.ReLU, 10.0)))
    assert finding.evidence["gradient_norm"] > 1e4


class Functional(nn.Module):
    """Two layers and a head, whose activation is a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.LazyLinear(32), nn.Linear(32, 32)
        self.head, self.function = nn.Linear(32, 5), function

    def forward(self, images_BCHW: Tensor) -> Tensor:
        x = self.function(self.first(images_BCHW.flatten(1)))
        outputs: Tensor = self.head(self.function(self.second(x)))
        return outputs


def test_functions_are_judged_as_layers() -> None:
    """A functional rectifier that is dead, and a tanh at its limits."""
    model = Functional(torch.relu)
    model(torch.zeros(1, 3, 32, 32))
    assert findings("dead_units", probed(model)) == []
    with torch.no_grad():
        model.first.bias.fill_(-1e3)
    (dead,) = findings("dead_units", probed(model))
    assert (dead.severity, dead.evidence["layers"][0]) == ("fatal", "relu() behind first")
    model.function = torch.tanh
    (stuck,) = findings("saturated_units", probed(model))
    assert stuck.evidence["layers"][0] == "tanh() behind first"


def test_a_layer_that_breaks_in_training_is_named_by_its_batch() -> None:
    """From weights of a usual size, and a loss that had not grown; grown ones are steps' doing."""
    origin = {"where": "output", "layer": "2", "type": "Linear", "batch": 7, "loss_before": 1.25}

    def broken(largest_weight: float) -> Evidence:
        found = {**origin, "largest_weight": largest_weight}
        signals = [make_signal("step", loss=2.3), make_signal("epoch", epoch=3, origin=found)]
        return make_evidence(signals=signals)

    (finding,) = findings("non_finite_layer", broken(2.0))
    assert finding.sentence.startswith(
        "in batch 7 of epoch 3 the output of 2 (Linear) is the first"
    )
    assert finding.sentence.endswith("the loss before was 1.25")
    assert (finding.severity, finding.epoch) == ("fatal", 3)
    assert findings("non_finite_layer", broken(2e3)) == []
