"""Every reader of runs works on the folder of a watched loop, or says why it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from made_once import made_once
from running_expkit import Expkit
from watched_loops import Loop, one_thread, watched

import expkit
from expkit.records.run.reader import Run


def make(place: Path) -> None:
    """A sound loop, and one that forgets to clear gradients, in outputs/."""
    with one_thread():
        watched(Loop(), place / "outputs")
        loop = Loop()
        loop.optimizer.zero_grad = lambda *_, **__: None  # type: ignore[method-assign]
        with expkit.watch(
            loop.model, loop.optimizer, loop.criterion, to=place / "outputs", name="broken"
        ) as watch:
            loop.run(watch, epochs=2)


@pytest.fixture
def outputs(tmp_path_factory: pytest.TempPathFactory, run_here: Expkit) -> Path:
    """A copy of both in the test's own folder."""
    return Path(
        shutil.copytree(made_once(tmp_path_factory, "watched", make) / "outputs", "outputs")
    )


@pytest.mark.draws
def test_the_commands_that_read_records(outputs: Path, run_here: Expkit) -> None:
    for words in (
        ["show", "loop"],
        ["analyze", "loop"],
        ["plot", "loop"],
        ["compare", "loop", "broken"],
        ["report", "loop"],
    ):
        done = run_here(*words)
        assert done.code == 0, (words, done.err)
    assert "rules could not look" in run_here("show", "loop").out
    (page,) = outputs.glob("*_loop/report.md")
    assert "## Not looked at" in page.read_text("utf-8")


def test_diagnose_finds_it_again_from_the_records(outputs: Path, run_here: Expkit) -> None:
    """With exit code 1, as it is fatal; and tells which rules could not look."""
    done = run_here("diagnose", "broken")
    assert done.code == 1
    assert "FATAL zero_grad_forgotten" in done.out
    assert "a scheduler was not handed over: scheduler_misstepped" in done.out
    assert run_here("diagnose", "loop").code == 0
    (run,) = json.loads(run_here("diagnose", "broken", "--json").out)["runs"]
    assert run["not_looked"]["a scheduler was not handed over"] == ["scheduler_misstepped"]
    (told,) = outputs.glob("*_broken/findings.jsonl")
    assert "zero_grad_forgotten" in told.read_text("utf-8")


def test_no_figure_of_two_loops_is_called_one_of_the_same_data(
    outputs: Path, run_here: Expkit
) -> None:
    """Nobody has seen the bytes: neither that they are equal nor that they differ is said."""
    done = run_here("compare", "loop", "broken")
    assert done.code == 0
    assert "nobody recorded whether val has the baseline's samples" in " ".join(done.out.split())
    digests = [json.loads(path.read_text()) for path in outputs.glob("*/digest.json")]
    assert [each["fingerprints"] for each in digests] == [{"train": None, "val": None}] * 2


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "loop"],
        ["predict", "loop", "images"],
        ["export", "loop", "--to", "exported"],
        ["latency", "loop"],
        ["diagnose", "broken", "--try"],
        ["ensemble", "loop", "broken"],
    ],
)
def test_what_would_build_the_model_is_refused(
    outputs: Path, run_here: Expkit, words: list[str]
) -> None:
    """The loop's code is the program's own: in one screen, and nothing is made."""
    Path("images").mkdir()
    done = run_here(*words)
    assert done.code == 2, done.out
    assert "a loop that expkit.watch saw" in done.err
    assert len(list(outputs.iterdir())) == 2


def test_an_interrupted_loop_is_not_resumed(run_here: Expkit) -> None:
    loop = Loop()
    watch = expkit.watch(loop.model, loop.optimizer, loop.criterion, to="outputs", plots=False)
    with one_thread():
        loop.train_epoch()
    with pytest.raises(KeyboardInterrupt), watch:
        raise KeyboardInterrupt
    assert watch.path is not None
    assert Run(watch.path).status == "interrupted"
    assert "resume" not in run_here("show", "last").out
    done = run_here("resume", "last")
    assert done.code == 2
    assert "a loop that expkit.watch saw" in done.err
