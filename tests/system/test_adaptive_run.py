"""Whole runs of logo_vit with its uncertainty and class weights that follow the training."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_once import made_once
from PIL import Image
from running_expkit import Expkit, only_run, train_quietly
from safetensors.numpy import load_file

from expkit.training import loop
from expkit.training.learner import Learner

WORDS = (
    *("dataset=digits", "dataset.limit=20", "model=logo_vit", "model.uncertainty=true"),
    *("model.stem=[16,32]", "model.stem_strides=[2,1]", "model.width=32", "model.depth=2"),
    *("model.heads=2", "model.dropout=0.1", "loss=adaptive_focal", "optimizer.lr=0.002"),
    *("procedure=full", "procedure.train.max_epochs=4", "device=cpu", "device.threads=1"),
)
TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A run that nobody interrupted, trained once a session, in a folder of its own."""
    made = made_once(tmp_path_factory, "adaptive_run", lambda place: train_quietly(*WORDS))
    shutil.copytree(made, tmp_path / "whole")
    return only_run(tmp_path / "whole")


def history(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def class_weights(run: Path) -> list[dict[str, object]]:
    signals = [json.loads(line) for line in (run / "signals.jsonl").read_text().splitlines()]
    return [signal for signal in signals if signal["kind"] == "class_weights"]


@pytest.mark.slow
def test_a_resumed_run_has_the_same_weights_of_classes_and_draws(
    whole: Path, run_here: Expkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the third epoch, and trained with gradient checkpointing: the same to the bit."""
    train_epoch = loop.train_epoch

    def interrupt(learner: Learner, plan: loop.EpochPlan, number: int) -> loop.Epoch:
        if number == 3:
            raise KeyboardInterrupt
        return train_epoch(learner, plan, number)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_epoch", interrupt)
        cut = run_here("train", *WORDS, "model.gradient_checkpointing=true")
    assert cut.code == 130, cut.err
    run = only_run(tmp_path)
    assert len(history(run)) == 2
    assert run_here("resume", run.name).code == 0

    assert history(run) == history(whole)
    assert class_weights(run) == class_weights(whole)
    assert (run / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    last = "checkpoints/train/last.safetensors"
    ours, theirs = load_file(run / last), load_file(whole / last)
    assert ours.keys() == theirs.keys()
    assert "loss:of_right" in ours
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.draws
def test_its_records_pages_and_predictions_have_the_uncertainty(
    whole: Path, run_here: Expkit
) -> None:
    """Nothing is found wrong with it; weights of classes by name, both orders of its errors."""
    weights = class_weights(whole)
    assert [signal["epoch"] for signal in weights] == [1, 2, 3, 4]
    assert weights[0]["class_names"] == [str(digit) for digit in range(10)]
    assert weights[0]["weights"] != weights[-1]["weights"]
    summary = json.loads((whole / "summary.json").read_text())
    assert [f["rule"] for f in summary["findings"] if f["severity"] != "info"] == []
    assert set(summary["selective"]["test"]) == {"confidence", "uncertainty"}
    assert run_here("plot", str(whole)).code == 0
    plots = {path.stem for path in (whole / "plots").iterdir()}
    assert plots >= {"class_weights_train", "risk_coverage"}
    assert "| uncertainty |" in (whole / "report.md").read_text()

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save("digit.png")
    done = run_here("predict", str(whole), "digit.png")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert float(row["uncertainty"]) > 0
    assert row["error"] == ""
