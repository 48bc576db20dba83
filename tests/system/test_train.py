"""`expkit train` as its user meets it: what it leaves behind, and how it ends."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from running_expkit import TINY, TINY_GATES, Expkit, expkit_command, only_run

FILES = {
    "config.yaml", "overrides.yaml", "environment.json", "dataset.json", "history.jsonl",
    "stages.jsonl", "metrics.csv", "predictions.csv", "summary.json", "report.md", "log.txt",
}  # fmt: skip


@pytest.mark.draws
def test_a_run_leaves_everything_that_the_issue_names(run_here: Expkit, tmp_path: Path) -> None:
    """Gates, training and evaluation run, and every file of the run folder is there."""
    done = run_here("train", *TINY)
    assert done.code == 0, done.err
    run = only_run(tmp_path)
    assert {path.name for path in run.iterdir() if path.is_file()} >= FILES
    assert {path.name for path in (run / "checkpoints" / "train").iterdir()} == {
        "best.safetensors",
        "digests.jsonl",
        "last.safetensors",
    }
    assert {
        "augmented.png",
        "curves_train.png",
        "puzzle_accuracy.png",
        "puzzle_heatmap.png",
        "puzzle_grid.png",
    } <= {path.name for path in (run / "plots").iterdir()}
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history if line["stage"] == "train"] == [1, 2, 3, 4]
    assert json.loads((run / "summary.json").read_text())["status"] == "finished"
    assert "measured on the training samples" in done.out
    assert (run / "overrides.yaml").read_text().startswith("- dataset.rows=2")


@pytest.mark.slow
def test_predictions_hold_a_probability_of_each_class(run_here: Expkit, tmp_path: Path) -> None:
    """Rows sum to one, the prediction is the largest, and the rank counts what lies above."""
    run_here("train", *TINY, "procedure=full")
    with (only_run(tmp_path) / "predictions.csv").open() as stream:
        header, *rows = csv.reader(stream)
    names = header[5:]
    assert names == ["r0c0", "r0c1", "r0c2", "r1c0", "r1c1", "r1c2"]
    for _, _, target, prediction, rank, *texts in rows:
        probabilities = np.array(texts, float)
        assert probabilities.sum() == pytest.approx(1, abs=1e-4)
        assert names[probabilities.argmax()] == prediction
        assert int(rank) == (probabilities > probabilities[names.index(target)]).sum()


@pytest.mark.slow
def test_one_seed_gives_the_same_numbers_twice(run_here: Expkit, tmp_path: Path) -> None:
    """And another seed gives others."""
    for seed in (1, 1, 2):
        run_here("train", *TINY, "procedure=full", f"seed={seed}", f"name=seed{seed}")
    first, again, other = (
        path.read_bytes() for path in sorted(tmp_path.glob("outputs/*/predictions.csv"))
    )
    assert first == again
    assert first != other


def test_a_failed_gate_ends_the_run_before_training(run_here: Expkit, tmp_path: Path) -> None:
    """It says which gate and by how much, and the exit code is 1."""
    done = run_here("train", *TINY, "procedure.overfit_10.max_steps=2")
    assert done.code == 1
    assert "FAIL  overfit_10: 6 samples not learnt in 2 steps" in done.out
    assert "not < 0.1" in done.out
    run = only_run(tmp_path)
    assert '"stage": "train"' not in (run / "history.jsonl").read_text()
    assert json.loads((run / "summary.json").read_text())["status"] == "failed"


@pytest.mark.slow
def test_more_overfit_samples_than_data_is_said(run_here: Expkit) -> None:
    """All samples are used instead."""
    done = run_here("train", *TINY_GATES, "procedure=overfit")
    assert "asked for 10 samples, the training split has 6: all are used" in done.out


@pytest.mark.slow
def test_an_unmet_criterion_gives_exit_code_1(run_here: Expkit, tmp_path: Path) -> None:
    """The run itself went well; what it was to reach was not reached."""
    done = run_here(
        "train", *TINY, "procedure=full", "criteria=classification", "criteria.accuracy='> 0.999'"
    )
    assert done.code == 1
    assert "NOT MET" in done.out
    summary = json.loads((only_run(tmp_path) / "summary.json").read_text())
    assert [criterion["met"] for criterion in summary["criteria"]] == [False]


@pytest.mark.draws
@pytest.mark.broad(1)
@pytest.mark.parametrize(
    "words",
    [
        ("dataset.target=rotation",),
        ("dataset.target=position", "loss=mse"),
        ("model.norm=batch", "model.dropout=0.2", "model.init=orthogonal"),
        ("model=deep_head", "model.norm=group", "optimizer=sgd", "schedule=cosine"),
        ("model=larger_backbone", "optimizer=adamw", "schedule=one_cycle"),
        ("schedule.warmup_epochs=1", "loss.label_smoothing=0.1", "loss.class_weights=balanced"),
        ("device.precision=bf16", "device.channels_last=false", "device.deterministic=true"),
        ("dataset.normalize=sample", "procedure.train.max_gradient_norm=1.0"),
        ("device.precision=fp16",),
    ],
    ids=",".join,
)
def test_every_choice_runs_to_its_end(words: tuple[str, ...], run_here: Expkit) -> None:
    """No option is only a line in a YAML."""
    done = run_here("train", *TINY, "procedure=full", *words)
    assert done.code == 0, done.err


@pytest.mark.draws
@pytest.mark.slow
def test_digits_are_judged_on_test_and_chosen_on_val(run_here: Expkit, tmp_path: Path) -> None:
    """The verdict is measured on samples that had no say in the choice of the epoch."""
    done = run_here("train", "dataset=digits", "procedure=full", "procedure.train.max_epochs=2",
                    "criteria=none", "device.threads=1")  # fmt: skip
    assert done.code == 0, done.err
    summary = json.loads((only_run(tmp_path) / "summary.json").read_text())
    assert summary["judged_split"] == "test"
    assert "val/loss" in (only_run(tmp_path) / "history.jsonl").read_text()


@pytest.mark.slow
def test_a_second_picture_is_held_out(run_here: Expkit, tmp_path: Path) -> None:
    """Trained on one puzzle, watched and judged on the other."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "other.png")
    done = run_here("train", *TINY, "procedure=full", "dataset.held_out_image=other.png")
    assert done.code == 0, done.err
    assert "measured on held-out samples: val" in done.out


@pytest.mark.slow
def test_early_stopping_and_targets(run_here: Expkit, tmp_path: Path) -> None:
    """Training ends at the first epoch that meets the target, and the reason says so."""
    done = run_here(
        "train", *TINY, "procedure=full", "procedure.train.max_epochs=300",
        "procedure.train.stop_at={train/accuracy: '>= 0.5'}",
    )  # fmt: skip
    assert "reached train/accuracy >= 0.5 at epoch" in done.out
    done = run_here(
        "train", *TINY, "procedure=full", "procedure.train.max_epochs=300", "optimizer.lr=1e-12",
        "procedure.train.patience=3", "procedure.train.monitor=accuracy",
    )  # fmt: skip
    assert "no better accuracy for 3 epochs; best epoch 1" in done.out


def test_a_diverging_run_fails_and_says_where(run_here: Expkit) -> None:
    """A loss that is no number any more ends the run in that epoch, with exit code 1."""
    done = run_here("train", *TINY, "procedure=full", "optimizer=sgd", "optimizer.lr=1e30")
    assert done.code == 1
    assert "the training loss became" in done.out


def test_a_training_picture_is_not_held_out(run_here: Expkit, tmp_path: Path) -> None:
    """The same image twice would be judged on what it was trained on."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "one.png")
    words = ("dataset.image=one.png", "dataset.held_out_image=one.png")
    done = run_here("train", *TINY, "procedure=full", *words)
    assert done.code == 2
    assert "'val' is the training split" in done.err


@pytest.mark.slow
def test_a_run_outlives_the_reader_of_its_output(tmp_path: Path) -> None:
    """`expkit train | head -1` goes on to its end, and its exit code is the run's own."""
    process = subprocess.Popen(
        expkit_command(["train", *TINY, "procedure=full"]),
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert (only_run(tmp_path) / "summary.json").exists()


@pytest.mark.slow
def test_a_sweep_runs_every_job_in_a_folder_of_its_own(run_here: Expkit, tmp_path: Path) -> None:
    """Also when one of them fails a gate; the exit code is the worst."""
    done = run_here(
        "train", "-m", *TINY_GATES, "procedure=overfit", "procedure.overfit_1.max_steps=1,500",
        "procedure.overfit_10.max_steps=500",
    )  # fmt: skip
    assert done.code == 1
    (sweep,) = tmp_path.glob("outputs/*_sweep")
    assert len(list(sweep.glob("2*/summary.json"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("model", ["simple_conv", "deep_head", "larger_backbone"])
def test_the_gates_pass_for_every_model_and_optimizer(
    model: str, optimizer: str, run_here: Expkit
) -> None:
    """As they are shipped, on the default puzzle, with smoothed labels in the training loss too."""
    done = run_here(
        "train", "procedure=overfit", f"model={model}", f"optimizer={optimizer}",
        "loss.label_smoothing=0.1", "device.threads=1",
    )  # fmt: skip
    assert done.code == 0, done.out


@pytest.mark.slow
@pytest.mark.parametrize("words", ["model=choice(simple_conv,deep_head)", "seed=range(0,2)"])
def test_hydra_sweep_functions_work(words: str, run_here: Expkit, tmp_path: Path) -> None:
    """Sweeps that are not written as a list of values."""
    assert run_here("train", "-m", *TINY_GATES, "procedure=overfit", words).code == 0
    assert len(list(tmp_path.glob("outputs/*_sweep/2*"))) == 2


def test_an_impossible_job_is_refused_before_the_first(run_here: Expkit, tmp_path: Path) -> None:
    """Once, by its number and words, and no folder is left."""
    done = run_here("train", "-m", *TINY, "procedure=full", "procedure.train.batch_size=2,-1,-2")
    assert done.code == 2
    assert "batch_size cannot be -1" in done.err
    assert "job 1: " in done.err
    assert not (tmp_path / "outputs").exists()


def test_an_impossible_part_of_a_library_is_refused_before_the_first_job(
    run_here: Expkit, tmp_path: Path
) -> None:
    """Its class is looked at for every job, and no folder is left."""
    done = run_here("train", "-m", *TINY, "optimizer.eps=1e-8,small")
    assert done.code == 2
    assert "optimizer.eps cannot be 'small'" in done.err
    assert "job 1: " in done.err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_hydra_words_work(expkit: Expkit, tmp_path: Path) -> None:
    """Flags, additions, deletions, interpolations and a config folder of one's own."""
    shown = expkit(
        "train", "--cfg", "job", "~procedure.overfit_10", "+optimizer.amsgrad=true",
        "procedure.overfit_1.max_steps=${procedure.train.max_epochs}",
    )  # fmt: skip
    assert shown.code == 0
    assert "overfit_10" not in shown.out
    assert "amsgrad: true" in shown.out
    assert "procedure: standard" in expkit("train", "--info", "defaults-tree").out
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "optimizer" / "mine.yaml").write_text("# Mine\nlr: 0.5\n")
    assert (
        "lr: 0.5" in expkit("train", "--config-dir", "mine", "optimizer=mine", "--cfg", "job").out
    )


def test_a_users_own_project_works_beside_the_built_in(run_here: Expkit, tmp_path: Path) -> None:
    """A model of theirs is one module plus one YAML; a choice of theirs replaces ours."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(
        "# A net of my own\n_target_: my_net_for_expkit.Net\n_partial_: true\nwidth: 8\n"
    )
    (tmp_path / "my_net_for_expkit.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, width: int, *, image_shape, num_outputs):\n"
        "        super().__init__(nn.AdaptiveAvgPool2d(4), nn.Flatten(),\n"
        "            nn.Linear(image_shape[0] * 16, width), nn.ReLU(),\n"
        "            nn.Linear(width, num_outputs))\n"
    )
    done = run_here("train", *TINY, "procedure=full", "model=mine", "model.width=16")
    assert done.code == 0, done.err
    listed = run_here("list", "model").out
    assert "A net of my own  (yours)" in listed
    assert "larger_backbone" in listed
