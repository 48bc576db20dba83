"""Rules on batch norm: batches too small for it, and the wrong mode."""

from __future__ import annotations

from typing import Any

import pytest
from probed_models import conv_net, flat, make_look, probed, training
from rule_findings import findings
from torch import nn


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


class AwakeDropout(nn.Dropout):
    """Stays in training mode."""

    def train(self, mode: bool = True) -> AwakeDropout:
        return self


def test_a_dropout_that_does_not_evaluate() -> None:
    """The layer that draws in evaluation is named."""
    model = conv_net()
    model.insert(5, AwakeDropout(0.5))
    (finding,) = findings("batch_norm_mode", probed(model))
    assert "draws at random in evaluation" in finding.sentence
    assert finding.cause == "5 stay in training mode"


def test_norms_of_both_odd_momenta() -> None:
    """One never moves, another keeps its last batch alone: what momentum means is explained."""
    model = conv_net(norm=True)
    model[1] = nn.BatchNorm2d(32, momentum=0.0)
    model.insert(5, nn.BatchNorm2d(32, momentum=1.0))
    (finding,) = findings("batch_norm_mode", probed(model))
    assert "never move from 0 and 1: its momentum is 0" in finding.sentence
    assert "fraction of the new batch" in finding.cause
