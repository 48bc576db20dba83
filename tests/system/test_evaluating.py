"""Train on one folder of images, evaluate on another: figures of what was asked, or why not."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_expkit import Done, without_plots

CLASSES = {"bright": 160, "dark": 0, "middle": 80}
TRAIN = (
    *("dataset=image_folder", "dataset.root=A", "dataset.size=20", "dataset.cache_dir=cache"),
    *("procedure=full", "procedure.train.max_epochs=10", "optimizer.lr=0.01", "model.init=kaiming"),
    *("device.precision=fp32", "device.threads=1", "criteria=none", "name=a"),
)


def write_images(folder: Path, classes: Mapping[str, int], count: int, seed: int) -> None:
    """Noise of a level by class, which any net tells apart; no two images are alike."""
    rng = np.random.default_rng(seed)
    for name, low in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(low, low + 90, (24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{seed}_{number}.png")


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation told, and the folder that it left, where it left one."""

    done: Done
    path: Path | None

    def read(self, name: str) -> dict[str, Any]:
        assert self.path is not None, self.done.err
        content: dict[str, Any] = json.loads((self.path / name).read_text())
        return content

    @property
    def answers(self) -> list[dict[str, str]]:
        assert self.path is not None, self.done.err
        with (self.path / "predictions.csv").open() as file:
            return list(csv.DictReader(file))


Evaluate = Callable[..., Evaluated]


def dispatch_in(folder: Path, words: tuple[str, ...], patch: pytest.MonkeyPatch) -> int:
    from expkit.cli import dispatch

    patch.chdir(folder)
    patch.setattr(sys, "argv", ["expkit", *words])
    return dispatch(words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a run was trained on A: 12 training and 4 validation images a class."""
    folder = tmp_path_factory.mktemp("world")
    write_images(folder / "A" / "train", CLASSES, 12, 1)
    write_images(folder / "A" / "val", CLASSES, 4, 2)
    with pytest.MonkeyPatch.context() as patch, without_plots():
        assert dispatch_in(folder, ("train", *TRAIN), patch) == 0
    return folder


@pytest.fixture
def evaluate(
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undrawn: None,
) -> Evaluate:
    """Runs `expkit evaluate a WORDS`, without the plots, which take most of the time."""

    def run(*words: str) -> Evaluated:
        before = set((world / "outputs").glob("2*"))
        code = dispatch_in(world, ("evaluate", "a", *words), monkeypatch)
        captured = capsys.readouterr()
        made = set((world / "outputs").glob("2*")) - before
        assert len(made) <= 1
        return Evaluated(Done(code, captured.out, captured.err), made.pop() if made else None)

    return run


def advice_of(refused: Evaluated, line: int = 0) -> list[str]:
    """The words that a refusal says to do."""
    assert refused.done.code == 2, refused.done.out
    assert refused.path is None
    lines = refused.done.err.split("  do       ")[1].splitlines()
    return shlex.split(lines[line])


@pytest.mark.broad(1)
@pytest.mark.parametrize("layout", ["B1", "B1/test", "B1/val", "B1/train"])
def test_all_samples_of_another_folder_are_evaluated(
    world: Path, evaluate: Evaluate, layout: str
) -> None:
    """With a size, in any layout: nothing is held out of it, and the sentence says whose it is."""
    shutil.rmtree(world / "B1", ignore_errors=True)
    write_images(world / layout, CLASSES, 3, 3)
    found = evaluate("dataset.root=B1")
    assert found.done.code == 0, found.done.err
    split = "val" if layout.endswith("val") else "test"
    assert [row["split"] for row in found.answers] == [split] * 9
    summary = found.read("summary.json")
    assert summary["judged_split"] == split
    assert "other data than" in summary["judged_on"]
    assert "none of them is a training sample" in summary["judged_on"]
    assert summary["metrics"][split]["accuracy"] == 1.0


def test_own_data_needs_no_word(evaluate: Evaluate) -> None:
    """The same splits as in training, and no leak that training did not have."""
    found = evaluate()
    summary = found.read("summary.json")
    assert "held out from" in summary["judged_on"]
    assert {row["split"] for row in found.answers} == {"train", "val"}
    assert "leaked_samples" not in found.done.out


def test_training_samples_are_told_before_any_figure(world: Path, evaluate: Evaluate) -> None:
    """Two equal images, one of them renamed: their number, their names, then the figures."""
    write_images(world / "leaky", CLASSES, 6, 4)
    train = world / "A" / "train"
    shutil.copy(train / "dark" / "1_3.png", world / "leaky" / "dark" / "stolen.png")
    shutil.copy(train / "bright" / "1_0.png", world / "leaky" / "bright" / "1_0.png")
    found = evaluate("dataset.root=leaky")
    told, _, figures = found.done.out.partition("PASS  evaluate")
    assert "WARN  leaked_samples: 2 of 20 samples of test are training samples" in told
    assert "dark/stolen.png" in told
    assert "accuracy" in figures
    summary = found.read("summary.json")
    assert "2 of them are among its training samples" in summary["judged_on"]
    (finding,) = [each for each in summary["findings"] if each["rule"] == "leaked_samples"]
    assert any("dark/1_3.png" in pair for pair in finding["evidence"]["images"])


@pytest.mark.slow
def test_another_split_of_the_own_data_leaks(world: Path, evaluate: Evaluate) -> None:
    """A validation split drawn anew out of what was trained on is no test, and that is said."""
    found = evaluate("dataset.root=A/train", "dataset.val_fraction=0.25", "dataset.test_fraction=0")
    assert "9 of 9 samples of val are training samples of" in " ".join(found.done.out.split())
    whole = evaluate("dataset.root=A/train")
    assert "samples that" in whole.read("summary.json")["judged_on"]
    assert "36 of 36 samples of test are training" in " ".join(whole.done.out.split())


@pytest.mark.slow
def test_fewer_of_the_own_samples_are_known_as_such(evaluate: Evaluate) -> None:
    """With another limit: still held out from the run, and a part of its val."""
    judged = evaluate("dataset.limit=2").read("summary.json")["judged_on"]
    assert "held out from" in judged
    assert "(of its val, which also chose its epoch)" in judged


def test_a_subset_of_the_classes(world: Path, evaluate: Evaluate) -> None:
    """The model keeps its outputs; figures are over what is there; what is absent is named."""
    write_images(world / "two", {"bright": 160, "middle": 0}, 5, 5)
    found = evaluate("dataset.root=two")
    assert found.done.code == 0, found.done.err
    assert {*CLASSES} <= found.answers[0].keys()
    assert "1 of the 3 classes" in found.done.out
    assert "no samples here: dark" in found.done.out
    # the five that are called middle are dark: the model answers with a class that is absent
    summary = found.read("summary.json")
    assert summary["metrics"]["test"]["accuracy"] == 0.5
    assert summary["metrics"]["test"]["balanced_accuracy"] == 0.5
    recalls = {row["class"]: row["recall"] for row in summary["classes"]["test"]}
    assert recalls == {"bright": 1.0, "dark": None, "middle": 0.0}
    assert not any(each["rule"] == "rule_failed" for each in summary["findings"])


def test_a_class_that_the_model_does_not_know(world: Path, evaluate: Evaluate) -> None:
    """Refused by name and number; the advice leaves those out, and also in a resumed run."""
    write_images(world / "more", {**CLASSES, "absurd": 120}, 3, 6)
    refused = evaluate("dataset.root=more")
    assert "absurd (3 samples)" in refused.done.err
    assert advice_of(refused)[:2] == ["add", "--known-classes-only,"]
    found = evaluate("dataset.root=more", "--known-classes-only")
    assert found.done.code == 0, found.done.err
    assert len(found.answers) == 9
    assert "3 samples left out" in found.done.out


def test_misspelt_classes_are_told_with_the_names_meant(world: Path, evaluate: Evaluate) -> None:
    """A capital letter is another name."""
    write_images(world / "spelt", {"Bright": 160, "dark": 0}, 2, 7)
    assert "rename 'Bright' to 'bright'" in evaluate("dataset.root=spelt").done.err


@pytest.mark.slow
def test_classes_one_level_deeper(world: Path, evaluate: Evaluate) -> None:
    """A folder with a name of its own around the classes: the advice finds them."""
    write_images(world / "deep" / "holdout", CLASSES, 2, 8)
    advised = evaluate(*advice_of(evaluate("dataset.root=deep")))
    assert advised.done.code == 0, advised.done.err
    assert len(advised.answers) == 6


def test_a_flat_folder_of_images_is_for_predict(
    world: Path, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without labels nothing can be measured; the advised command answers them."""
    (world / "flat").mkdir()
    shutil.copy(world / "A" / "val" / "dark" / "2_0.png", world / "flat" / "x.png")
    program, *words = advice_of(evaluate("dataset.root=flat"))
    assert program == "expkit"
    assert dispatch_in(world, tuple(words), monkeypatch) == 0


@pytest.mark.slow
def test_images_of_other_sizes_are_resized_by_the_runs_rule(
    world: Path, evaluate: Evaluate
) -> None:
    """Also where the dataset is named anew; a size that is asked for is refused with the right."""
    write_images(world / "large", CLASSES, 2, 9)
    Image.new("RGB", (70, 50), (200, 200, 200)).save(world / "large" / "bright" / "other.png")
    refused = evaluate("dataset=image_folder", "dataset.root=large", "dataset.size=8")
    words = advice_of(refused)
    assert words == ["dataset.size=[20,20]"]
    for given in ((), words):
        found = evaluate("dataset=image_folder", "dataset.root=large", *given)
        assert found.done.code == 0, found.done.err
        assert len(found.answers) == 7


@pytest.mark.slow
def test_training_data_that_is_gone_is_said(
    world: Path, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are there; that nobody could look for leaks is, too."""
    write_images(world / "later", CLASSES, 2, 10)
    (world / "A").rename(world / "moved")
    try:
        found = evaluate("dataset.root=later")
        whole = evaluate("dataset.root=moved/train")
    finally:
        (world / "moved").rename(world / "A")
    assert found.done.code == 0, found.done.err
    assert "INFO  leaked_samples" in found.done.out
    assert "was not checked" in found.read("summary.json")["judged_on"]
    # the records alone know the whole training split again
    assert "36 of 36 samples of test are training" in " ".join(whole.done.out.split())


@pytest.mark.slow
def test_an_interrupted_evaluation_is_resumed(
    world: Path, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked of the classes is in its records."""
    write_images(world / "again", {**CLASSES, "absurd": 120}, 3, 11)
    found = evaluate("dataset.root=again", "--known-classes-only")
    assert found.path is not None
    before = (found.path / "predictions.csv").read_bytes()
    for name in ("stages.jsonl", "predictions.csv", "summary.json"):
        (found.path / name).unlink()
    assert dispatch_in(world, ("resume", str(found.path)), monkeypatch) == 0
    assert (found.path / "predictions.csv").read_bytes() == before
