"""Steps that pile up, that are cut, and that too few samples lead; momenta; numbers beyond fp16."""

from __future__ import annotations

import math
from typing import Any

import pytest
from synthetic_curves import make_course, make_model_record
from synthetic_evidence import make_evidence, make_signal

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding


def find(rule: str, evidence: Evidence) -> list[Finding]:
    return list(load_rules()[rule].find(evidence))


def test_gradients_that_stay_are_fatal() -> None:
    """Seen by the range test before training, or at a look."""
    sweep = make_signal("lr_range_test", "preflight", gradients_left=True, suggested=None)
    (found,) = find("gradients_accumulate", make_evidence(signals=[sweep]))
    assert found.severity == "fatal"
    assert found.stage == "preflight"
    (found,) = find("gradients_accumulate", make_course([2.3], signal={"gradients_left": True}))
    assert found.epoch == 1
    assert not find("gradients_accumulate", make_course([2.3]))


def test_gradients_of_what_no_step_moves_stay_by_nature() -> None:
    """An optimizer that misses a weight cannot clear it, which is another fault."""
    missed = make_model_record("train", optimised=False)
    curves = make_course([2.3], signal={"gradients_left": True}, signals=[missed])
    assert not find("gradients_accumulate", curves)


SGD = {"_target_": "torch.optim.SGD", "lr": 0.01, "momentum": 0.9}
CUT = {"clipped_fraction": 1.0}


def clipped(bound: float, losses: tuple[float, ...] = (2.2, 2.1, 2.0), **options: Any) -> Evidence:
    """Gradients have norm 1 throughout."""
    return make_course(
        losses, **{"optimizer": SGD, "signal": CUT, **options}, stage={"max_gradient_norm": bound}
    )


def test_every_step_cut_to_a_hundredth() -> None:
    """With plain steps that is a rate of a hundredth: a warning while little is learnt."""
    (found,) = find("clipping_always_active", clipped(0.01))
    assert found.severity == "warning"
    assert found.remedies[0] == ["procedure.train.max_gradient_norm=2"]
    (found,) = find("clipping_always_active", clipped(0.01, (1.0, 0.3, 0.1)))
    assert found.severity == "info"


def test_clipping_that_guards_is_none() -> None:
    """Half of the gradient is left, or some steps are whole, or there is no bound, or no time."""
    assert not find("clipping_always_active", clipped(0.5))
    assert not find("clipping_always_active", clipped(0.01, signal={"clipped_fraction": 0.5}))
    assert not find("clipping_always_active", make_course([2.2, 2.1, 2.0], optimizer=SGD))
    assert not find("clipping_always_active", clipped(0.01, (2.2, 2.1)))


def test_adam_is_slowed_only_where_eps_counts() -> None:
    """A norm of 1e-7 over 110 numbers leaves 1e-8 of each: no more than eps."""
    adam = {"_target_": "torch.optim.Adam", "lr": 0.001, "eps": 1e-8}
    for bound, severity in ((0.01, "info"), (1e-7, "warning")):
        curves = clipped(bound, optimizer=adam, signals=[make_model_record()])
        (found,) = find("clipping_always_active", curves)
        assert found.severity == severity


NOISY = {"step_loss": {"mean": 2.3, "std": 0.5, "max": 4.0}}


def few_samples(losses: list[float], **options: Any) -> Evidence:
    """SGD at 0.1 on batches of 2; by its gradients 0.01 would do."""
    given: dict[str, Any] = {
        "stage": {"batch_size": 2},
        "optimizer": {**SGD, "lr": 0.1},
        "rates": 0.1,
        "signal": NOISY,
        "signals": [make_model_record(gradient_rms=0.01)],
    }
    return make_course(losses, **{**given, **options})


STUCK = [2.3] * 10  # 320 steps


def test_few_samples_at_a_rate_for_many() -> None:
    """Stuck after 320 noisy steps."""
    (found,) = find("batch_too_small_for_lr", few_samples(STUCK))
    assert found.remedies[0] == ["procedure.train.batch_size=32"]


def test_few_samples_that_predict_one_class() -> None:
    """Most held-out predictions of the last epoch are one class: its name stands in the finding."""
    predicted = {"val": {"largest_fraction": 0.75, "largest_class": 3}}
    (found,) = find(
        "batch_too_small_for_lr", few_samples(STUCK, signal={**NOISY, "predicted": predicted})
    )
    assert found.sentence.endswith("stays at 2.3; 75 % of the predictions on val are 'class_3'")


def test_few_samples_that_are_enough() -> None:
    """They learn, or their rate is low, or they are many, or their steps do not scatter."""
    learning = [2.3 * 0.8**i for i in range(10)]
    assert not find("batch_too_small_for_lr", few_samples(learning))
    low = few_samples(STUCK, rates=0.001)
    assert not find("batch_too_small_for_lr", low)
    many = few_samples(STUCK, stage={"batch_size": 2, "batches_per_step": 16})
    assert not find("batch_too_small_for_lr", many)
    quiet = {"step_loss": {"mean": 2.3, "std": 0.05, "max": 2.4}}
    assert not find("batch_too_small_for_lr", few_samples(STUCK, signal=quiet))
    assert not find("batch_too_small_for_lr", few_samples([2.3] * 9))


def test_a_high_rate_that_did_not_burst_is_noise_of_the_batch() -> None:
    """Ten times the usual, and the loss scatters where it began."""
    high = few_samples(STUCK, optimizer={**SGD, "lr": 1.0}, rates=1.0)
    assert find("batch_too_small_for_lr", high)


def test_a_rate_too_high_for_any_batch_is_not_the_batch() -> None:
    """SGD at 10 would burst with any."""
    high = few_samples(STUCK, optimizer={**SGD, "lr": 10.0}, rates=10.0)
    assert not find("batch_too_small_for_lr", high)


@pytest.mark.parametrize(
    ("optimizer", "remedy"),
    [
        ({"_target_": "torch.optim.SGD", "momentum": 0.999}, "optimizer.momentum=0.9"),
        ({"betas": [0.999, 0.9]}, "optimizer.betas=[0.9,0.999]"),
        ({"betas": [0.9, 0.1]}, "optimizer.betas=[0.9,0.999]"),
        ({"betas": [0.95, 0.93]}, "optimizer.betas=[0.9,0.999]"),
        ({"eps": 1.0}, "optimizer.eps=1e-8"),
    ],
)
def test_momenta_out_of_reason(optimizer: dict[str, Any], remedy: str) -> None:
    """A thousand steps of memory, a second beta that forgets, an eps above all gradients."""
    config = {"_target_": "torch.optim.Adam", "lr": 0.001, **optimizer}
    (found,) = find("momentum_out_of_reason", make_evidence(optimizer=config))
    assert found.severity == "warning"
    assert found.remedies == [[remedy]]
    (found,) = find("momentum_out_of_reason", make_course([1.0, 0.05], optimizer=config))
    assert found.severity == "info"


@pytest.mark.parametrize(
    "optimizer",
    [
        {"_target_": "torch.optim.SGD", "momentum": 0.95},
        {"_target_": "torch.optim.SGD"},
        {"_target_": "torch.optim.AdamW", "betas": [0.9, 0.95], "eps": 1e-6},
        {"_target_": "torch.optim.Adam", "betas": [0.0, 0.9]},
        {"_target_": "pytorch_optimizer.Lion", "betas": [0.95, 0.9]},
        {"_target_": "pytorch_optimizer.Ranger", "betas": [0.95, 0.999], "eps": 1e-5},
        {"_target_": "mine.Optimizer", "momentum": 5, "betas": [9, 9]},
    ],
)
def test_momenta_within_reason(optimizer: dict[str, Any]) -> None:
    """Published settings, Lion's own order, and an optimizer that nobody here knows."""
    assert not find("momentum_out_of_reason", make_evidence(optimizer={**optimizer, "lr": 0.001}))


FP16 = {"precision": "fp16"}


def test_fp16_that_overflows_from_where_it_was() -> None:
    """No rise before: the range ended. A rise would be the rate's, and bf16 would end too."""
    bad = {"first_non_finite_step": 3}
    (found,) = find("half_precision_range", make_course([math.nan], signal=bad, device=FP16))
    assert found.severity == "fatal"
    assert found.remedies[0] == ["device.precision=bf16"]
    risen = make_course([math.nan], first_losses=(2.3, 1e5), signal=bad, device=FP16)
    assert not find("half_precision_range", risen)
    assert not find("half_precision_range", make_course([math.nan], signal=bad))


def test_fp16_that_skips_step_after_step() -> None:
    """Eight of 32 in the second epoch; in the first the scaler finds its scale."""
    skipping = {"loss_scale": 0.25, "skipped_steps": 8}
    (found,) = find("half_precision_range", make_course([2.3, 2.2], signal=skipping, device=FP16))
    assert found.severity == "warning"
    assert found.evidence["skipped_fraction"] == 0.25
    assert not find("half_precision_range", make_course([2.3], signal=skipping, device=FP16))
    sound = {"loss_scale": 32768.0, "skipped_steps": 1}
    assert not find("half_precision_range", make_course([2.3, 2.2], signal=sound, device=FP16))
