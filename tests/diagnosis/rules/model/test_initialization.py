"""Rules on how a model starts and ends: modes, clamps, scales, numbers that are none."""

from __future__ import annotations

import dataclasses

import torch
from probed_models import NUM_CLASSES, ThenDo, conv_net, probed
from rule_findings import findings
from torch import Tensor, nn

from expkit.diagnosis.evidence import Evidence


def own_loss(evidence: Evidence) -> Evidence:
    """The same records, of a loss that the user wrote."""
    return dataclasses.replace(evidence, config={**evidence.config, "loss": {"_target_": "my.L"}})


def test_a_nan_in_a_weight() -> None:
    """The weight that holds a NaN before any step is named."""
    model = conv_net()
    with torch.no_grad():
        model[2].weight[0, 0, 0, 0] = torch.nan
    (finding,) = findings("non_finite_layer", probed(model))
    assert finding.evidence["parameters"] == ["2.weight"]


def test_a_slope_that_is_no_number() -> None:
    """The root of zero has a finite value and no finite slope."""
    model = ThenDo(conv_net(), lambda x: x + (x - x).sqrt())
    (finding,) = findings("non_finite_layer", probed(model))
    assert finding.evidence["last_parameter"] == "net.6.bias"


def test_a_clamp_far_out_is_sound() -> None:
    """A clamp at 1 keeps the loss above ln(1 + 4 / e^2) = 0.43; one at 30 keeps it from nothing."""
    (finding,) = findings(
        "probabilities_before_loss", probed(ThenDo(conv_net(), lambda x: x.clamp(-1, 1)))
    )
    assert round(finding.evidence["lowest_cross_entropy"], 2) == 0.43
    far = probed(ThenDo(conv_net(), lambda x: x.clamp(-30, 30)))
    assert findings("probabilities_before_loss", far) == []


def test_log_probabilities_with_their_own_loss() -> None:
    """log_softmax and NLLLoss are cross-entropy: neither its zero nor its slope is a fault."""
    log = own_loss(probed(ThenDo(conv_net(), lambda x: x.log_softmax(1)), nn.NLLLoss()))
    assert [findings(r, log) for r in ("loss_mismatch", "loss_settings", "initial_loss")] == [
        []
    ] * 3
    (finding,) = findings("loss_mismatch", own_loss(probed(conv_net(), nn.NLLLoss())))
    assert finding.severity == "fatal"


class Brier(nn.Module):
    """Squares, averaged over classes: small numbers, and a sound loss."""

    def forward(self, outputs_BC: Tensor, targets: Tensor) -> Tensor:
        wanted_BC = nn.functional.one_hot(targets, NUM_CLASSES)
        return (outputs_BC.softmax(1) - wanted_BC).square().mean()


def test_a_loss_of_another_scale() -> None:
    """What a unit of the loss pulls with counts, where the loss is the user's own."""
    assert findings("loss_settings", own_loss(probed(conv_net(), Brier()))) == []


def test_one_class_that_weighs_all() -> None:
    """One class of five with a thousandfold weight is 99.6 % of the loss; ninefold is 69 %."""
    evidence = probed(conv_net())
    for weight, expected in ((1000, 1), (9, 0)):
        loss = {**evidence.config["loss"], "class_weights": [weight, 1, 1, 1, 1]}
        weighted = dataclasses.replace(evidence, config={**evidence.config, "loss": loss})
        assert len(findings("loss_settings", weighted)) == expected


def test_norms_without_averages_or_with_odd_momentum() -> None:
    """No averages, averages that never move, the last batch's alone; cumulative ones are sound."""
    for options, expected in (
        ({"track_running_stats": False}, 1),
        ({"momentum": 0.0}, 1),
        ({"momentum": 1.0}, 1),
        ({"momentum": None}, 0),
    ):
        model = conv_net(norm=True)
        model[1] = nn.BatchNorm2d(32, **options)
        assert len(findings("batch_norm_mode", probed(model))) == expected, options


def test_a_model_that_draws_in_evaluation() -> None:
    """functional.dropout is on unless it is told of the mode."""
    random = ThenDo(conv_net(), lambda x: nn.functional.dropout(x, 0.5))
    (finding,) = findings("batch_norm_mode", probed(random))
    assert finding.evidence["repeat_gap"] > 0.1


def test_answers_times_zero() -> None:
    """Every gradient is exactly zero; with a last layer of zeros its own gradient is not."""
    (finding,) = findings("vanishing_gradients", probed(ThenDo(conv_net(), lambda x: x * 0)))
    assert finding.severity == "fatal"
    zeros = conv_net()
    nn.init.zeros_(zeros[-1].weight)
    assert findings("vanishing_gradients", probed(zeros)) == []


class AlongTheBatch(nn.Module):
    """A class token whose attention takes the batch for the tokens: it meets itself alone."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=batch_first)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, NUM_CLASSES)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        tokens_BTD = self.patches(images_BCHW).flatten(2).transpose(1, 2)
        tokens_BTD = torch.cat([torch.ones_like(tokens_BTD[:, :1]), tokens_BTD], 1)
        tokens_BTD = self.norm(tokens_BTD + self.attention(tokens_BTD, tokens_BTD, tokens_BTD)[0])
        answers_BC: Tensor = self.head(tokens_BTD[:, 0])
        return answers_BC


def test_attention_along_the_batch() -> None:
    """Seen within the net, where the answers themselves hang on no image at all."""
    (finding,) = findings("samples_mixed", probed(AlongTheBatch(batch_first=False)))
    assert finding.severity == "fatal"
    assert findings("samples_mixed", probed(AlongTheBatch(batch_first=True))) == []


def test_draws_that_no_seed_repeats_are_left_to_another_rule() -> None:
    """Where the same seeded step gave two results it is no forgotten mode that draws."""
    net = ThenDo(conv_net(), lambda x: x + torch.randn_like(x))
    evidence = probed(net, device={"deterministic": True})
    assert len(findings("batch_norm_mode", evidence)) == 1
    evidence.of_kind("model")[0]["repeats"] = False
    assert findings("batch_norm_mode", evidence) == []
