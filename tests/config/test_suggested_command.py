"""Advice is printed as one whole command: copied as it stands, it is taken."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from expkit.commands import train
from expkit.config.compose import compose_and_run
from expkit.config.multirun.hydra_task import Outcome, Task
from expkit.config.run_request import Request
from expkit.config.suggested_command import refuse_flags
from expkit.errors import UserError

FOLDER = "dataset=image_folder dataset.root=images"

# what was typed, and the whole command that the screen is to propose
WHOLE = [
    (f"{FOLDER} epochs=5", f"{FOLDER} procedure.train.max_epochs=5"),
    (
        f"{FOLDER} image_size=32 epochs=5 lr=0.01",  # all of them at once, not one by one
        f"{FOLDER} dataset.size=32 procedure.train.max_epochs=5 optimizer.lr=0.01",
    ),
    ("dataset=digits epochs=5,10 -m", "-m dataset=digits procedure.train.max_epochs=5,10"),
    ("dataset=digits seed=1,2", "-m dataset=digits seed=1,2"),
    ("dataset=digits model=resnet34", "dataset=digits model=timm model.name=resnet34"),
    (
        "dataset=digits model=simple_conv pretrained=false",
        "dataset=digits model=resnet18 model.pretrained=false",
    ),
    (
        "dataset=digits model.norm=batch pretrained=false",  # which resnet18 does not have
        "dataset=digits model=resnet18 model.pretrained=false",
    ),
    ("dataset=digts dataset.limit=5", "dataset.limit=5 dataset=digits"),
    ("dataset=digits dataset.num_folds=4", "dataset=digits dataset.num_folds=4 dataset.fold=0"),
    ("dataset=digits hydra.run.dir=there", "dataset=digits output_dir=there"),
    (
        "procedure=two_stage dataset=digits procedure.train.max_epochs=2",
        "procedure=two_stage dataset=digits procedure.binary.max_epochs=2",
    ),
    ("dataset=digits resnet18", "dataset=digits model=resnet18"),
    (
        "dataset=digits --epochs 5 --lr=0.1",
        "dataset=digits procedure.train.max_epochs=5 optimizer.lr=0.1",
    ),
    ("--seed 3 -m --batch-size 8,16", "-m seed=3 procedure.train.batch_size=8,16"),
    ("images seed=3", f"seed=3 {FOLDER}"),
]


@pytest.mark.broad(4)
@pytest.mark.parametrize(("typed", "proposed"), WHOLE)
def test_advice_keeps_the_other_words_and_is_taken_as_it_stands(
    typed: str, proposed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them the default dataset would be trained in place of the user's."""
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["expkit"])
    monkeypatch.setattr(train, "Task", lambda *_: accepting())
    with pytest.raises(UserError) as refused:
        run(shlex.split(typed))
    advice = str(refused.value.details["do"]).splitlines()[0].partition("   (")[0]
    assert advice == f"expkit train {proposed}"
    run(shlex.split(advice)[2:])  # is not refused


def accepting() -> Task:
    """What takes each request that is composed, and runs nothing."""

    def accept_all(requests: Sequence[Request]) -> list[Outcome]:
        return [Outcome(int(not each.config.name), None) for each in requests]

    return Task(
        lambda each: int(not each.config.name), lambda each: accept_all([each])[0], accept_all
    )


def run(words: Sequence[str]) -> None:
    GlobalHydra.instance().clear()
    train.main(words)


def test_a_sentence_or_a_page_of_help_is_left_as_it_is() -> None:
    from expkit.config.suggested_command import with_whole_command

    for fix in ("leave it out", "expkit train --help", "it's no command: expkit train 'x"):
        error = UserError("wrong", where="a=1", fix=fix)
        assert with_whole_command(error, ["a=1", "b=2"]).details["do"] == fix


def test_a_marked_place_is_filled_with_what_was_typed() -> None:
    """`...` stands for the words of the user, which are known."""
    from expkit.config.suggested_command import with_whole_command

    error = UserError("no", where="loss=mse", fix="EXPKIT_TRACEBACK=1 expkit train ...   (where)")
    filled = with_whole_command(error, ["dataset=digits", "seed=2"]).details["do"]
    assert filled == "EXPKIT_TRACEBACK=1 expkit train dataset=digits seed=2   (where)"
    assert with_whole_command(error, ["loss=mse", "seed=2"]).details["do"] == (
        "EXPKIT_TRACEBACK=1 expkit train loss=mse seed=2   (where)"
    )


def test_a_flags_value_is_no_key() -> None:
    """`--package model` took `model=mine` from the command that was to show its keys."""
    from expkit.config.suggested_command import with_whole_command

    fix = "expkit train ... --cfg job --package model   (shows all)"
    error = UserError("no", where="model._target_=a.B", fix=fix)
    assert with_whole_command(error, ["model=mine", "seed=2"]).details["do"] == (
        "expkit train model=mine seed=2 --cfg job --package model   (shows all)"
    )


def test_composing_alone_still_names_the_words() -> None:
    GlobalHydra.instance().clear()
    with pytest.raises(UserError) as refused:
        compose_and_run(["dataset=digits", "epochs=3"], accepting())
    assert refused.value.details["do"] == "expkit train procedure.train.max_epochs=3"


def test_another_command_keeps_its_own_name_and_its_run() -> None:
    """`expkit evaluate RUN dataset=typo` was answered by `expkit train -m dataset=...`."""
    from expkit.config.compose import change_parts
    from expkit.config.suggested_command import with_whole_command

    GlobalHydra.instance().clear()
    with pytest.raises(UserError) as refused:
        change_parts({"dataset": {}, "criteria": {}}, ["dataset=digts", "dataset.limit=3"])
    words = ["last", "dataset=digts", "dataset.limit=3", "--known-classes-only"]
    whole = with_whole_command(refused.value, words, ("expkit", "evaluate"))
    assert whole.details["do"] == (
        "expkit evaluate last dataset.limit=3 --known-classes-only dataset=digits"
    )


def test_another_run_to_be_like_takes_the_place_of_the_one_named() -> None:
    """An exported model names the run that it is of: not `--like exported --like RUN`."""
    from expkit.config.suggested_command import with_whole_command

    error = UserError("it was exported", fix="expkit train --like mine")
    command = ("expkit", "train", "--like", "exported")
    whole = with_whole_command(error, ["name=again"], command)
    assert whole.details["do"] == "expkit train name=again --like mine"


@pytest.mark.parametrize("words", [["--foo"], ["--resume", "last"], ["--epochs=3", "--foo"]])
def test_a_flag_that_is_no_setting_either_is_not_advised(words: list[str]) -> None:
    """`foo=true` would be refused next; what flags there are is the answer."""
    with pytest.raises(UserError, match="is no flag") as caught:
        refuse_flags(words)
    assert (caught.value.details["do"] or "").startswith("expkit train --help")


def test_a_short_flag_that_there_is_not_is_refused_on_one_screen() -> None:
    """Hydra's parser would print its usage, which names none of our commands."""
    with pytest.raises(UserError, match="'-v' is no flag") as caught:
        refuse_flags(["model=simple_conv", "-v"])
    assert caught.value.details["do"] == "expkit train --help"
    refuse_flags(["-m", "seed=0,1", "-cd", "conf", "-sc"])
