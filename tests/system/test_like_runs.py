"""`expkit train --like RUN`: the same config again, and what differs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from running_expkit import TINY, Expkit

from expkit.records.files import read_json, read_lines
from expkit.records.run.reader import Run


def other_run(path: Path) -> Path:
    (found,) = (each for each in path.parent.glob("2*") if each != path)
    return found


def history_of(path: Path) -> list[dict[str, object]]:
    times = ("seconds", "samples_per_second", "wall_seconds", "at")
    lines = read_lines(path / "history.jsonl")
    return [{key: value for key, value in line.items() if key not in times} for line in lines]


def test_the_same_config_gives_the_same_run(tiny_run: Path, run_here: Expkit) -> None:
    """To the same numbers, in the same code; it says so, and remembers which run it is like."""
    done = run_here("train", "--like", "tiny")
    assert done.code == 0
    again = other_run(tiny_run)
    assert history_of(again) == history_of(tiny_run)
    assert "changed" not in done.out
    assert "the same commit, code and versions" in done.out
    ours, theirs = Run(again), Run(tiny_run)
    assert {**ours.config, "output_dir": ""} == {**theirs.config, "output_dir": ""}
    assert ours.environment["choices"] == theirs.environment["choices"]
    assert ours.environment["like"] == tiny_run.name


def test_words_change_what_they_say_and_nothing_else(tiny_run: Path, run_here: Expkit) -> None:
    """A recorded value stays, though today's choice would say otherwise; a group is another's."""
    config = yaml.safe_load((tiny_run / "config.yaml").read_text())
    config["optimizer"]["eps"] = 1e-7
    config["tags"] = ["paper"]
    (tiny_run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    environment = read_json(tiny_run / "environment.json")
    environment["versions"]["torch"] = "1.0"
    (tiny_run / "environment.json").write_text(json.dumps(environment))
    words = ("model=deep_head", "procedure.train.max_epochs=1", "name=other", "tags=[b]")
    done = run_here("train", f"--like={tiny_run}", *words)
    assert done.code == 0, done.err
    run = Run(other_run(tiny_run))
    assert run.config["optimizer"]["eps"] == 1e-7
    assert run.config["model"]["hidden"] == [256, 512]
    assert run.config["procedure"]["train"]["max_epochs"] == 1
    assert run.config["dataset"] == config["dataset"]
    assert run.config["tags"] == ["b"]
    assert run.environment["choices"]["model"] == "deep_head"
    assert "changed procedure.train.max_epochs: 4 -> 1" in done.out
    assert "torch was 1.0" in done.out
    assert "optimizer.eps" in done.out.partition("kept ")[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--like",), "names no run"),
        (("--like", "nowhere"), "there is no run 'nowhere'"),
        (("--like", "tiny", "-m", "seed=0,1"), "does not go together with --like"),
        (("--like", "tiny", "optimizer.lrr=1"), "nearest  optimizer.lr"),
        (("--like", "tiny", "model=nothing"), "nothing"),
    ],
)
def test_a_wrong_word_is_refused(
    words: tuple[str, ...], said: str, tiny_run: Path, run_without_torch: Expkit
) -> None:
    """Before torch is loaded, and without a folder."""
    done = run_without_torch("train", *words)
    assert (done.code, said in done.err) == (2, True)
    assert len(list(tiny_run.parent.iterdir())) == 1


def test_a_strangers_run_has_no_say(tiny_run: Path, run_without_torch: Expkit) -> None:
    """Neither in where files go, nor in whose code runs."""
    for word in ("hydra.callbacks.x._target_=os.system", "+a=${oc.env:HOME}"):
        (tiny_run / "overrides.yaml").write_text(yaml.safe_dump([*TINY, word]))
        done = run_without_torch("train", "--like", "tiny")
        assert (done.code, "could run code" in done.err) == (2, True)
    (tiny_run / "overrides.yaml").write_text(yaml.safe_dump([*TINY, "trust=[evil]"]))
    config = yaml.safe_load((tiny_run / "config.yaml").read_text())
    config |= {"trust": ["evil"], "output_dir": "/evil", "mirror": {"folder": "/evil"}}
    config["model"]["_target_"] = "evil.Model"
    (tiny_run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = run_without_torch("train", "--like", "tiny")
    assert (done.code, "evil" in done.err) == (2, True)
    assert not Path("/evil").exists()


def test_what_was_not_trained_is_refused(tiny_run: Path, run_without_torch: Expkit) -> None:
    """An evaluation has a command of its own."""
    copy = shutil.copytree(tiny_run, tiny_run.with_name("20200101_000000_evaluation"))
    config = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(
        yaml.safe_dump({**config, "evaluates": str(tiny_run)}, sort_keys=False)
    )
    done = run_without_torch("train", "--like", "evaluation")
    assert (done.code, "expkit evaluate" in done.err) == (2, True)
