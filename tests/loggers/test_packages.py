"""Each logger with its real package: what it holds is what the run recorded, whole and once.

`make test-loggers` installs them; where one is not installed, its tests say so.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from read_back import Held, read_mlflow, read_tensorboard, read_trackio, read_wandb
from running_expkit import Expkit

from expkit.records.run.reader import Run

NAMES = ("tensorboard", "mlflow", "wandb", "trackio")
# a library's own deprecations are not ours
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@dataclasses.dataclass(frozen=True)
class Tried:
    """A logger, the words by which it is sent to, and how it is read."""

    name: str
    words: list[str]
    read: Callable[[Path], Held]


@pytest.fixture(params=NAMES)
def tried(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    name: str = request.param
    pytest.importorskip(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "tracks"))
    for module in [each for each in sys.modules if each.split(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, module)  # it reads its folder when it is loaded
    read: dict[str, Callable[[Path], Held]] = {
        "tensorboard": lambda run: read_tensorboard(run / "tensorboard"),
        "mlflow": lambda run: read_mlflow(f"sqlite:///{tmp_path}/mlflow.db", run.name),
        "wandb": lambda _: read_wandb(tmp_path / "wandb"),
        "trackio": lambda run: read_trackio(run.name),
    }
    return Tried(name, ["log", "--to", name], read[name])


@pytest.fixture
def run(tiny_run: Path) -> Path:
    """A finished run with a plot."""
    (tiny_run / "plots").mkdir(exist_ok=True)
    Image.new("RGB", (8, 6)).save(tiny_run / "plots" / "curves_train.png")
    return tiny_run


def points_of(run: Path, name: str, stage: str = "train") -> list[tuple[int, float]]:
    """What the run recorded of a figure, as floats of the size that TensorBoard has."""
    history = Run(run).history
    return [(line["epoch"], line[name]) for line in history if line["stage"] == stage]


def alike(held: list[tuple[int, float]], recorded: list[tuple[int, float]]) -> bool:
    """Tell whether both have the same epochs once, and the same values in single precision."""
    return [step for step, _ in held] == [epoch for epoch, _ in recorded] and all(
        math.isclose(a, b, rel_tol=1e-6) for (_, a), (_, b) in zip(held, recorded, strict=True)
    )


def test_what_it_holds_is_what_was_recorded(tried: Tried, run: Path, expkit: Expkit) -> None:
    """Every epoch, the final figures with their split, verdict, stages, a plot; then no more."""
    done = expkit(*tried.words)
    assert done.code == 0, done.err
    assert done.out.endswith("4 epochs and its end\n")
    held = tried.read(run)
    for name in ("train/loss", "train/accuracy", "lr"):
        assert alike(held.points[name], points_of(run, name)), name
    summary = Run(run).summary
    assert summary is not None
    accuracy = summary["metrics"]["train"]["accuracy"]
    final = "final/train/accuracy"
    found = held.points[final][0][1] if final in held.points else float(held.texts[final])
    assert math.isclose(found, accuracy, rel_tol=1e-6)
    assert str(held.texts["verdict"]).startswith(summary["verdict"])
    assert str(held.texts["stage/train"]).startswith("PASS")
    assert any("curves_train" in image for image in held.images)
    again = expkit(*tried.words)
    assert again.out.endswith("nothing: it has all of it\n"), again.out + again.err
    assert tried.read(run) == held


def test_a_run_sent_in_half_is_whole_in_the_end(tried: Tried, run: Path, expkit: Expkit) -> None:
    """Sent after two epochs, then killed in the middle of a third; the rest comes later, once.

    The record in the run's folder is lost between: the logger itself is asked, or begun anew.
    """
    whole = run.parent / "whole"
    shutil.copytree(run, whole)
    lines = (run / "history.jsonl").read_text().splitlines(keepends=True)
    (run / "history.jsonl").write_text("".join([*lines[:2], lines[2][:20]]))
    for name in ("stages.jsonl", "summary.json", "predictions.csv"):
        (run / name).unlink()
    assert "2 epochs" in expkit(*tried.words, str(run)).out
    assert [step for step, _ in tried.read(run).points["train/loss"]] == [1, 2]
    if tried.name == "tensorboard":
        (file,) = (run / "tensorboard").iterdir()
        file.write_bytes(file.read_bytes() + b"\x99" * 21)  # a write that was cut off
    shutil.rmtree(run / "sent")
    for name in ("history.jsonl", "stages.jsonl", "summary.json", "predictions.csv"):
        shutil.copy(whole / name, run / name)
    done = expkit(*tried.words, str(run))
    assert done.code == 0, done.err
    assert alike(tried.read(run).points["train/loss"], points_of(run, "train/loss"))


def test_a_hostile_run_is_sent_as_text_and_numbers(tried: Tried, run: Path, expkit: Expkit) -> None:
    """Figures that are not finite or huge, names with control characters, texts without end."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    lines[0]["train/loss"] = math.nan  # as a diverged loss is written
    lines[3]["train/loss"] = math.inf
    lines[1]["train/loss"] = 1e308
    lines[2]["train/../../\x1b[31m\u202e|loss" + "y" * 300] = 0.5
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = (run / "config.yaml").read_text()
    long = json.dumps("<script>\x1b]0;" + "z" * 20_000)
    (run / "config.yaml").write_text(config.replace("hypothesis: ''", f"hypothesis: {long}"))
    summary = json.loads((run / "summary.json").read_text())
    summary["verdict_reason"] = "\x1b[2J" + "v" * 100_000
    summary["metrics"]["train"]["a\nb\x00"] = 1e300
    (run / "summary.json").write_text(json.dumps(summary))
    done = expkit(*tried.words)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    held = tried.read(run)
    values = held.points["train/loss"]
    assert [step for step, _ in values] == [1, 2, 3, 4] or tried.name == "trackio"
    assert values[1][1] > 1e30
    assert "\x1b" not in json.dumps(held.texts, ensure_ascii=False)
    assert "\x1b" not in "".join(held.points)
    assert expkit(*tried.words).out.endswith("nothing: it has all of it\n")


def test_a_store_that_is_locked_or_full_is_told_of(tried: Tried, run: Path, expkit: Expkit) -> None:
    """The folder cannot be written: one screen, no traceback, and the command to send it later."""
    places = {
        "tensorboard": ["logger.tensorboard.folder=/dev/null/a"],
        "mlflow": ["logger.mlflow.tracking_uri=sqlite:////dev/null/a.db"],
        "wandb": ["logger.wandb.folder=/dev/null/a"],
        "trackio": ["logger.trackio.folder=/dev/null/a"],
    }
    done = expkit(*tried.words, str(run), *places[tried.name])
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "cannot write" in done.err
