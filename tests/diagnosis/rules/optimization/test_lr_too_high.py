"""Learning rates too high and too low: what the loss did, and what it must not be mistaken for."""

from __future__ import annotations

import math

import pytest
from synthetic_curves import make_course, make_gate, make_model_record
from synthetic_evidence import make_signal

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding

LN10 = math.log(10)


def too_high(evidence: Evidence) -> list[Finding]:
    return list(load_rules()["learning_rate_too_high"].find(evidence))


def too_low(evidence: Evidence) -> list[Finding]:
    return list(load_rules()["learning_rate_too_low"].find(evidence))


LEAP = (2.3, 40.0, 1000.0, *[5.0] * 17)


def test_a_leap_that_stays_at_chance_is_fatal() -> None:
    """Adam at 1 on digits: up to thousands, then the loss of a constant answer for good."""
    (found,) = too_high(make_course([900.0, 15.0, 2.38, 2.4, 2.4], first_losses=LEAP))
    assert found.severity == "fatal"
    assert found.evidence["burst_ratio"] == pytest.approx(1000 / LN10)
    # more than a hundredfold, and nothing else to go by: a hundredth of 0.001
    assert found.remedies[0] == ["optimizer.lr=1e-05"]


def test_a_leap_that_is_recovered_from_is_none() -> None:
    """RMSprop at 0.01 on digits: 17 in the first steps, 0.04 in the end."""
    assert not too_high(make_course([1.8, 0.33, 0.19, 0.08], first_losses=(2.3, *[17.4] * 19)))


def test_a_leap_at_a_rate_that_should_do_has_another_cause() -> None:
    """0.001 of weights of 0.1 is a hundredth: log 3's baseline leapt for its offsets."""
    losses = [9.0, 2.4, 2.38, 2.4, 2.4]
    model = make_model_record()
    assert not too_high(make_course(losses, first_losses=LEAP, signals=[model]))
    small = make_model_record(weight_rms=0.02)
    assert too_high(make_course(losses, first_losses=LEAP, signals=[small]))


def test_a_leap_is_not_judged_before_the_third_epoch() -> None:
    """Two epochs at the level of a constant answer may be a recovery under way."""
    assert not too_high(make_course([2.6, 2.31], first_losses=(2.3, *[9.0] * 19)))


def test_a_leap_that_is_being_recovered_from_is_none() -> None:
    """SGD at 0.1 on scan lines: 5 % below a constant answer in epoch 4, 75 % in epoch 25."""
    falling = [3.7, 2.5, 2.3, 2.15]
    assert not too_high(make_course(falling, first_losses=(2.3, *[9.0] * 19)))


def test_a_plateau_without_a_leap_is_none() -> None:
    """A slow start has the same losses."""
    assert not too_high(make_course([2.31, 2.305, 2.303, 2.303, 2.302, 2.302]))


def test_a_scattering_of_tiny_batches_is_no_leap() -> None:
    """A step of one sample costs five times the mean now and then; the mean over 20 does not."""
    steps = [2.3, 11.0, *[1.0, 2.0, 3.0] * 6]
    curves = make_course([2.4, 2.3, 2.3, 2.3], first_losses=steps, stage={"batch_size": 1})
    assert not too_high(curves)


def test_losing_what_was_learnt_in_large_steps() -> None:
    """SGD at 1 with batch norm: down to 1.05, and up to 2.25."""
    losses = [1.11, 1.05, 1.32, 1.9, 2.0, 2.1, 2.25]
    (found,) = too_high(make_course(losses, ratio=0.05))
    assert found.severity == "warning"
    assert "rose again to 2.25" in found.sentence
    assert not too_high(make_course(losses, ratio=0.001))  # small steps have another cause


def test_numbers_that_overflow_after_a_rise() -> None:
    """At the first epoch already; a loss that is NaN from nowhere is not the rate's."""
    (found,) = too_high(make_course([math.nan], first_losses=(2.3, 50.0, 1e9, math.nan)))
    assert found.severity == "fatal"
    assert not too_high(make_course([math.nan], first_losses=(2.3, 2.2, math.nan)))
    assert not too_high(make_course([math.nan], first_losses=(math.nan,) * 20))


def test_a_net_that_died_in_its_first_epoch() -> None:
    """Adam at 0.01 on the puzzle never leaps: the first epoch is 1 % up, and gradients are gone."""
    losses = [2.33, 2.303, 2.303]
    model = make_model_record(weight_rms=0.02)  # a step of 0.001 is a twentieth of it
    dead = make_course(losses, gradients=0.0, signals=[model], optimizer={"lr": 0.01}, rates=0.01)
    (found,) = too_high(dead)
    # a hundredth of a weight's 0.02
    assert found.remedies[0] == ["optimizer.lr=0.0002"]
    alive = make_course(losses, signals=[model], optimizer={"lr": 0.01}, rates=0.01)
    assert not too_high(alive)
    unknown = make_course(losses, gradients=0.0, optimizer={"lr": 0.01}, rates=0.01)
    assert not too_high(unknown)  # collapsed features die alike: log 1's deep head


def test_a_gate_whose_loss_leaps() -> None:
    """A gate that fails after a leap has the rate to blame; one that passes has none."""
    sweep = make_signal("lr_range_test", "preflight", suggested=0.0002, diverged_at=0.004)
    losses = [2.3, 60.0, *[3.0] * 200]
    (found,) = too_high(make_gate(losses, signals=[sweep]))
    assert found.severity == "fatal"
    assert found.remedies == [["optimizer.lr=0.0002"]]
    assert not too_high(make_gate(losses, passed=True))
    assert not too_high(make_gate([2.3] * 200))


def test_the_lower_estimate_counts_for_adam() -> None:
    """By the range test 0.01; by weights of 0.1, of which a step is to change 1 %, 0.001."""
    signals = [make_signal("lr_range_test", "preflight", suggested=0.01, diverged_at=0.2)]
    signals.append(make_model_record())
    curves = make_course(
        [90.0, 2.4, 2.4], first_losses=LEAP, signals=signals, optimizer={"lr": 1.0}, rates=1.0
    )
    (found,) = too_high(curves)
    assert found.remedies[0] == ["optimizer.lr=0.001"]


def test_sgd_takes_the_mean_of_both_estimates() -> None:
    """By the range test 0.04; by gradients of 1 % of a weight 0.1: between, 0.06."""
    sgd = {"_target_": "torch.optim.SGD", "lr": 10.0, "momentum": 0.9}
    signals = [make_signal("lr_range_test", "preflight", suggested=0.04, diverged_at=0.8)]
    signals.append(make_model_record())
    curves = make_course(
        [90.0, 2.4, 2.4], first_losses=LEAP, signals=signals, optimizer=sgd, rates=10.0
    )
    (found,) = too_high(curves)
    assert found.remedies[0] == ["optimizer.lr=0.06"]


FLAT = [2.31, 2.308, 2.306, 2.304]


def test_steps_too_small_to_get_anywhere() -> None:
    """50 epochs of 32 steps of 1e-6 of a weight come to 0.16 %."""
    (found,) = too_low(make_course(FLAT, ratio=1e-6))
    assert found.severity == "warning"
    assert found.evidence["planned_steps"] == 1600
    assert "0.2 %" in found.sentence
    # cautiously to a third of a hundredth: 0.001 x 0.01 / 1e-6 / 3
    assert found.remedies == [["optimizer.lr=3"]]


def test_small_steps_that_get_far_enough() -> None:
    """1e-4 of a weight, 1600 times, is a sixth of it."""
    assert not too_low(make_course(FLAT, ratio=1e-4))


def test_small_steps_that_teach_are_none() -> None:
    """Fine-tuning moves pretrained weights little, and its loss falls."""
    assert not too_low(make_course([2.3, 1.9, 1.7, 1.6], ratio=1e-6))
    assert not too_low(make_course([2.3, 2.2, 2.1, 2.0], ratio=1e-6))  # 0.1 an epoch will do


def test_a_rate_that_is_warming_up_is_not_too_low() -> None:
    """In four epochs of five of warm-up nothing is told of the rate to come."""
    warm = {"warmup_epochs": 5.0}
    assert not too_low(make_course(FLAT, ratio=1e-6, schedule=warm))
    assert too_low(make_course([*FLAT, 2.303, 2.302, 2.301], ratio=1e-6, schedule=warm))


def test_a_net_without_gradients_has_another_fault() -> None:
    """Steps of nothing are not small ones."""
    assert not too_low(make_course(FLAT, ratio=0.0))


CRAWL = [2.3 - 1e-6 * i for i in range(2000)]


def test_a_gate_that_crawls() -> None:
    """2000 steps of 1e-5 of a weight come to 2 % of it: the loss falls evenly, and hardly."""
    slow = [make_model_record(weight_rms=100.0)]
    (found,) = too_low(make_gate(CRAWL, signals=slow))
    assert found.severity == "fatal"
    assert found.stage == "overfit_10"
    assert not too_low(make_gate(CRAWL, passed=True, signals=slow))


def test_a_gate_that_stalls_has_another_fault() -> None:
    """It found the constant answer in its first half, and falls no more."""
    stalled = [*(3.0 - 0.001 * i for i in range(700)), *[2.3] * 1300]
    assert not too_low(make_gate(stalled, signals=[make_model_record(weight_rms=100.0)]))


def test_a_gate_at_a_usual_rate_has_another_fault() -> None:
    """0.001 of weights of 0.1 is a hundredth a step."""
    assert not too_low(make_gate(CRAWL, signals=[make_model_record()]))
    assert not too_low(make_gate(CRAWL))


def relapsing(ratio: float, accuracies: list[float], losses: list[float]) -> Evidence:
    small = make_model_record(weight_rms=0.02)  # at rate 0.001 a step is a twentieth
    curves = make_course(losses, ratio=ratio, signals=[small])
    pairs = zip(curves.history, accuracies, strict=True)
    history = [{**record, "train/accuracy": right} for record, right in pairs]
    return Evidence(curves.config, curves.metadata, history=history, signals=curves.signals)


LOST = [0.4, 0.5, 0.6, 0.66, 0.55, 0.47, 0.5]
ROSE = [2.2, 1.9, 1.7, 1.5, 1.7, 1.8, 1.7]


def test_what_was_learnt_and_is_forgotten_again() -> None:
    """Of 1000 samples 660 right, then 470: no chance does that, but large steps do."""
    (found,) = too_high(relapsing(0.02, LOST, ROSE))
    assert found.severity == "warning"
    assert found.remedies[0] == ["optimizer.lr=0.0002"]
    assert not too_high(relapsing(0.001, LOST, ROSE))  # small steps
    wobbling = [0.4, 0.5, 0.6, 0.66, 0.63, 0.62, 0.64]
    assert not too_high(relapsing(0.02, wobbling, ROSE))
    recovered = [*ROSE[:-1], 1.4]
    assert not too_high(relapsing(0.02, LOST, recovered))


def test_a_slow_swing_is_a_relapse_between_its_heights() -> None:
    """The last three epochs are at 1.0 of ln 10, those since the best at 1.24 in the mean."""
    right = [0.4, 0.76, 0.73, 0.49, 0.54, 0.65, 0.68, 0.71]
    slow = [2.0, 0.65, 0.9, 1.8, 1.7, 1.0, 1.0, 1.0]
    (found,) = too_high(relapsing(0.02, right, slow))
    assert found.evidence["last_loss"] == 1.0
    settled = [*slow[:-3], 0.7, 0.7, 0.7]
    assert not too_high(relapsing(0.02, right, settled))


@pytest.mark.parametrize(("loss", "count"), [(28.0, 0), (3.0, 1)])
def test_answers_scaled_up_before_any_step_are_not_the_rates_doing(loss: float, count: int) -> None:
    """A first loss of 28, where saying nothing costs 2.3, is the model's; one of 3 is not."""
    start = make_signal("model", "preflight", 0, parameters=[], loss=loss, expected_loss=LN10)
    gate = make_gate([loss, 1e4, 1e8, math.nan], signals=[start])
    assert len(too_high(gate)) == count


@pytest.mark.parametrize(("weight_rms", "count"), [(0.001, 0), (0.1, 1)])
def test_weights_drawn_far_too_small_are_not_the_rates_doing(weight_rms: float, count: int) -> None:
    """Of a hundred numbers, 0.001 lets a three-hundredth through; 0.1 a third."""
    start = make_model_record(weight_rms=weight_rms, gradient_rms=1e-12)
    gate = make_gate(CRAWL, signals=[start])
    slow = {**gate.config, "optimizer": {"_target_": "torch.optim.SGD", "lr": 1e-4}}
    evidence = Evidence(
        slow, gate.metadata, history=gate.history, signals=gate.signals, stages=gate.stages
    )
    assert len(too_low(evidence)) == count


def test_a_gate_whose_weights_were_driven_off() -> None:
    """One of ten samples wrong for good, weights thrice their size, at a rate above what does."""
    losses = [2.1, 0.6, *[0.139] * 498]
    before, after = make_model_record(weight_rms=0.02), make_model_record("overfit_10", 500)
    (found,) = too_high(make_gate(losses, signals=[before, after]))
    assert (found.severity, found.stage) == ("fatal", "overfit_10")
    same = make_model_record("overfit_10", 500, weight_rms=0.022)
    assert not too_high(make_gate(losses, signals=[before, same]))
    still = [2.1, 0.6, *[0.5 * 0.99**i for i in range(498)]]
    assert not too_high(make_gate(still, signals=[before, after]))


def test_a_class_token_hides_no_rate_too_low() -> None:
    """It begins at a millionth, and any step is large beside that: the other weights tell."""
    record = make_model_record()
    token = {**record["parameters"][0], "name": "cls_token", "size": 4, "weight_rms": 1e-6}
    record = {**record, "parameters": [token, *record["parameters"]]}
    gate = make_gate([2.3 - 1e-6 * i for i in range(500)], signals=[record])
    slow = {**gate.config, "optimizer": {**gate.config["optimizer"], "lr": 1e-7}}
    (found,) = too_low(
        Evidence(
            slow, gate.metadata, history=gate.history, signals=gate.signals, stages=gate.stages
        )
    )
    assert found.evidence["update_ratio"] == pytest.approx(1e-6)
