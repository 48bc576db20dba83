"""A run that was cut off ends with the numbers of the one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from running_expkit import TINY, TINY_GATES, Expkit, expkit_command, only_run
from safetensors.numpy import load_file

LONG = (*TINY, "model.norm=batch", "model.dropout=0.1", "procedure.train.max_epochs=400")
TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")


def numbers(run: Path) -> list[dict[str, object]]:
    """The history without what a clock says."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        expkit_command(["train", *words, f"output_dir={folder / 'outputs'}"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )


def wait_for_epoch(folder: Path, epoch: int, stage: str = "train") -> Path:
    """Until the one run there has recorded this epoch."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in folder.glob("outputs/2*/history.jsonl"):
            if f'"stage": "{stage}", "epoch": {epoch},' in path.read_text():
                return path.parent
        time.sleep(0.005)
    raise AssertionError(f"no epoch {epoch} of {stage} within a minute")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder, *LONG)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return only_run(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "epoch"), [(signal.SIGKILL, 3), (signal.SIGINT, 40), (signal.SIGTERM, 150)]
)
def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(
    stop: signal.Signals, epoch: int, tmp_path: Path, whole: Path, expkit: Expkit
) -> None:
    """Bit for bit, in history, predictions and weights, with batch norm and dropout in the net."""
    process = start(tmp_path, *LONG)
    run = wait_for_epoch(tmp_path, epoch)
    process.send_signal(stop)
    output, _ = process.communicate(timeout=60)
    if stop != signal.SIGKILL:
        assert process.returncode == 130, output
        assert f"expkit resume {run.name}" in output
    assert len(numbers(run)) < len(numbers(whole))

    resumed = expkit("resume", run.name)

    assert resumed.code == 0, resumed.err
    assert numbers(run) == numbers(whole)
    assert (run / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    for name in ("best", "last"):
        ours = load_file(run / "checkpoints" / "train" / f"{name}.safetensors")
        theirs = load_file(whole / "checkpoints" / "train" / f"{name}.safetensors")
        assert ours.keys() == theirs.keys()
        assert all((ours[key] == theirs[key]).all() for key in ours)


@pytest.mark.slow
def test_a_kill_in_a_gate_repeats_the_gate(tmp_path: Path, expkit: Expkit) -> None:
    """What a killed gate had recorded is dropped, and recorded once when it runs again."""
    process = start(tmp_path, *TINY_GATES, "procedure.overfit_1.max_loss=1e-6", "procedure=overfit")
    run = wait_for_epoch(tmp_path, 5, "overfit_1")
    process.kill()
    process.communicate(timeout=60)

    expkit("resume", "last")

    steps = [line["epoch"] for line in numbers(run) if line["stage"] == "overfit_1"]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_torn_lines_and_a_lost_last_checkpoint_are_survived(
    tmp_path: Path, whole: Path, expkit: Expkit
) -> None:
    """A history cut in the middle of a line, without its stage's end, goes on to the same end."""
    import shutil

    run = tmp_path / "outputs" / whole.name
    shutil.copytree(whole, run)
    history = (run / "history.jsonl").read_bytes()
    (run / "history.jsonl").write_bytes(history[:-30])
    stages = (run / "stages.jsonl").read_text().splitlines()
    (run / "stages.jsonl").write_text("\n".join(stages[:2]) + "\n")
    (run / "checkpoints" / "train" / "last.safetensors").unlink()

    assert expkit("resume", str(run)).code == 0
    assert numbers(run) == numbers(whole)


@pytest.mark.slow
def test_a_finished_run_says_that_it_is_finished(whole: Path, expkit: Expkit) -> None:
    """Nothing is run again, and nothing in the folder changes."""
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    done = expkit("resume", str(whole))
    assert done.code == 0
    assert "has finished: there is nothing to resume" in done.out
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


@pytest.mark.slow
def test_an_edited_config_is_refused(tmp_path: Path, whole: Path, expkit: Expkit) -> None:
    """Going on with another config would not be the same run."""
    import shutil

    run = tmp_path / "copy"
    shutil.copytree(whole, run)
    (run / "stages.jsonl").unlink()
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("lr: 0.001", "lr: 0.002"))
    done = expkit("resume", str(run))
    assert done.code == 2
    assert "config.yaml was edited" in done.err


@pytest.mark.slow
def test_a_strangers_config_runs_no_code(tmp_path: Path, whole: Path, expkit: Expkit) -> None:
    """Not even when it names itself trustworthy: only the user's --trust does."""
    import shutil

    from expkit.runner.run import hash_text

    run = tmp_path / "stranger"
    shutil.copytree(whole, run)
    (run / "stages.jsonl").unlink()
    text = (run / "config.yaml").read_text().replace("trust: []", "trust: [os]")
    text = text.replace("_target_: expkit.models.conv.ConvNet", "_target_: os.system")
    (run / "config.yaml").write_text(text)
    environment = json.loads((run / "environment.json").read_text())
    environment["config_hash"] = hash_text(text)
    (run / "environment.json").write_text(json.dumps(environment))
    done = expkit("resume", str(run))
    assert done.code == 2
    assert "os.system" in done.err


@pytest.mark.slow
def test_code_inside_a_run_folder_is_not_ones_own(
    tmp_path: Path, whole: Path, expkit: Expkit
) -> None:
    """A gift in the working directory may hold modules; resuming it does not import them."""
    import shutil

    from expkit.runner.run import hash_text

    run = tmp_path / "gift"
    shutil.copytree(whole, run)
    (run / "stages.jsonl").unlink()
    (run / "__init__.py").write_text("")
    (run / "payload.py").write_text("open('executed', 'w').close()\ndef f(**words): ...\n")
    text = (run / "config.yaml").read_text()
    text = text.replace("_target_: expkit.data.datasets.puzzle.Puzzle", "_target_: gift.payload.f")
    (run / "config.yaml").write_text(text)
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(
        json.dumps({**environment, "config_hash": hash_text(text)})
    )
    done = expkit("resume", "gift")
    assert done.code == 2
    assert "gift.payload.f" in done.err
    assert not (tmp_path / "executed").exists()


def test_the_exit_code_of_an_ended_run_is_its_verdicts(tmp_path: Path, run_here: Expkit) -> None:
    """Also where it is asked for by resume: a scheduler that requeues must learn of it."""
    words = ("procedure=full", "criteria=classification", "criteria.accuracy='> 0.999'")
    assert run_here("train", *TINY, *words).code == 1
    (only_run(tmp_path) / "summary.json").unlink()
    assert run_here("resume", "last").code == 1


@pytest.mark.slow
def test_a_signal_ends_a_whole_sweep(tmp_path: Path) -> None:
    """And not only the job that it falls into."""
    process = subprocess.Popen(
        expkit_command(
            [
                "train",
                "-m",
                *LONG[:-1],
                "procedure.train.max_epochs=9000",
                "launcher.jobs=1",
                "seed=1,2",
            ]
        ),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("outputs/*/2*/checkpoints")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) == 130
    assert len(list(tmp_path.glob("outputs/*/2*"))) == 1


@pytest.mark.slow
def test_a_running_run_is_left_alone(tmp_path: Path, expkit: Expkit) -> None:
    """Two processes never write into one folder."""
    process = start(tmp_path, *TINY, "procedure.train.max_epochs=100000")
    run = wait_for_epoch(tmp_path, 2)
    try:
        done = expkit("resume", run.name)
        assert done.code == 2
        assert "still running" in done.err
        assert "running" in expkit("show", run.name).out
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
