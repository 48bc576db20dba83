"""Ablations: which jobs they become, and what is refused of them."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from expkit.config.multirun.ablation import Ablation, as_word, change_of, without_mark
from expkit.errors import UserError

ABLATION = Ablation({"wide": {"model.width": 64}, "sgd": {"optimizer": "sgd", "~augment.x": None}})


def test_after_each_job_come_its_changes() -> None:
    """One seed's jobs stand together, so that a sweep cut short can be compared."""
    jobs = ABLATION.expand([["a=1", "seed=0"], ["a=1", "seed=1"]], {"seed"})
    assert jobs[:3] == [
        ["a=1", "seed=0"],
        ["a=1", "seed=0", "model.width=64", "+ablation.change='wide'"],
        ["a=1", "seed=0", "optimizer=sgd", "~augment.x", "+ablation.change='sgd'"],
    ]
    assert [job[1] for job in jobs[3:]] == ["seed=1"] * 3


def test_a_change_stands_above_the_users_own_word() -> None:
    """A key is given once in a job: Hydra refuses a group that is chosen twice."""
    _, wide, _ = ABLATION.expand([["model.width=8", "seed=0"]], {"seed"})
    assert wide == ["seed=0", "model.width=64", "+ablation.change='wide'"]


def test_a_change_of_what_is_swept_is_refused() -> None:
    """Every job of the sweep would come to the same value."""
    with pytest.raises(UserError, match=r"'wide' sets model\.width, which is swept too"):
        ABLATION.expand([["model.width=8"]], {"model.width"})


def test_the_mark_names_the_change_and_is_no_word_of_the_run() -> None:
    """The command that repeats a job does without it."""
    (_, wide, _) = ABLATION.expand([["seed=0"]], {"seed"})
    assert change_of(wide) == "wide"
    assert without_mark(wide) == ["seed=0", "model.width=64"]
    assert change_of(["seed=0"]) is None


@pytest.mark.parametrize(
    ("given", "added"),
    [([], ["seed=0,1,2"]), (["seed=5"], []), (["seed=range(0,4)"], []), (["a=1"], ["seed=0,1,2"])],
)
def test_seeds_are_the_ablations_where_the_user_gives_none(
    given: list[str], added: list[str]
) -> None:
    """Any word of the user's on the seed counts."""
    overrides = OverridesParser.create().parse_overrides(given)
    assert ABLATION.seed_words(overrides) == added


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "k=null"),
        (1e-5, "k=1e-05"),
        (True, "k=True"),
        ([1, 2], "k=[1,2]"),
        ({"a": [1]}, "k={a:[1]}"),
        ("a b,c", "k=a\\ b\\,c"),
        ("", "k=''"),
    ],
)
def test_a_value_of_a_yaml_is_written_as_a_word(value: object, text: str) -> None:
    """And Hydra reads the same value from it."""
    assert as_word("k", value) == text
    assert OverridesParser.create().parse_override(text).value() == value


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"changes": {}}, "an ablation without changes"),
        ({"seeds": [1]}, "needs the argument 'changes'"),
        ({"changes": {"a": {}}}, "'a' changes nothing"),
        ({"changes": {"a": ["model=x"]}}, "ablation.changes cannot be"),
        ({"changes": {"8": {"x": 1}}}, "'8' is no name of a change"),
        ({"changes": {"a": {"x": 1}}, "seed": 1}, "no argument 'seed'"),
    ],
)
def test_what_is_no_ablation_is_refused(given: dict[str, object], what: str) -> None:
    """Before anything is composed for it."""
    with pytest.raises(UserError, match=what):
        Ablation.of(OmegaConf.create({"ablation": given}))


def test_a_sweep_without_the_word_has_no_ablation() -> None:
    """It is an ordinary sweep."""
    assert Ablation.of(OmegaConf.create({"seed": 1})) is None


@pytest.mark.parametrize(
    "change",
    [
        {"trust": ["os"]},
        {"+trust.0": "os"},
        {"hydra.launcher._target_": "os.system"},
        {"model": "../../evil"},
        {"+@_global_": "evil"},
    ],
)
def test_a_change_says_nothing_of_whose_code_may_run(change: dict[str, object]) -> None:
    """Resuming a stranger's ablation drops their words of trust, wherever these stand."""
    composed = OmegaConf.create({"ablation": {"changes": {"worse": change}}})
    with pytest.raises(UserError, match="'worse' is not of the recipe alone"):
        Ablation.of(composed)
