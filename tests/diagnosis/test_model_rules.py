"""Rules on models: each knows its fault in a real small net, and is silent on sound ones."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from probed_models import ThenDo, conv_net, findings, probed, training
from synthetic_evidence import make_evidence, make_signal
from torch import Tensor, nn

from expkit.diagnosis.evidence import Evidence
from expkit.models.conv import ConvNet
from expkit.models.scan_line import ScanLineTransformer
from expkit.records.facts import StageResult

RULES = (
    "probabilities_before_loss",
    "loss_mismatch",
    "loss_settings",
    "detached_parameters",
    "frozen_parameters",
    "optimizer_misses_parameters",
    "samples_mixed",
    "missing_activation",
    "dead_units",
    "saturated_units",
    "collapsed_features",
    "non_finite_layer",
    "vanishing_gradients",
    "exploding_gradients",
    "batch_norm_small_batch",
    "batch_norm_mode",
    "initial_loss",
    "gate_failed",
)


def sound_net(name: str) -> nn.Module:
    torch.manual_seed(0)
    given: Any = {"image_shape": (3, 32, 32), "num_outputs": 5}
    if name == "conv":
        return ConvNet(**given)
    if name == "deep head":
        return ConvNet(hidden=(64, 64), **given)
    if name == "kaiming":
        return ConvNet(hidden=(64, 64), init="kaiming", **given)
    if name == "batch norm":
        return ConvNet(norm="batch", dropout=0.5, **given)
    if name == "scan lines":
        return ScanLineTransformer(layers=2, width=32, heads=2, feed_forward=64, **given)
    if name == "one layer":
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    return timm.create_model(name, num_classes=5)


@pytest.mark.parametrize(
    "name",
    [
        "conv",
        "deep head",
        "kaiming",
        "batch norm",
        "scan lines",
        "one layer",
        "resnet18",
        "convnext_atto",
    ],
)
def test_sound_nets_get_no_finding(name: str) -> None:
    """Nets that learn, some with awkward starts, meet all rules and get nothing above an info."""
    evidence = probed(sound_net(name))
    found = [each for rule in RULES for each in findings(rule, evidence)]
    assert [each for each in found if each.severity != "info"] == []


def test_rules_are_silent_without_signals() -> None:
    """A run from before anything was measured has no findings by these rules."""
    assert [each for rule in RULES for each in findings(rule, make_evidence())] == []


# Answers.


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


# Wiring.


class Cut(nn.Module):
    """The head alone gets gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = conv_net()[:-1]
        self.head = nn.Linear(32, 5)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.backbone(images_BCHW).detach())
        return outputs


def test_detached_backbone() -> None:
    """All that lies behind a detach() is named, and more than half of a model is fatal."""
    (finding,) = findings("detached_parameters", probed(Cut()))
    assert finding.severity == "fatal"
    assert finding.evidence["tensors"] == 4
    assert "backbone.0.weight" in finding.evidence["names"]


def test_a_layer_that_is_never_called_is_only_told() -> None:
    """Unused layers cost memory, and no accuracy."""
    model = conv_net()
    model.extra = nn.Linear(64, 64)
    model.forward = nn.Sequential(*list(model)[:-1]).forward  # type: ignore[method-assign]
    (finding,) = findings("detached_parameters", probed(model))
    assert finding.severity == "info"


def frozen_net() -> nn.Module:
    model = conv_net()
    for parameter in model[:-1].parameters():
        parameter.requires_grad_(False)
    return model


def test_frozen_at_random() -> None:
    """A head on random features is told, with the override where the config froze them."""
    (by_model,) = findings("frozen_parameters", probed(frozen_net()))
    assert (by_model.severity, list(by_model.remedies)) == ("warning", [])
    evidence = probed(frozen_net(), procedure=training(trainable="head"))
    (by_config,) = findings("frozen_parameters", evidence)
    assert by_config.remedies[0][0] == "procedure.train.trainable=all"


def test_frozen_and_trained_before_is_sound() -> None:
    """Pretrained weights, weights of a file, and those of an earlier stage may stand still."""
    for model in ({"pretrained": True}, {"weights": "net.safetensors"}):
        config = {"_target_": "expkit.models.timm_model.TimmModel", **model}
        assert findings("frozen_parameters", probed(frozen_net(), model=config)) == []
    evidence = probed(frozen_net(), procedure=training(start_from="head", trainable="head"))
    assert findings("frozen_parameters", evidence) == []


def test_head_first_is_only_told() -> None:
    """A frozen first stage from which a later one goes on with everything."""
    stages = training(trainable="head")
    later = {"_target_": "expkit.procedures.training.Training", "start_from": "train"}
    evidence = probed(frozen_net(), procedure={**stages, "full": later})
    (finding,) = findings("frozen_parameters", evidence)
    assert finding.severity == "info"


def test_optimizer_of_a_part() -> None:
    """What the optimizer was not given is named; another model's tensors are counted."""
    model = conv_net()
    head = list(model[-1].parameters())
    (finding,) = findings("optimizer_misses_parameters", probed(model, optimised=head))
    assert "0.weight" in finding.evidence["names"]
    others = list(conv_net().parameters())
    (finding,) = findings("optimizer_misses_parameters", probed(model, optimised=others))
    assert (finding.severity, finding.evidence["strangers"]) == ("fatal", 6)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x - x.mean(0),
        lambda x: x.softmax(0),
        lambda x: x.cumsum(0),
        lambda x: x.t().reshape(x.shape),
    ],
)
def test_samples_mixed(mix: Any) -> None:
    """Whatever runs along the batch is fatal."""
    (finding,) = findings("samples_mixed", probed(ThenDo(conv_net(), mix)))
    assert finding.severity == "fatal"


def test_missing_activation() -> None:
    """The pair of layers is named, and that the whole net is one map, where it is."""
    (finding,) = findings("missing_activation", probed(conv_net(activation=nn.Identity)))
    assert "0 -> 2" in finding.sentence
    assert "one linear map" in finding.sentence


# Layers.


def test_a_dead_layer_is_fatal() -> None:
    """A bias of -99 silences a layer: all answers are equal, and nothing behind it learns."""
    model = conv_net()
    with torch.no_grad():
        model[2].bias.fill_(-99.0)
    (finding,) = findings("dead_units", probed(model))
    assert (finding.severity, finding.evidence["dead_share"]) == ("fatal", 1.0)


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
    layer = {"name": "2", "type": "ReLU", "units": 64, "dead_share": 0.95, "non_finite": 0}
    look = make_look(8, loss=1.0, layers=[layer, layer], spread=0.5)
    assert findings("dead_units", make_evidence(signals=[look], history=[{"stage": "train"}])) == []
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


def make_look(
    epoch: int,
    *,
    loss: float,
    layers: list[dict[str, Any]],
    spread: float,
    update: float = 1e-3,
    **more: Any,
) -> dict[str, Any]:
    outputs = {"rms": 1.0, "spread_across_samples": spread, "non_finite": 0}
    rows = [{"name": f"{i}.weight", "weight_rms": 1.0, "update_ratio": update} for i in range(4)]
    rows = [{**row, "gradient_rms": 1.0} for row in rows]
    content = {"layers": layers, "outputs": outputs, "parameters": rows, "step": 100 * epoch}
    content |= {"train/loss": loss, "probe_loss": loss, **more}
    return make_signal("epoch", "train", epoch, **content)


def flat(hidden: float) -> list[dict[str, Any]]:
    return [
        {"name": n, "type": "Linear", "relative_spread": s, "dead_share": None, "non_finite": 0}
        for n, s in (("0", 0.4), ("1", hidden), ("2", hidden / 10))
    ]


def collapse(*looks: dict[str, Any], hidden: float, batch_norms: int = 0) -> Evidence:
    outputs = {"rms": 1.0, "spread_across_samples": hidden / 2, "non_finite": 0}
    start = {"layers": flat(hidden), "outputs": outputs, "batch_norms": batch_norms}
    start |= {"parameters": [], "loss": 2.3, "gradient_norm": 1.0}
    made = make_signal("model", **start)
    history = [{"stage": "train", "epoch": 1}]
    return make_evidence(signals=[made, *looks], history=history)


def test_collapsed_features() -> None:
    """Flat at the start, levelled by the second epoch, loss at chance: log 1's deep head."""
    looks = [
        make_look(1, loss=2.32, layers=flat(0.2), spread=0.02),
        make_look(2, loss=2.303, layers=flat(0.02), spread=0.0006),
    ]
    (finding,) = findings("collapsed_features", collapse(*looks, hidden=0.048))
    assert (finding.severity, finding.epoch) == ("fatal", 2)
    both, *alone = finding.remedies
    assert both == ["model.init=kaiming", "dataset.normalise=dataset"]
    assert alone == [["model.init=kaiming"], ["dataset.normalise=dataset"]]


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
    look = make_look(2, loss=loss, layers=flat(now), spread=spread, update=update)
    assert findings("collapsed_features", collapse(look, hidden=start, batch_norms=norms)) == []


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
    look = make_look(3, loss=float("nan"), layers=layers, spread=0.1)
    look["parameters"][0]["gradient_rms"] = float("nan")
    evidence = make_evidence(signals=[look], history=[{"stage": "train"}])
    assert findings("non_finite_layer", evidence) == []


# Gradients.


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


# Batch norm.


@pytest.mark.parametrize(("batch_size", "is_told"), [(1, True), (2, True), (4, False), (32, False)])
def test_batch_norm_of_small_batches(batch_size: int, is_told: bool) -> None:
    """Two samples are too few for it in any case; four need a sign."""
    evidence = probed(
        conv_net(norm=True), procedure=training(batch_size=batch_size), signals=settled(1.0, 1.1)
    )
    assert bool(findings("batch_norm_small_batch", evidence)) == is_told
    without = probed(
        conv_net(), procedure=training(batch_size=batch_size), signals=settled(1.0, 1.1)
    )
    assert findings("batch_norm_small_batch", without) == []


def settled(train_loss: float, eval_loss: float) -> list[dict[str, Any]]:
    return [
        make_look(epoch, loss=train_loss, layers=flat(0.5), spread=0.5, probe_loss=eval_loss)
        for epoch in (2, 3)
    ]


def test_batch_norm_of_few_with_a_sign() -> None:
    """Batches of four whose eval-mode loss is three times that of training, twice in a row."""
    config = training(batch_size=4)
    evidence = probed(conv_net(norm=True), procedure=config, signals=settled(0.5, 1.5))
    assert findings("batch_norm_small_batch", evidence)


class Stuck(nn.BatchNorm2d):
    """Stays in the mode it is in."""

    def train(self, mode: bool = True) -> Stuck:
        return self


def stuck(mode: bool) -> nn.Module:
    model = conv_net(norm=True)
    model[1] = Stuck(32)
    model[1].training = mode
    return model


def test_batch_norm_that_does_not_train() -> None:
    """A norm that stays in eval mode is named, unless its weights were trained before."""
    (finding,) = findings("batch_norm_mode", probed(stuck(False)))
    assert "eval mode in training" in finding.sentence
    pretrained = {"_target_": "expkit.models.timm_model.TimmModel", "pretrained": True}
    assert findings("batch_norm_mode", probed(stuck(False), model=pretrained)) == []


def test_batch_norm_that_does_not_evaluate() -> None:
    """A norm that stays in training mode mixes samples: it is the root of that."""
    evidence = probed(stuck(True))
    (finding,) = findings("batch_norm_mode", evidence)
    assert "training mode in evaluation" in finding.sentence
    assert findings("samples_mixed", evidence)


def test_batch_norm_whose_averages_lag() -> None:
    """Learnt in training mode and hardly so in eval mode, at two looks in a row."""
    evidence = probed(conv_net(norm=True), signals=settled(0.2, 4.0))
    (finding,) = findings("batch_norm_mode", evidence)
    assert finding.evidence == {"eval_mode_loss": 4.0, "train_loss": 0.2}
    averaged = training(ema_decay=0.999)
    evidence = probed(conv_net(norm=True), signals=settled(0.2, 4.0), procedure=averaged)
    assert findings("batch_norm_mode", evidence) == []


# Gates.


def test_failed_gate() -> None:
    """The gate's own reason is told; one that was still falling is given more steps."""
    result = StageResult("overfit_1", False, "1 sample not learnt in 8 steps", "OverfitGate")
    stuck = [{"stage": "overfit_1", "epoch": i, "train/loss": 2.3} for i in range(1, 9)]
    config = {"overfit_1": {"_target_": "expkit.procedures.overfit.OverfitGate"}}
    evidence = make_evidence(stages=[result], history=stuck, procedure=config)
    (finding,) = findings("gate_failed", evidence)
    assert finding.remedies == [["optimizer.lr=0.0001"], ["optimizer.lr=0.01"]]
    falling = [{**line, "train/loss": 1 / line["epoch"]} for line in stuck]
    evidence = make_evidence(stages=[result], history=falling, procedure=config)
    (finding,) = findings("gate_failed", evidence)
    assert finding.remedies == [["procedure.overfit_1.max_steps=16"]]
