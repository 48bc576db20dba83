"""Rules on batch norm: batches too small for it, and the wrong mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from probed_models import conv_net, flat, make_look, probed, training
from rule_findings import findings
from synthetic_evidence import make_metadata
from torch import nn

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules


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


def piled(
    *, held_out: float = 0.8, in_training: float = 0.25, val_loss: float = 14.5, **more: Any
) -> list[dict[str, Any]]:
    """The first epoch of a net that tells five classes apart in training mode alone."""
    others = (1 - in_training) / 4
    predicted = {
        "train": {"fractions": [others, others, in_training, others, others]},
        "val": {"largest_fraction": held_out, "largest_class": 2},
    }
    given = {"loss": 8.0, "probe_loss": 18.0, "step": 140, "predicted": predicted, **more}
    return [
        make_look(
            1, layers=flat(0.5), spread=0.5, **{"val/loss": val_loss, "val/accuracy": 0.2}, **given
        )
    ]


def few(signals: list[dict[str, Any]], batch_size: int = 4, lr: float = 0.01) -> Evidence:
    evidence = probed(
        conv_net(norm=True),
        procedure=training(batch_size=batch_size),
        optimizer={"_target_": "torch.optim.Adam", "lr": lr},
        signals=signals,
    )
    history = [{**each, "lr": lr, "seconds": 1.0} for each in signals]
    return replace(evidence, metadata=make_metadata((112,) * 5, (32,) * 5), history=history)


def test_few_samples_whose_eval_mode_predicts_one_class_are_told_after_an_epoch() -> None:
    """Four of five held-out predictions are one class, and a fourth of those in training mode."""
    (finding,) = findings("batch_norm_small_batch", few(piled()))
    assert finding.epoch == 1
    assert (
        "80 % of the predictions on val are 'class_2', and 25 % of those on train"
        in finding.sentence
    )
    assert finding.remedies[0][0] == "procedure.train.batch_size=32"
    assert finding.remedies[0][1].startswith("optimizer.lr=")
    (usual,) = findings("batch_norm_small_batch", few(piled(), lr=0.001))
    assert usual.remedies == [["procedure.train.batch_size=32"], ["procedure.train.batch_size=16"]]


@pytest.mark.parametrize(
    "signals",
    [
        piled(held_out=0.6),
        piled(in_training=0.6),  # training mode leans to the class, too
        piled(val_loss=3.0),  # ln 5 = 1.61 is what any net costs that begins
        piled(probe_loss=7.0),  # the training samples cost less in eval mode: val differs
        piled(step=90),  # running averages still hold their start
        [*piled(), *settled(1.0, 1.1)[:1]],  # recovered in epoch 2
    ],
)
def test_a_pile_that_may_have_another_cause_is_not_batch_norms(
    signals: list[dict[str, Any]],
) -> None:
    """Each sign is needed; and of batches of 32 no pile is due to their size."""
    assert findings("batch_norm_small_batch", few(signals)) == []
    assert findings("batch_norm_small_batch", few(piled(), batch_size=32)) == []


def test_one_class_and_its_cause_are_one_finding() -> None:
    """The symptom alone where batches are large; where they are few, the cause stands for it."""
    rules = ["batch_norm_small_batch", "predicts_one_class"]
    asked = {name: load_rules()[name] for name in rules}
    assert [each.rule for each in examine(few(piled()), asked)] == rules[:1]
    assert [each.rule for each in examine(few(piled(), 32), asked)] == rules[1:]


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
