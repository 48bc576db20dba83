"""Stages with an optimizer, schedule and loss of their own, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from running_expkit import TINY, Expkit, only_run

WORDS = (*TINY, "procedure=full")


def history_of(run: Path) -> list[dict[str, Any]]:
    """The figures of every epoch, without the times."""
    lines = map(json.loads, (run / "history.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if "/" in k or k in ("epoch", "lr")} for line in lines]


def test_a_stages_own_parts_train_as_the_runs_do(run_here: Expkit, tmp_path: Path) -> None:
    """The same numbers to the bit, and config.yaml shows what was used."""
    own = ("optimizer=sgd", "optimizer.lr=0.03", "schedule=cosine", "loss=focal", "loss.gamma=1.5")
    done = run_here("train", *WORDS, "output_dir=root", *own)
    assert done.code == 0, done.err
    done = run_here("train", *WORDS, "output_dir=own", *(f"procedure.train.{w}" for w in own))
    assert done.code == 0, done.err
    run, other = next((tmp_path / "own").glob("2*")), next((tmp_path / "root").glob("2*"))
    assert history_of(run) == history_of(other)
    config = yaml.safe_load((run / "config.yaml").read_text())
    stage, root = config["procedure"]["train"], yaml.safe_load((other / "config.yaml").read_text())
    assert config["optimizer"]["_target_"] == "torch.optim.Adam"
    assert {key: stage[key] for key in ("optimizer", "schedule", "loss")} == {
        key: root[key] for key in ("optimizer", "schedule", "loss")
    }
    typed = yaml.safe_load((run / "overrides.yaml").read_text())
    assert typed[-2:] == ["procedure.train.loss=focal", "procedure.train.loss.gamma=1.5"]
    command = json.loads((run / "environment.json").read_text())["command"]
    assert command[-1] == "procedure.train.loss.gamma=1.5"


def test_a_recipe_gives_a_stage_its_own_by_name_and_by_defaults_list(
    run_here: Expkit, tmp_path: Path
) -> None:
    """A word on the command line stands above both."""
    recipe = tmp_path / "conf" / "experiment" / "own.yaml"
    procedure = tmp_path / "conf" / "procedure" / "two.yaml"
    recipe.parent.mkdir(parents=True)
    procedure.parent.mkdir()
    procedure.write_text(
        "# Two stages\n"
        "defaults:\n"
        "  - /stage@first: train\n"
        "  - /stage@second: train\n"
        "  - /optimizer@second.optimizer: adamw\n"
        "  - /stage@evaluate: evaluate\n"
        "  - _self_\n"
        "first: {max_epochs: 1}\n"
        "second: {max_epochs: 1, optimizer: {weight_decay: 0.5}}\n"
    )
    recipe.write_text(
        "# @package _global_\n# Own parts\n"
        "defaults:\n  - override /procedure: two\n"
        "procedure: {first: {optimizer: sgd, schedule: {warmup_epochs: 0.5}}}\n"
    )
    words = [word for word in TINY if "max_epochs" not in word]
    more = ["procedure.first.optimizer.momentum=0.5", "procedure.second.optimizer.lr=0.002"]
    done = run_here("train", *words, "experiment=own", *more)
    assert done.code == 0, done.err
    stages = yaml.safe_load((only_run(tmp_path) / "config.yaml").read_text())["procedure"]
    first, second = stages["first"], stages["second"]["optimizer"]
    assert (first["optimizer"]["_target_"], first["optimizer"]["momentum"]) == (
        "torch.optim.SGD",
        0.5,
    )
    assert first["schedule"]["_target_"].endswith(".Constant")
    assert first["schedule"]["warmup_epochs"] == 0.5
    assert second["_target_"] == "torch.optim.AdamW"
    assert (second["weight_decay"], second["lr"]) == (0.5, 0.002)


@pytest.mark.slow
def test_a_sweep_over_a_stages_optimizer(run_here: Expkit, tmp_path: Path) -> None:
    """Each job has its own, and is recorded by the word that was typed."""
    swept = "procedure.train.optimizer=adamw,sgd"
    rate = "procedure.train.optimizer.lr=0.003"
    words = [word for word in WORDS if "max_epochs" not in word]
    done = run_here("train", "-m", *words, "procedure.train.max_epochs=1", swept, rate)
    assert done.code == 0, done.out + done.err
    configs = [yaml.safe_load(path.read_text()) for path in sorted(tmp_path.rglob("config.yaml"))]
    used = [config["procedure"]["train"]["optimizer"] for config in configs]
    assert sorted(each["_target_"] for each in used) == ["torch.optim.AdamW", "torch.optim.SGD"]
    assert {each["lr"] for each in used} == {0.003}
    recorded = [yaml.safe_load(path.read_text()) for path in tmp_path.rglob("overrides.yaml")]
    assert all(rate in words for words in recorded)
    assert sorted(word for words in recorded for word in words if "optimizer=" in word) == [
        "procedure.train.optimizer=adamw",
        "procedure.train.optimizer=sgd",
    ]


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("procedure.train.optimizer=sdg", "sgd"),
        ("procedure.train.schedule.final_scal=0.1", None),
        ("procedure.train.loss.label_smoothin=0.1", "procedure.train.loss.label_smoothing"),
        ("procedure.train.optimizer={_target_: torch.nn.Linear}", None),
        ("procedure.train.optimizer.lr=-1", None),
        ("procedure.overfit_1.optimizer.lr=1", None),
    ],
)
def test_a_wrong_word_is_refused_before_torch(
    run_without_torch: Expkit, word: str, nearest: str | None
) -> None:
    done = run_without_torch("train", word)
    assert done.code == 2
    assert nearest is None or f"nearest  {nearest}" in done.err, done.err


@pytest.mark.slow
def test_a_phased_run_that_was_cut_in_its_second_phase_resumes_to_the_same_numbers(
    run_here: Expkit, tmp_path: Path
) -> None:
    """Sam, thawing, a mean of the last epochs: as an uninterrupted run, to the byte."""
    words = [
        "train",
        *(word for word in TINY if "max_epochs" not in word),
        "procedure=phased",
        "~procedure.preflight",
        "~procedure.overfit_1",
        "~procedure.overfit_10",
        "~procedure.ranger",
        "model.norm=batch",
        "procedure.warmup.max_epochs=2",
        "procedure.warmup.schedule.warmup_epochs=1",
        "procedure.sam.schedule=constant",
        "procedure.sam.unfreeze={1: [head], 3: all}",
        "procedure.sam.unfreeze_warmup_epochs=2",
        "procedure.sgd.start_from=sam",
        "procedure.sgd.max_epochs=3",
        "procedure.sgd.swa_epochs=2",
    ]
    done = run_here(*words, "procedure.sam.max_epochs=5", "output_dir=whole")
    assert done.code == 0, done.err
    done = run_here(*words, "procedure.sam.max_epochs=3", "output_dir=cut")
    assert done.code == 0, done.err
    whole, cut = next((tmp_path / "whole").glob("2*")), next((tmp_path / "cut").glob("2*"))
    for name in ("config.yaml", "environment.json"):
        (cut / name).write_text((whole / name).read_text())
    lines = (cut / "history.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["stage"] != "sgd"]
    (cut / "history.jsonl").write_text("".join(f"{line}\n" for line in kept))
    lines = (cut / "stages.jsonl").read_text().splitlines()
    (cut / "stages.jsonl").write_text(f"{lines[0]}\n")
    for name in ("summary.json", "predictions.csv"):
        (cut / name).unlink()
    for path in (cut / "checkpoints" / "sgd").iterdir():
        path.unlink()
    done = run_here("resume", str(cut))
    assert done.code == 0, done.out + done.err
    assert history_of(cut) == history_of(whole)
    assert (cut / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
