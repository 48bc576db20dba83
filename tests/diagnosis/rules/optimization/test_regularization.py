"""Weight decay that leaves no weights, and dropout that leaves no signal."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_curves import make_course, make_gate, make_model_record

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding

ADAMW = {"_target_": "torch.optim.AdamW", "lr": 0.001, "weight_decay": 10.0}
START = make_model_record("train")  # weights of 0.1


def find(rule: str, evidence: Evidence) -> list[Finding]:
    return list(load_rules()[rule].find(evidence))


def test_weights_that_are_gone_at_chance() -> None:
    """A hundredth of them is left after two epochs."""
    curves = make_course([2.3, 2.303], weights=0.001, optimizer=ADAMW, signals=[START])
    (found,) = find("weight_decay_crushes", curves)
    assert found.severity == "fatal"
    assert found.evidence["fraction_left"] == pytest.approx(0.01)
    assert found.remedies[0] == ["optimizer.weight_decay=0.01"]


def test_weights_that_shrink_and_learn() -> None:
    """That is what weight decay is for; and without it something else shrinks them."""
    learning = make_course([2.3, 1.2], weights=0.001, optimizer=ADAMW, signals=[START])
    assert not find("weight_decay_crushes", learning)
    without = make_course([2.3, 2.303], weights=0.001, signals=[START])
    assert not find("weight_decay_crushes", without)
    standing = make_course([2.3, 2.303], weights=0.08, optimizer=ADAMW, signals=[START])
    assert not find("weight_decay_crushes", standing)


def test_weights_that_a_gate_has_lost() -> None:
    """Beside those that the preflight saw; one that passed has lost nothing that it needed."""
    gate = make_gate(
        [2.3] * 500, signals=[make_model_record(), make_model_record("overfit_10", 500)]
    )
    assert not find("weight_decay_crushes", decayed(gate))
    after = make_model_record("overfit_10", 500, weight_rms=0.001)
    gate = make_gate([2.3] * 500, signals=[make_model_record(), after])
    (found,) = find("weight_decay_crushes", decayed(gate))
    assert found.stage == "overfit_10"
    passed = make_gate([2.3] * 500, passed=True, signals=[make_model_record(), after])
    assert not find("weight_decay_crushes", decayed(passed))


def decayed(evidence: Evidence) -> Evidence:
    config = {**evidence.config, "optimizer": ADAMW}
    return Evidence(
        config,
        evidence.metadata,
        history=evidence.history,
        signals=evidence.signals,
        stages=evidence.stages,
    )


DROPOUT = {"_target_": "expkit.models.conv.ConvNet", "dropout": 0.9}


def regularized(loss: float, probe_loss: float, **config: Any) -> Evidence:
    return make_course([loss] * 6, probe_loss=probe_loss, **{"model": DROPOUT, **config})


def test_dropout_that_leaves_nothing_to_learn() -> None:
    """At chance with dropout and without it."""
    (found,) = find("regularization_too_strong", regularized(2.3, 2.2))
    assert found.remedies == [["model.dropout=0.2"]]


def test_dropout_that_hides_what_is_learnt() -> None:
    """A high loss in training and a low one without dropout: strong, and sound."""
    assert not find("regularization_too_strong", regularized(2.0, 0.5))


def test_usual_dropout_is_not_to_blame() -> None:
    """What is stuck under 0.5 is stuck for another reason; and three epochs prove nothing."""
    usual = {**DROPOUT, "dropout": 0.5}
    assert not find("regularization_too_strong", regularized(2.3, 2.2, model=usual))
    assert not find("regularization_too_strong", make_course([2.3] * 3, model=DROPOUT))


@pytest.mark.parametrize(
    ("transform", "remedy"),
    [
        ({"std": 5.0, "p": 1.0}, "augment.transforms.it.std=0.02"),
        ({"fraction": 0.9, "p": 1.0}, "augment.transforms.it.fraction=0.1"),
        ({"std": 5.0, "p": 0.1}, None),
        ({"std": 0.02}, None),
    ],
)
def test_noise_that_leaves_nothing_to_see(transform: dict[str, float], remedy: str | None) -> None:
    """Five times the range from black to white, or nine of ten lines; in a few images, none."""
    augment = {"transforms": {"it": {"_target_": "noise", **transform}}}
    plain = {"_target_": "expkit.models.conv.ConvNet"}
    found = find("regularization_too_strong", regularized(2.3, 2.3, model=plain, augment=augment))
    assert [each.remedies for each in found] == ([] if remedy is None else [[[remedy]]])


def test_augmentation_that_leaves_next_to_nothing() -> None:
    """At 2.2 of ln 10 with it, at 0.4 without: few steps teach. Half of that gap is mixup's."""
    augment = {"transforms": {"blank": {"_target_": "blank"}}, "mixup_alpha": 0.0}
    curves = make_course([2.2] * 12, probe_loss=0.4, augment=augment)
    (found,) = find("regularization_too_strong", curves)
    assert found.remedies == [["~augment.transforms.blank"]]
    assert not find("regularization_too_strong", make_course([2.2] * 9, probe_loss=0.4))
    assert not find("regularization_too_strong", make_course([1.2] * 12, probe_loss=0.4))
    assert not find("regularization_too_strong", make_course([2.2] * 12, probe_loss=2.1))
    less = make_course([2.2] * 12, probe_loss=1.4, augment=augment)
    assert find("regularization_too_strong", less)
    worse = make_course([9.5] * 12, probe_loss=6.9, augment=augment)
    assert not find("regularization_too_strong", worse)  # without it nothing is learnt either


def test_what_no_setting_regularizes_is_not_regularized() -> None:
    """A gap between the losses in and out of training may be the steps'; dropout may be hidden."""
    plain = {"transforms": {}, "mixup_alpha": 0.0}
    losses: dict[str, Any] = {"probe_loss": 0.4, "augment": plain}
    assert not find("regularization_too_strong", make_course([2.2] * 12, **losses))
    record = {**make_model_record(), "layers": [{"type": "Dropout2d"}]}
    hidden = make_course([2.2] * 12, signals=[record], **losses)
    assert find("regularization_too_strong", hidden)
    high = make_course([2.2] * 12, signals=[record], optimizer={"lr": 1.0}, **losses)
    assert not find("regularization_too_strong", high)


def failed_gate(dropout: float, gap: float, lr: float = 0.001) -> Evidence:
    record = {**make_model_record(), "train_eval_gap": gap}
    gate = make_gate([2.0] * 500, signals=[record])
    model = {"_target_": "expkit.models.conv.ConvNet", "dropout": dropout}
    config = {**gate.config, "model": model}
    config["optimizer"] = {**gate.config["optimizer"], "lr": lr}
    return Evidence(
        config, gate.metadata, history=gate.history, signals=gate.signals, stages=gate.stages
    )


def test_a_gate_behind_dropout() -> None:
    """Of 0.95, which changes the answers by 40 times their size; not of 0.5, nor at a rate of 1."""
    (found,) = find("regularization_too_strong", failed_gate(0.95, 40.0))
    assert (found.severity, found.remedies) == ("fatal", [["model.dropout=0.2"]])
    assert not find("regularization_too_strong", failed_gate(0.95, 0.1))
    assert not find("regularization_too_strong", failed_gate(0.5, 40.0))
    assert not find("regularization_too_strong", failed_gate(0.95, 40.0, lr=1.0))
