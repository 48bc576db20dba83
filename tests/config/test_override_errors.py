"""Advice on words that were refused: it names what was meant, and is taken when it is followed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from expkit.config.compose import compose_and_run
from expkit.config.multirun.hydra_task import Outcome, Task
from expkit.config.override_errors import find_fault
from expkit.config.run_request import Request
from expkit.errors import UserError

# what was typed, and the words that the screen is to propose
MEANT = [
    ("epochs=5", "procedure.train.max_epochs=5"),
    ("+epochs=5", "procedure.train.max_epochs=5"),
    ("procedure.train.epochs=5", "procedure.train.max_epochs=5"),
    ("-m epochs=5,10", "-m procedure.train.max_epochs=5,10"),
    ("batch_size=8", "procedure.train.batch_size=8"),
    ("learning_rate=0.1", "optimizer.lr=0.1"),
    ("optimizer.learning_rate=0.1", "optimizer.lr=0.1"),
    ("wd=0.1", "optimizer.weight_decay=0.1"),
    ("image_size=32", "dataset.piece_size=32"),
    ("dataset=cifar10 size=32", "dataset.size=32"),
    ("arch=resnet18", "model=resnet18"),
    ("model=resnet34", "model=timm model.name=resnet34"),
    ("pretrained=true", "model=resnet18 model.pretrained=true"),
    ("data=images/cats", "dataset=image_folder dataset.root=images/cats"),
    ("data_dir=images/cats", "dataset=image_folder dataset.root=images/cats"),
    ("data=labels.csv", "dataset=table dataset.table=labels.csv"),
    ("random_seed=3", "seed=3"),
    ("gpu=0", "device=cuda"),
    ("device=gpu", "device=cuda"),
    ("amp=true", "device.precision=bf16"),
    ("optimizer=adamW", "optimizer=adamw"),
    ("opt=adam,sgd -m", "-m optimizer=adam,sgd"),
    ("scheduler=cosine", "schedule=cosine"),
    ("schedule=CosineAnnealingLR", "schedule=cosine"),
    ("dataset=digits dataset.rows=6", "dataset=puzzle dataset.rows=6"),
    ("optimizer.momentum=0.9", "optimizer=sgd optimizer.momentum=0.9"),
    ("optimizer.amsgrad=true", "+optimizer.amsgrad=true"),
    ("procedure.train.optimizer.amsgrad=true", "'+procedure.train.optimizer.amsgrad=true'"),
    ("procedure.train.optimizer.momentum=0.9",
     "procedure.train.optimizer=sgd procedure.train.optimizer.momentum=0.9"),
    ("procedure.train.loss.gamma=3", "procedure.train.loss=focal procedure.train.loss.gamma=3"),
    ("+procedure.train.loss.gamma=3", "procedure.train.loss=focal procedure.train.loss.gamma=3"),
    ("+loss.gamma=3", "loss=focal loss.gamma=3"),
    ("optimizer=sam optimizer.base.lr=0.1", "optimizer.lr=0.1"),
    ("optimizer=sam +optimizer.base.learning_rate=0.1", "optimizer.lr=0.1"),
    ("procedure.train.optimizer=sam +procedure.train.optimizer.base.lr=0.1",
     "procedure.train.optimizer.lr=0.1"),
    ("optimizer=sam optimizer.weight_decay=0.1", "optimizer.base.weight_decay=0.1"),
    ("optimizer=sam wd=0.1", "optimizer.base.weight_decay=0.1"),
    ("optimizer=sam optimizer.momentum=0.9", "optimizer.base=sgd optimizer.base.momentum=0.9"),
    ("procedure.train.optimizer=sam procedure.train.optimizer.base.momentum=0.9",
     "procedure.train.optimizer.base=sgd procedure.train.optimizer.base.momentum=0.9"),
    ("mixup=0.2", "augment.mixup_alpha=0.2"),
    ("output=there", "output_dir=there"),
    ("dataset=digits 'criteria.macro_f1=\"> 0.3\"'", "'+criteria.macro_f1=\"> 0.3\"'"),
    ("dataset=digits '+criteria.macro_f1=> 0.3'", "'+criteria.macro_f1=\"> 0.3\"'"),
    ("seed=1,2", "-m seed=1,2"),
    ("model.options.drop=0.1 model=resnet18", "model.dropout=0.1"),
    ("launcher.jobs=2", "-m ... launcher.jobs=2"),
    ("hydra.run.dir=there", "output_dir=there"),
    ("dataset=digits dataset.num_folds=4", "... dataset.num_folds=4 dataset.fold=0"),
    ("-m optimizer=sgd,rmsprop optimizer.momentum=0.9", "-m ... ++optimizer.momentum=0.9"),
    ("'~procedure.preflihgt'", "'~procedure.preflight'"),
    ("procedure.preflihgt=null", "procedure.preflight=null"),
]  # fmt: skip

# refused words whose advice is a place to look, or nothing to type
NO_WORDS = [
    ("override=3", "expkit train --cfg job"),
    ("foo.bar=3", "expkit train --cfg job"),
    ("model.foo=3", "expkit train --cfg job --package model"),
    ("arch=nothing_like_it", "expkit list model"),
    ("workers=4", "leave it out"),
    ("procedure=simclr '~procedure.overfit_1'", "leave that word out"),
    ("procedure=simclr procedure.overfit_1=null", "leave that word out"),
    ("num_classes=10", "leave it out"),
    ("-m hydra/launcher=joblib seed=0,1", "launcher.jobs=2"),
    ("-m 'optimizer.lr=interval(1e-4,1e-1)'", "hydra/sweeper=optuna"),
    ("'optimizer.lr=tag(log,interval(1e-4,1e-1))'", "-m hydra/sweeper=optuna"),
]


PLACEHOLDER = re.compile(r"\b(VALUE|FILE|FOLDER|CHOICE|SHORTER|NAME)\b|^list$|^--")


def refusal_of(words: Sequence[str]) -> UserError | None:
    """What refuses these words before torch is loaded and anything runs."""

    def check(request: Request) -> int:
        assert request.config.name
        return 0

    def check_all(requests: Sequence[Request]) -> list[Outcome]:
        return [Outcome(check(each), None) for each in requests]

    GlobalHydra.instance().clear()
    try:
        compose_and_run(words, Task(check, lambda each: check_all([each])[0], check_all))
    except UserError as error:
        return error
    return None


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["expkit"])


def advised(error: UserError) -> list[str] | None:
    """The words that a screen proposes; None where it proposes none."""
    first = str(error.details["do"]).splitlines()[0].partition("   (")[0]
    return shlex.split(first.removeprefix("expkit train ")) if "expkit train " in first else None


def taken(words: Sequence[str], error: UserError, advice: Sequence[str]) -> list[str]:
    """The command as a user types it anew: the refused word gives way to the proposed ones."""
    refused = str(error.details["where"]).splitlines()[0].partition(" (")[0]
    keys = {key_of(each) for each in [refused, *advice]}
    return [*(each for each in words if key_of(each) not in keys),
            *(each for each in advice if each != "...")]  # fmt: skip


def key_of(word: str) -> str:
    return re.split("=", word.lstrip("+~"))[0]


@pytest.mark.broad(4)
@pytest.mark.parametrize(("typed", "proposed"), MEANT)
def test_advice_names_what_was_meant_and_is_taken(typed: str, proposed: str) -> None:
    """Each refused word, as it was typed, with the words that are accepted in its place."""
    words = shlex.split(typed)
    error = refusal_of(words)
    assert error is not None
    advice = advised(error)
    assert advice == shlex.split(proposed), error.screen()
    again = refusal_of(taken(words, error, advice))
    assert again is None, again.screen()


@pytest.mark.broad(2)
@pytest.mark.parametrize(("typed", "said"), NO_WORDS)
def test_where_nothing_is_meant_nothing_is_made_up(typed: str, said: str) -> None:
    """A key that no part takes was answered by `+key`, which is refused next."""
    error = refusal_of(shlex.split(typed))
    assert error is not None
    assert said in str(error.details["do"])
    assert "+" not in str(error.details["do"])


@pytest.mark.broad(1)
@pytest.mark.parametrize(
    "typed", ["+model.drpout=0.1", "+procedure.train.max_epoch=3", "+sede=3", "optimizer.lrr=1"]
)
def test_advice_on_values_and_arguments_is_taken_too(typed: str) -> None:
    """`nearest` of the checks before torch, which print no command."""
    error = refusal_of([typed])
    assert error is not None
    nearest = str(error.details["nearest"])
    again = refusal_of([f"{nearest}={typed.partition('=')[2]}"])
    assert again is None, again.screen()


def wrong_requests() -> Iterator[list[str]]:
    """Those of tests/system/test_bad_input.py, which torch has no part in."""
    path = Path(__file__).parents[1] / "system" / "test_bad_input.py"
    spec = importlib.util.spec_from_file_location("bad_input", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for words, *_ in module.BEFORE_TORCH:
        if words[0] == "train":
            yield list(words[1:])


@pytest.mark.slow
def test_no_advice_on_any_wrong_request_is_refused_for_the_same_key() -> None:
    """Whatever a screen proposes to type, or calls the nearest, gets past what was refused."""
    taken_ones = []
    for words in wrong_requests():
        error = refusal_of(words)
        if error is None:  # told by the data, which is not read here
            continue
        refused = str(error.details["where"]).splitlines()[0].partition(" (")[0]
        advice = advised(error)
        nearest = str(error.details["nearest"] or "")
        if advice is None and re.fullmatch(r"[\w.]+", nearest) and "=" in refused:
            key, _, value = refused.partition("=")
            is_value = key.endswith(("_target_", "name", "objective"))
            advice = [f"{key}={nearest}" if is_value else f"{nearest}={value}"]
        if not advice or any(PLACEHOLDER.search(word) for word in advice):
            continue
        again = refusal_of(taken(words, error, advice))
        taken_ones.append(words)
        if again is not None:
            assert key_of(str(again.details["where"])) != key_of(advice[-1]), again.screen()
    assert len(taken_ones) >= 10


@pytest.mark.parametrize(
    "words",
    ["optimizer=sam optimizer.base=sgd optimizer.base.momentum=0.5", "procedure.train.loss=focal "
     "procedure.train.loss.gamma=3", "procedure.train.optimizer.lr=0.1"],
)  # fmt: skip
def test_words_of_parts_that_are_known_later_are_no_faults(words: str) -> None:
    """Where another word is wrong they stay in its advice."""
    assert find_fault(words.split()) is None


def test_a_glob_leaves_out_what_wants_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    """`model=glob(*)` died on timm, whose name nobody had given; with one it is among them."""
    assert refusal_of(["-m", "model=glob([vit*,timm])"]) is None
    assert "leaves out timm, which wants model.name=" in capsys.readouterr().out
    assert "model=vit_scanline" in sys.argv
    error = refusal_of(["-m", "model=glob(timm*)"])
    assert error is not None
    assert error.details["where"] == "model.name\njob 0: model=timm"


@pytest.mark.parametrize("word", ["launcher.jobs=x", "sweep.reuse=maybe", "launcher.tmeout=3"])
def test_words_of_a_sweep_are_checked_without_one(word: str) -> None:
    """`launcher.jobs=x` trained."""
    error = refusal_of([word])
    assert error is not None
    assert word.partition("=")[0].partition(".")[0] in str(error.details["where"])


@pytest.mark.parametrize(
    "word", ["hydra.run.dir=there", "hydra.job.chdir=true", "hydra.output_subdir=.hydra"]
)
def test_hydras_own_folders_are_refused_and_not_made(word: str, tmp_path: Path) -> None:
    """They stayed empty beside the run's."""
    error = refusal_of([word])
    assert error is not None
    assert "output_dir" in str(error.details["allowed"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "is_advised"),
    [("model.width=-3", False), ("model.width=[4,8]", True), ("model.droput=2.0", False)],
)
def test_a_value_that_the_nearest_key_refuses_is_not_advised(typed: str, is_advised: bool) -> None:
    """The key is named all the same."""
    error = refusal_of([typed])
    assert error is not None
    assert str(error.details["nearest"]).startswith("model.")
    assert (advised(error) is not None and "=" in str(advised(error))) == is_advised
