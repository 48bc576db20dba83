"""Rates that swing, that are gone too early, and that begin too high."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_curves import make_course, make_model_record

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rules.optimization.lr_schedule import swing, turns


def find(rule: str, evidence: Evidence) -> list[Finding]:
    return list(load_rules()[rule].find(evidence))


DESCENT = [2.0, 1.5, 1.2, 1.0, 0.8, 0.7]
SWINGING = [*DESCENT, 0.9, 0.7, 1.0, 0.75, 0.95, 0.7, 0.9, 0.7, 1.0]


def test_a_loss_that_swings_at_a_constant_rate() -> None:
    """For six of fifteen epochs between 0.7 and 1.0, and never below the 0.7 of before."""
    (found,) = find("learning_rate_oscillates", make_course(SWINGING, ratio=0.05))
    assert found.severity == "warning"
    assert found.remedies[0] == ["schedule=cosine"]


def test_a_swing_under_a_falling_rate_settles_by_itself() -> None:
    """Nothing is to be proposed where it is done already."""
    falling = [0.001 * 0.8**i for i in range(len(SWINGING))]
    assert not find("learning_rate_oscillates", make_course(SWINGING, rates=falling, ratio=0.05))


@pytest.mark.parametrize("scale", [0.02, 2.6])
def test_a_swing_of_what_is_learnt_or_at_chance_is_none(scale: float) -> None:
    """Around 0.02 nothing is left to settle, and around chance the rate is not the reason."""
    swinging = make_course([x * scale for x in SWINGING], ratio=0.05)
    assert not find("learning_rate_oscillates", swinging)


def test_a_noisy_descent_is_no_swing() -> None:
    """Up and down, and lower all the same."""
    losses = [2.0 * 0.9**i * (1.1 if i % 2 else 0.9) for i in range(15)]
    assert not find("learning_rate_oscillates", make_course(losses, ratio=0.05))


def test_a_swing_in_small_steps_is_noise() -> None:
    """Dropout on few samples swings alike: a step of a thousandth cannot."""
    assert not find("learning_rate_oscillates", make_course(SWINGING, ratio=0.001))
    wide = make_course(SWINGING, ratio=0.05, signals=[make_model_record(weight_rms=0.01)])
    assert find("learning_rate_oscillates", wide)  # 0.001 is ten times what should do
    usual = make_course(SWINGING, ratio=0.05, signals=[make_model_record()])
    assert not find("learning_rate_oscillates", usual)


def test_swing_and_turns_by_hand() -> None:
    """1 and 3 lie 1 from their mean 2; of three inner epochs of 1, 3, 1, 2, 3 two turn."""
    assert swing([1.0, 3.0]) == 0.5
    assert turns([1.0, 3.0, 1.0, 2.0, 3.0]) == pytest.approx(2 / 3)


def crushed(losses: list[float], **options: Any) -> Evidence:
    """A tenth of the rate from epoch to epoch."""
    rates = [0.001 * 0.1**i for i in range(len(losses))]
    return make_course(losses, rates=rates, **options)


def test_a_rate_that_is_gone_after_three_epochs_of_fifty() -> None:
    """A step schedule of one epoch; its steps belong further apart."""
    step = {"every_epochs": 1, "factor": 0.1}
    (found,) = find(
        "schedule_ends_early", crushed([2.1, 1.6, 1.55, 1.55, 1.55, 1.55], schedule=step)
    )
    assert found.severity == "warning"
    assert found.evidence["useful_epochs"] == 2
    assert found.remedies[0] == ["schedule.every_epochs=16"]


def test_a_rate_that_is_gone_where_all_is_learnt() -> None:
    """A plateau schedule that has done its work."""
    assert not find("schedule_ends_early", crushed([0.5, 0.1, 0.05, 0.05, 0.05]))


def test_a_rate_that_ends_with_the_training() -> None:
    """A cosine over all of its 12 epochs is near zero in the last ones."""
    losses, rates = [2.0 * 0.9**i for i in range(12)], [1e-3] * 9 + [4e-4, 8e-6, 1e-7]
    curves = make_course(losses, rates=rates, stage={"max_epochs": 12})
    assert not find("schedule_ends_early", curves)


def test_a_rate_that_fell_since_nothing_got_better() -> None:
    """The loss stood still before the rate went: it was not the schedule."""
    losses, rates = [1.2, 1.1, *[1.0] * 8], [1e-3] * 7 + [1e-5, 1e-7, 1e-7]
    assert not find("schedule_ends_early", make_course(losses, rates=rates))


def test_a_rate_of_nothing_is_fatal() -> None:
    """But not while a warm-up from 0 may still come to something."""
    (found,) = find("schedule_ends_early", make_course([2.3, 2.3], rates=0.0))
    assert found.severity == "fatal"
    assert found.sentence == "the learning rate was 0 from first to last: 2 epochs"
    assert found.remedies == [["schedule=cosine"], ["schedule=constant"]]
    (found,) = find(
        "schedule_ends_early", make_course([2.3], rates=0.0, schedule={"every_epochs": 2})
    )
    assert found.sentence.endswith(": 1 epoch")
    assert found.remedies[0] == ["schedule.every_epochs=16"]
    warm = make_course([2.3, 2.3], rates=0.0, schedule={"warmup_epochs": 5.0})
    assert not find("schedule_ends_early", warm)


VIT = {"_target_": "expkit.models.timm_model.TimmModel", "name": "vit_small_patch16_224"}
LEAP = (2.3, *[8.0] * 19)


def test_a_transformer_that_leaps_wants_a_warm_up() -> None:
    """Thrice its start in the first steps, and in the third epoch still at chance."""
    (found,) = find("warmup_missing", make_course([2.6, 2.4, 2.3], first_losses=LEAP, model=VIT))
    assert found.remedies == [["schedule.warmup_epochs=5"]]


def test_no_warm_up_is_missed_where_there_is_one_or_none_is_needed() -> None:
    """A warm-up, a cycle that rises, a model of another kind, a quiet start, a recovery."""
    losses = [2.6, 2.4, 2.3]
    warm = {"warmup_epochs": 1.0}
    cycle = {"warmup_epochs": 0.0, "rise_fraction": 0.3}
    for schedule in (warm, cycle):
        curves = make_course(losses, first_losses=LEAP, model=VIT, schedule=schedule)
        assert not find("warmup_missing", curves)
    assert not find("warmup_missing", make_course(losses, first_losses=LEAP))
    assert not find("warmup_missing", make_course(losses, model=VIT))
    learning = make_course([2.6, 1.9, 1.2], first_losses=LEAP, model=VIT)
    assert not find("warmup_missing", learning)


@pytest.mark.parametrize(
    ("rate", "losses", "count"),
    [
        (0.02, [2.3, 2.2, 1.8], 1),
        (0.002, [2.3, 2.2, 1.8], 0),  # a usual rate
        (0.02, [2.3, 2.2, 1.0], 0),  # it learns
        (0.02, [1.9, 1.9, 1.8], 0),  # the first epoch taught something
    ],
)
def test_a_transformer_set_back_by_a_rate_out_of_all_usual(
    rate: float, losses: list[float], count: int
) -> None:
    """A rise by half in the first steps, and not much learnt in three epochs."""
    adam = {"_target_": "torch.optim.AdamW", "lr": rate}
    rise = (2.3, *[3.6] * 19)
    curves = make_course(
        losses,
        first_losses=rise,
        model=VIT,
        optimizer=adam,
        rates=rate,
        signals=[make_model_record("train")],
    )
    assert len(find("warmup_missing", curves)) == count


WIDE = [2.0, 1.5, 1.2, 1.0, 0.8, 0.7, 1.2, 0.6, 1.3, 0.7, 1.1, 0.6, 1.2, 0.6, 1.3]


def beside_held_out(losses: list[float], held_out: list[float]) -> Evidence:
    curves = make_course(losses, ratio=0.001)
    history = [{**r, "val/loss": v} for r, v in zip(curves.history, held_out, strict=True)]
    return Evidence(curves.config, curves.metadata, history=history, signals=curves.signals)


def test_a_wide_swing_of_both_losses_needs_no_other_proof() -> None:
    """By a third of their mean, both, however small the steps; train's alone may be its noise."""
    (found,) = find("learning_rate_oscillates", beside_held_out(WIDE, WIDE))
    assert found.remedies[0] == ["schedule=cosine"]
    assert not find("learning_rate_oscillates", beside_held_out(WIDE, [1.0] * len(WIDE)))
    settled = [*WIDE[:-6], *[0.3, 0.5, 0.2, 0.4, 0.15, 0.3]]
    assert not find("learning_rate_oscillates", beside_held_out(settled, settled))
