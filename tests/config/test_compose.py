"""Words as they are typed, before Hydra has them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from expkit.config.compose import change_parts, compose_and_run, flags_last
from expkit.config.hydra_files import CheckedFiles
from expkit.config.multirun.hydra_task import Outcome, Task
from expkit.errors import UserError


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ("a=1 -m b=1,2", "a=1 b=1,2 -m"),
        ("-m a=1,2", "a=1,2 -m"),
        ("a=1 --cfg job --package model b=2", "a=1 b=2 --cfg job --package model"),
        ("--config-dir=here a=1", "a=1 --config-dir=here"),
        ("--info a=1", "a=1 --info"),
        ("~a +b=2", "~a +b=2"),
    ],
)
def test_flags_may_stand_anywhere(words: str, ordered: str) -> None:
    """Hydra's parser takes them before or after all overrides, and not between."""
    assert flags_last(words.split()) == ordered.split()


def test_values_of_a_part_are_read_by_hydras_grammar() -> None:
    """A relation, a list and a null mean what they mean to `expkit train`."""
    criteria = {"accuracy": "> 0.95"}
    changed = change_parts(
        {"criteria": criteria, "dataset": {"size": 3, "root": "a"}},
        ["criteria.accuracy='> 0.9'", "dataset.size=[4,5]", "dataset.root=null"],
    )
    assert changed["criteria"] == {"accuracy": "> 0.9"}
    assert changed["dataset"] == {"size": [4, 5], "root": None}
    assert criteria == {"accuracy": "> 0.95"}


@pytest.mark.parametrize("word", ["model=simple_conv", "dataset", "~dataset.size"])
def test_words_that_change_no_part_are_refused(word: str) -> None:
    """Each is repeated, with what is allowed."""
    with pytest.raises(UserError, match="no override of dataset") as caught:
        change_parts({"dataset": {"size": 3}}, [word])
    assert "dataset.KEY=VALUE" in caught.value.screen()


def test_another_choice_of_a_group_takes_its_other_words_along() -> None:
    """As on the command line of `expkit train`."""
    changed = change_parts(
        {"dataset": {"_target_": "x", "size": 3}}, ["dataset=digits", "dataset.limit=4"]
    )
    assert changed["dataset"]["_target_"] == "expkit.data.datasets.digits.Digits"
    assert changed["dataset"]["limit"] == 4


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("experiment/mine.yaml", "# @package _global_\nhydra: {callbacks: {a: {_target_: x.Y}}}\n"),
        ("model/mine.yaml", "# @package hydra.job_logging\nversion: 1\nhandlers: {a: {(): x.Y}}\n"),
        ("hydra/callbacks/mine.yaml", "a: {_target_: x.Y}\n"),
    ],
)
def test_a_file_that_names_callbacks_is_refused_before_hydra_builds_them(
    place: str, text: str, tmp_path: Path
) -> None:
    """Hydra builds them before anything is checked, whatever class they name."""
    path = tmp_path / "conf" / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    result = CheckedFiles("own", f"file://{tmp_path / 'conf'}")
    with pytest.raises(UserError, match="Hydra's callbacks") as caught:
        result.load_config(place.removesuffix(".yaml"))
    assert caught.value.details["where"] == str(path)


def test_a_config_is_shown_as_a_run_has_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not how words of a stage's own parts, a base and criteria of a class wait aside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["expkit"])
    words = [
        *("procedure.train.optimizer.lr=0.25", "+procedure.train.optimizer.amsgrad=true"),
        *("optimizer=sam", "optimizer.base=sgd", "optimizer.base.momentum=0.5"),
        "procedure.train.optimizer=adam",
        *('criteria={recall[*]: "> 0.85"}', "--cfg", "job"),
    ]
    GlobalHydra.instance().clear()
    compose_and_run(words, Task(lambda _: 0, never, lambda _: []))
    shown = yaml.safe_load(capsys.readouterr().out)
    assert not [key for key in (*shown, *shown["procedure"]["train"]) if key.startswith("_cha")]
    own = shown["procedure"]["train"]["optimizer"]
    assert (own["lr"], own["amsgrad"]) == (0.25, True)
    assert shown["optimizer"]["base"]["momentum"] == 0.5
    assert shown["criteria"]["recall[*]"] == "> 0.85"


def never(_: object) -> Outcome:
    raise AssertionError("nothing runs")
