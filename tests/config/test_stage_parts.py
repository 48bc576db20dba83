"""A stage's own optimizer, schedule and loss: how words and YAMLs give them."""

from __future__ import annotations

from typing import Any

import pytest

from expkit.config.stage_parts import as_typed, config_of_stage, set_aside, write_out
from expkit.errors import UserError

TYPED = [
    "procedure.sam.optimizer=sgd",
    "procedure.sam.optimizer.lr=3e-4",
    "+procedure.sam.optimizer.amsgrad=true",
    "procedure.sam.optimizer.base=sgd",
    "procedure.sam.optimizer.base.momentum=0.5",
    "procedure.sam.max_epochs=3",
    "optimizer.lr=0.1",
    "optimizer.base.momentum=0.5",
    "model=resnet18",
]
ADAM = {"_target_": "torch.optim.Adam", "lr": 0.001, "betas": [0.9, 0.999]}


def config(**stage: Any) -> dict[str, Any]:
    """A config of one training stage, as Hydra would compose it."""
    target = "expkit.runner.stages.training.Training"
    stages = {"train": {"_target_": target, "optimizer": None, **stage}}
    return {"optimizer": dict(ADAM), "procedure": stages}


def own(**stage: Any) -> Any:
    return write_out(config(**stage))["procedure"]["train"]["optimizer"]


def test_words_that_stand_aside_are_recorded_as_they_were_typed() -> None:
    """And a word that stands aside already is left alone."""
    aside = set_aside(TYPED)
    assert [word for word in aside if word not in TYPED] == [
        "++procedure.sam._changed_.optimizer.lr=3e-4",
        "++procedure.sam._added_.optimizer.amsgrad=true",
        "++procedure.sam._changed_.optimizer.base._choice_=sgd",
        "++procedure.sam._changed_.optimizer.base.momentum=0.5",
        "++_changed_.optimizer.base.momentum=0.5",
    ]
    assert as_typed(aside) == TYPED
    assert set_aside(aside) == aside


def test_a_stage_without_its_own_has_the_runs() -> None:
    whole = write_out(config())
    assert whole["procedure"]["train"]["optimizer"] is None
    assert config_of_stage(whole, "train")["optimizer"] == ADAM


def test_a_name_and_a_key_make_a_whole_part() -> None:
    """The name by word or YAML, the key on top; the other keys are the choice's."""
    made = own(optimizer="sgd", _changed_={"optimizer": {"lr": 3e-4}})
    assert made["_target_"] == "torch.optim.SGD"
    assert (made["lr"], made["momentum"]) == (3e-4, 0.9)
    whole = write_out(config(optimizer=made))
    assert config_of_stage(whole, "train")["optimizer"] == made


@pytest.mark.parametrize(
    "stage", [{"optimizer": {"lr": 3e-4}}, {"_changed_": {"optimizer": {"lr": 3e-4}}}]
)
def test_a_key_alone_is_the_runs_part_with_another_value(stage: dict[str, Any]) -> None:
    assert own(**stage) == {**ADAM, "lr": 3e-4}


def test_what_a_choice_leaves_out_is_added_with_a_plus_alone() -> None:
    assert own(_added_={"optimizer": {"amsgrad": True}}) == {**ADAM, "amsgrad": True}
    with pytest.raises(UserError, match="no key 'procedure\\.train"):
        own(_changed_={"optimizer": {"amsgrad": True}})


@pytest.mark.parametrize(
    ("stage", "nearest"),
    [
        ({"optimizer": "sdg"}, "sgd"),
        ({"optimizer": "Adam-W"}, "adamw"),
        ({"_changed_": {"optimizer": {"learning_rate": 1}}}, "procedure.train.optimizer.lr"),
        ({"_changed_": {"optimizer": {"bets": 1}}}, "procedure.train.optimizer.betas"),
    ],
)
def test_a_misspelt_word_is_refused_with_the_nearest(stage: dict[str, Any], nearest: str) -> None:
    with pytest.raises(UserError) as refused:
        own(**stage)
    assert refused.value.details["nearest"] == nearest


def test_the_base_of_an_optimizer_is_made_whole_without_a_learning_rate_of_its_own() -> None:
    """By word at the run's and at a stage's, with keys of its own; it cannot have a base again."""
    changed = {"optimizer": {"base": {"_choice_": "sgd", "momentum": 0.5}}}
    base = own(optimizer="sam", _changed_=changed)["base"]
    assert (base["_target_"], base["momentum"]) == ("torch.optim.SGD", 0.5)
    assert "lr" not in base
    whole = write_out({"optimizer": {"_target_": "x", "lr": 1, "base": "adam"}})
    assert whole["optimizer"]["base"]["_target_"] == "torch.optim.Adam"
    with pytest.raises(UserError, match="built on another optimizer itself"):
        own(optimizer={"_target_": "x", "base": "sam"})


def test_a_key_of_a_stage_that_is_not_there_is_refused_with_the_nearest() -> None:
    """Hydra would have made the stage."""
    given = config()
    given["procedure"]["trian"] = {"_changed_": {"optimizer": {"lr": 1}}}
    with pytest.raises(UserError, match="no stage 'trian'") as refused:
        write_out(given)
    assert refused.value.details["nearest"] == "train"
