"""Findings as a user meets them: while a run goes on, after it, and in trials of what cures it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from running_expkit import TINY, Expkit, only_run

# log 1's deep head, which learns nothing
DEEP_HEAD = (
    "experiment=puzzle_deep_head",
    "device.threads=1",
    "procedure=full",
    "procedure.train.max_epochs=30",
)
DIGITS = ("dataset=digits", "dataset.limit=20", "device.threads=1", "criteria=none")


def findings_of(folder: Path) -> list[dict[str, Any]]:
    found = json.loads((only_run(folder) / "summary.json").read_text())["findings"]
    assert isinstance(found, list)
    return found


@pytest.mark.slow
def test_a_doomed_run_is_ended_early(run_here: Expkit, tmp_path: Path) -> None:
    """Log 1's failure has its true cause by epoch 10, and the epochs after it are saved."""
    done = run_here("train", *DEEP_HEAD, "diagnosis.stop_on=fatal")
    assert done.code == 1
    assert "FATAL collapsed_features" in done.out
    worst, *_ = findings_of(tmp_path)
    assert (worst["rule"], worst["severity"]) == ("collapsed_features", "fatal")
    assert worst["epoch"] <= 10
    assert worst["evidence"]
    assert "model.init=kaiming" in worst["command"]
    assert f"{30 - worst['epoch']} of 30 epochs saved" in done.out


@pytest.mark.slow
def test_the_cure_is_found_by_trials(run_here: Expkit, tmp_path: Path) -> None:
    """`--try` trains with each remedy beside the unchanged run, and says which one cures it."""
    run_here("train", *DEEP_HEAD, "procedure.train.max_epochs=4")
    done = run_here("diagnose", "last", "--try", "--epochs", "8")
    assert done.code == 0, done.out + done.err
    assert "cured by model.init=kaiming dataset.normalize=dataset" in done.out
    trials = only_run(tmp_path) / "trials"
    assert len(list(trials.glob("2*"))) >= 2
    unchanged = json.loads((trials / "trials.json").read_text())["trials"][0]
    assert "collapsed_features" in unchanged["found"]


@pytest.mark.slow
def test_a_healthy_run_is_left_in_peace(run_here: Expkit, tmp_path: Path) -> None:
    """Nothing is said of digits that are learnt, but for what is worth knowing."""
    done = run_here("train", "dataset=digits", "device.threads=1", "procedure.train.max_epochs=8")
    assert "WARN" not in done.out
    assert "FATAL" not in done.out
    assert all(finding["severity"] == "info" for finding in findings_of(tmp_path))


@pytest.mark.slow
def test_diagnose_reads_records_alone(
    expkit: Expkit, run_without_torch: Expkit, tmp_path: Path
) -> None:
    """It needs no torch, says what the summary says, and exits with 1 where something is fatal."""
    expkit("train", *DEEP_HEAD, "procedure.train.max_epochs=4")
    run = only_run(tmp_path)
    done = run_without_torch("diagnose", "last", "--json")
    assert done.code == 1, done.err
    (run_found,) = json.loads(done.out)["runs"]
    stored = json.loads((run / "summary.json").read_text())
    assert run_found["findings"] == stored["findings"]


@pytest.mark.slow
def test_a_run_of_an_older_version_is_diagnosed(run_here: Expkit, tmp_path: Path) -> None:
    """Without signals, what history and predictions prove is still said."""
    run_here("train", *DEEP_HEAD, "procedure.train.max_epochs=4")
    (only_run(tmp_path) / "signals.jsonl").unlink()
    done = run_here("diagnose", "last")
    assert "WARN  predicts_one_class" in done.out
    assert "collapsed_features" not in done.out


@pytest.mark.slow
def test_an_ignored_rule_is_silent(run_here: Expkit, tmp_path: Path) -> None:
    """`diagnosis.ignore` holds for the run and for its pages."""
    run_here(
        "train", *DEEP_HEAD, "procedure.train.max_epochs=4", "diagnosis.ignore=[collapsed_features]"
    )
    assert "collapsed_features" not in {finding["rule"] for finding in findings_of(tmp_path)}


def test_a_misspelt_rule_is_refused(run_here: Expkit, tmp_path: Path) -> None:
    """With the nearest name, before anything is made."""
    done = run_here("train", *TINY, "diagnosis.ignore=[overfiting]")
    assert done.code == 2
    assert "overfitting" in done.err
    assert not (tmp_path / "outputs").exists()


def test_stop_on_knows_three_words(run_here: Expkit) -> None:
    """And lists them."""
    done = run_here("train", *TINY, "diagnosis.stop_on=error")
    assert done.code == 2
    assert "never" in done.err
    assert "warning" in done.err


@pytest.mark.slow
def test_preflight_can_be_left_out(run_here: Expkit, tmp_path: Path) -> None:
    """As any stage of a procedure."""
    done = run_here("train", *TINY, "~procedure.preflight")
    assert "preflight" not in done.out
    assert "preflight" not in (only_run(tmp_path) / "stages.jsonl").read_text()


@pytest.mark.slow
def test_preflight_changes_no_number(run_here: Expkit, tmp_path: Path) -> None:
    """With it or without, the run is the same to the last digit."""
    run_here("train", *DIGITS, "procedure.train.max_epochs=2", "name=with")
    run_here(
        "train", *DIGITS, "procedure.train.max_epochs=2", "name=without", "~procedure.preflight"
    )
    one, other = (
        next(tmp_path.glob(f"outputs/*_{name}/predictions.csv")).read_bytes()
        for name in ("with", "without")
    )
    assert one == other


@pytest.mark.slow
def test_preflight_may_end_a_run(run_here: Expkit, tmp_path: Path) -> None:
    """What is fatal before training is not trained where the user said so."""
    own = tmp_path / "conf" / "diagnosis"
    own.mkdir(parents=True)
    (own / "few.yaml").write_text("# Mine\n_target_: my_rules.Few\nleast: 500\n")
    (tmp_path / "my_rules.py").write_text(
        "from dataclasses import dataclass\n"
        "from expkit.diagnosis.finding import Finding\n"
        "from expkit.diagnosis.rule import Rule\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Few(Rule):\n"
        "    least: int = 1\n\n"
        "    def find(self, evidence):\n"
        "        count = evidence.metadata.splits['train'].num_samples\n"
        "        if count < self.least:\n"
        "            yield Finding('fatal', 'too few for me', {'count': count}, 'a small set')\n"
    )
    done = run_here("train", *DIGITS, "diagnosis.stop_on=fatal")
    assert done.code == 1
    assert "FATAL few: too few for me" in done.out
    assert "FAIL  preflight" in done.out
    assert "train " not in (only_run(tmp_path) / "stages.jsonl").read_text()
    assert "few " in run_here("list", "diagnosis").out


@pytest.mark.slow
def test_nothing_to_try_is_said(run_here: Expkit) -> None:
    """A run without a remedy gives one screen."""
    run_here("train", *DIGITS, "procedure=full", "procedure.train.max_epochs=2")
    done = run_here("diagnose", "last", "--try")
    assert done.code == 2
    assert "proposes a change" in done.err


def test_an_unknown_run_is_refused(run_here: Expkit) -> None:
    """With exit code 2 and one screen."""
    done = run_here("diagnose", "nowhere")
    assert done.code == 2
    assert "there is no run 'nowhere'" in done.err


@pytest.mark.slow
def test_a_finding_at_the_end_of_a_stage_ends_the_run(run_here: Expkit, tmp_path: Path) -> None:
    """What only the evaluation shows still makes the exit code 1 where the user said so."""
    write_rule(tmp_path, "if evidence.result('evaluate')")
    words = (*DIGITS, "procedure=full", "procedure.train.max_epochs=2")
    assert run_here("train", *words).code == 0
    done = run_here("train", *words, "diagnosis.stop_on=fatal")
    assert done.code == 1
    assert "ended by own (fatal)" in done.out


@pytest.mark.slow
def test_a_resumed_run_is_ended_where_the_whole_one_was(expkit: Expkit, tmp_path: Path) -> None:
    """It looks at the same epochs: 12 lie between two looks, and 15 is the next one."""
    write_rule(tmp_path, "if len(evidence.epochs('train')) >= 11")
    (tmp_path / "brake.py").write_text(
        "import os, signal\n"
        "from expkit.models.conv import ConvNet\n\n\n"
        "class Net(ConvNet):\n"
        "    epochs = 0\n\n"
        "    def train(self, mode=True):\n"
        "        Net.epochs += mode and os.path.exists('brake')\n"
        "        if Net.epochs == 14:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().train(mode)\n"
    )
    words = (*DIGITS, "procedure=full", "procedure.train.max_epochs=30", "diagnosis.stop_on=fatal")
    words = (*words, "model._target_=brake.Net")
    (tmp_path / "brake").touch()
    cut_off = expkit("train", *words)
    assert cut_off.code == -9, cut_off.err
    (tmp_path / "brake").unlink()
    done = expkit("resume", "last")
    assert "ended after epoch 15 by own" in done.out, done.out + done.err


def write_rule(folder: Path, condition: str) -> None:
    """A rule of the user's that finds something fatal under a condition."""
    own = folder / "conf" / "diagnosis"
    own.mkdir(parents=True)
    (own / "own.yaml").write_text("# Mine\n_target_: own_rules.Own\n")
    (folder / "own_rules.py").write_text(
        "from expkit.diagnosis.finding import Finding\n"
        "from expkit.diagnosis.rule import Rule\n\n\n"
        "class Own(Rule):\n"
        "    def find(self, evidence):\n"
        f"        {condition}:\n"
        "            yield Finding('fatal', 'so it is', {'number': 1}, 'because')\n"
    )


@pytest.mark.broad(1)
@pytest.mark.parametrize(
    "content",
    [
        "",
        "- a list",
        "a: [1",
        "_target_: own_rules.Nothing",
        "_target_: own_rules.NoRule",
        "_target_: own_rules.Own\nlimit: 3",
    ],
)
def test_a_broken_rule_is_told_and_ends_nothing(
    run_here: Expkit, tmp_path: Path, content: str
) -> None:
    """One of the user's own that cannot be built is a warning, and the run is made."""
    write_rule(tmp_path, "if True")
    with (tmp_path / "own_rules.py").open("a") as module:
        module.write("\n\nclass NoRule:\n    pass\n")
    (tmp_path / "conf" / "diagnosis" / "own.yaml").write_text(content)
    done = run_here("train", *DIGITS, "procedure=full", "procedure.train.max_epochs=1")
    assert done.code == 0, done.out
    assert "own" in done.out + done.err
    assert len(list((tmp_path / "outputs").glob("2*"))) == 1


@pytest.mark.slow
def test_a_net_that_cannot_be_measured_is_trained(run_here: Expkit, tmp_path: Path) -> None:
    """Hooks do not take every module; the training does not depend on them."""
    (tmp_path / "nets.py").write_text(
        "import torch\n"
        "from torch import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, *, image_shape, num_outputs):\n"
        "        super().__init__()\n"
        "        self.body = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 16)))\n"
        "        self.head = nn.Linear(16, num_outputs)\n\n"
        "    def forward(self, images):\n"
        "        return self.head(self.body(images).relu())\n"
    )
    model = tmp_path / "conf" / "model"
    model.mkdir(parents=True)
    (model / "mine.yaml").write_text("# Mine\n_target_: nets.Net\n_partial_: true\n")
    with pytest.warns(FutureWarning):
        done = run_here("train", *DIGITS, "model=mine", "procedure.train.max_epochs=2")
    assert done.code == 0, done.out + done.err
    assert "not all could be measured" in (only_run(tmp_path) / "log.txt").read_text()


@pytest.mark.slow
def test_runs_of_one_name_are_both_told(run_here: Expkit, tmp_path: Path) -> None:
    """A copy elsewhere is another run."""
    run_here("train", *DIGITS, "procedure=full", "procedure.train.max_epochs=1")
    run = only_run(tmp_path)
    shutil.copytree(run, tmp_path / "elsewhere" / run.name)
    done = run_here("diagnose", str(run), f"elsewhere/{run.name}", str(run), "--json")
    assert len(json.loads(done.out)["runs"]) == 2
