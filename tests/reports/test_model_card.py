"""The page beside an exported model, made from records alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_runs import classes_run, position_run

from expkit.records.exported import METADATA, RECORDS, VERIFICATION, ExportRecord
from expkit.records.run.metadata import Leaks, SplitLeaks, TrainedBy
from expkit.records.run.reader import Run
from expkit.reports.model_card import _calibration, model_card, write_card
from expkit.reports.run.pages import refresh

NAME = "20260101_120000_digits"
LATENCY = {"median_ms": 1.25, "p95_ms": 2.5, "p99_ms": 3.75, "num_runs": 42}
PROOF: dict[str, Any] = {
    "passed": True,
    "agreement_interval": [0.98, 1.0],
    "largest_difference": 1.5e-07,
    "split": "test",
    "is_held_out": True,
    "num_samples": 200,
    "required_agreement": 0.999,
    "batch_sizes": {"1": {"num_equal": 200}, "7": {"num_equal": 199}},
    "from_files": {"num_files": 64, "num_equal": 63, "largest_difference": 0.25, "reason": ""},
    "speed": {
        "shape": [8, 8, 1],
        "exported": LATENCY,
        "torch": {**LATENCY, "median_ms": 9.5},
        "threads": 2,
        "exported_bytes": 2_500_000,
        "torch_bytes": 1_250_000,
    },
}

FILES = {
    "onnx": ["model.onnx"],
    "openvino": ["model.xml", "model.bin"],
    "torch_export": ["model.pt2"],
}


def export_of(run: Run, folder: Path, proof: Any = PROOF, **changes: Any) -> Path:
    """Make an exported folder of a run whose file predicts as the run did."""
    metadata = run.dataset
    names = metadata.class_names
    about = {
        "made": "2026-12-01T12:00:00+00:00",
        "expkit_version": "0.1.0",
        "class_names": names,
        "target_names": metadata.target_names,
        "input": {"name": "images", "shape": ["batch", "height", "width", 1]},
        "temperature": 1.0,
        "thresholds": [],
        "data": {"fingerprints": {"train": "f00d"}},
        "trained_with": {
            "versions": {"torch": "2.14.1"},
            "git": {"commit": "c0ffee", "dirty": True},
            "sources": "5eed",
        },
        "preprocessing": {"decoding": {"size": list(metadata.image_shape[1:])}},
        "license": "for whoever trained it to state",
    }
    record = {
        "export_version": 1,
        "format": "onnx",
        "precision": "fp32",
        "batch": None,
        "files": dict.fromkeys(FILES[str(changes.get("format", "onnx"))], "d1935"),
        "outputs": ["outputs"] if names is None else ["logits", "probabilities", "prediction"],
        "run": run.name,
        **about,
        **changes,
    }
    (folder / METADATA).write_text(json.dumps(record))
    (folder / VERIFICATION).write_text(json.dumps(proof))
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten digits with its pages, whose summary need not be computed again."""
    run = classes_run(tmp_path_factory.mktemp("runs"), name=NAME)
    refresh(run.path, plots=False)
    return run.path


@pytest.fixture
def folder(digits: Path, tmp_path: Path) -> Path:
    """An exported folder beside that run, whose file predicts as the run did."""
    shutil.copytree(digits, tmp_path / NAME)
    shutil.copytree(digits, tmp_path / "exported" / RECORDS)
    return export_of(Run(tmp_path / NAME), tmp_path / "exported")


def section(card: str, title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_card_tells_what_the_records_say(folder: Path, tmp_path: Path) -> None:
    """Classes with counts, figures with intervals and baselines, the proof, and the origin."""
    run = Run(tmp_path / NAME)
    write_card(run, folder)
    card = (folder / "README.md").read_text()
    assert card.startswith("# 20260101_120000_digits\n")
    assert "| 3 | 100 | 20 | 20 |" in section(card, "Data")
    assert "| all | 1,000 | 200 | 200 |" in section(card, "Data")
    right = int((run.predictions["test"].ranks == 0).sum())  # type: ignore[union-attr]
    metrics = section(card, "Metrics")
    assert re.search(rf"\| accuracy \|.*\| {right / 2:.2f} % \| .* to .* \| 10.00 % \|", metrics)
    assert "held-out samples: test, 200" in metrics
    proof = section(card, "Verification")
    assert "**GOOD**" in proof
    assert "199 of 200 held-out samples (test)" in proof
    assert "99.50 % (98.0 to 100 %), at batch size 1, 7; 99.90 % are required" in proof
    assert "63 of 64 predictions of this folder equal those of `expkit predict` in fp32" in proof
    assert "by 2 threads, measured in turns, 42 times each" in proof
    assert "| this file | 1.25 ms | 2.50 ms | 3.75 ms | 2.50 MB |" in proof
    assert "| torch | 9.50 ms | 2.50 ms | 3.75 ms | 1.25 MB |" in proof
    assert "calibration error" in section(card, "Calibration")
    assert "No threshold is confirmed" in section(card, "Limits")
    assert "commit c0ffee with changes, sources of expkit 5eed" in section(card, "Origin")
    assert "d1935" in section(card, "Origin")
    assert "for whoever trained it" in section(card, "Licence")
    assert 'convert("L"))[None, ..., None]' in section(card, "How to use")


def test_no_path_of_a_machine_is_in_the_card(folder: Path, tmp_path: Path) -> None:
    card = model_card(Run(tmp_path / NAME), folder)
    assert "/home" not in card
    assert str(tmp_path) not in card


def test_a_file_that_failed_says_so_first(folder: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / NAME)
    export_of(run, folder, {**PROOF, "passed": False, "largest_difference": None})
    card = model_card(run, folder)
    assert card.index("**NOT GOOD: the file failed") < card.index("## How to use")
    assert "**NOT GOOD**" in section(card, "Verification")


def test_the_findings_of_the_run_are_told_with_their_numbers(folder: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / NAME)
    finding = {
        "rule": "label_noise",
        "severity": "warning",
        "sentence": "recall[*] is low, and labels are wrong",
        "cause": "see /home/me/secret/list.csv",
        "evidence": {"num_wrong": 7},
        "command": "expkit train",
        "stage": "train",
        "epoch": 3,
        "unit": "epoch",
        "remedies": [],
    }
    from expkit.reports import model_card as page

    summary = {**page.recall(run), "findings": [finding]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "recall", lambda _: summary)
        told = section(model_card(run, folder), "Findings")
    assert "- **warning: label_noise**: recall[\\*] is low, and labels are wrong." in told
    assert "num wrong 7." in told
    assert "/home/me" not in told


def test_training_samples_among_the_held_out_ones_are_told(folder: Path, tmp_path: Path) -> None:
    """Of the data that the file was measured on, by the search that an evaluation makes."""
    run = Run(tmp_path / NAME)
    path = folder / RECORDS / "dataset.json"
    leaks = Leaks(None, {"test": SplitLeaks(4, 3, 0.5, [])})
    trained_by = TrainedBy(run.name, {"train": "train", "test": "test"}, "val", leaks)
    metadata = replace(run.dataset, trained_by=trained_by)
    path.write_text(json.dumps(metadata.to_json()))
    told = section(model_card(run, folder), "Leaks")
    assert "Of the samples of test, 4 are training samples byte for byte, and 3 nearly." in told


def test_thresholds_and_temperature_are_told(folder: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / NAME)
    thresholds = [
        {"class": "3", "low": 0.25, "high": None},
        {"class": "4", "low": 0.1, "high": 0.9},
    ]
    export_of(run, folder, thresholds=thresholds, temperature=1.75)
    card = model_card(run, folder)
    assert "| 3 | below 0.25 | never |" in section(card, "Thresholds")
    assert "| 4 | below 0.1 | from 0.9 on |" in section(card, "Thresholds")
    assert "temperature 1.75" in section(card, "Calibration")
    assert "No threshold" not in section(card, "Limits")


@pytest.mark.parametrize(
    ("temperature", "split", "is_told"),
    [(1.75, "val", True), (1.75, "test", False), (1, "val", False)],
)
def test_a_calibration_error_on_samples_that_fitted_the_temperature_says_so(
    temperature: float, split: str, is_told: bool
) -> None:
    own = {"judged_split": split, "metrics": {split: {"calibration_error": 0.05}}, "intervals": {}}
    record = ExportRecord(
        *(1, "onnx", "fp32", None, {}, [], "run"),
        about={"class_names": ["a"], "temperature": temperature},
    )
    text = " ".join(_calibration(own, record))
    assert ("Half of these samples fitted the temperature" in text) == is_told


@pytest.mark.parametrize("helps", [True, False])
def test_a_temperature_that_was_kept_without_helping_is_told(helps: bool) -> None:
    """`calibrate --force` keeps one that the other half did not confirm."""
    own = {"judged_split": "test", "metrics": {"test": {}}, "intervals": {}}
    calibration = {
        "num_confirmed": 24,
        "log_loss": {"before": 0.5, "after": 0.625, "interval": [-0.1, 0.3]},
        "calibration_error": {"before": 0.1, "after": 0.2, "interval": None},
        "helps": helps,
    }
    about = {"class_names": ["a"], "temperature": 1.5, "calibration": calibration}
    text = " ".join(_calibration(own, ExportRecord(1, "onnx", "fp32", None, {}, [], "run", about)))
    assert ("not confirmed" in text) == (not helps)
    assert ("24 samples" in text) == ("0.5 before, 0.625 after" in text) == (not helps)


def test_names_of_classes_are_no_emphasis(tmp_path: Path) -> None:
    """Neither in a table nor in a sentence: outside of code quotes every mark is escaped."""
    made = tmp_path / "exported"
    made.mkdir()
    names = ["*bold*", "_x_", "a|b", "back`tick"]
    classes_run(made, names, name=RECORDS)
    card = model_card(classes_run(tmp_path, names, name=NAME), export_of(Run(made / RECORDS), made))
    for escaped in (r"| \*bold\* |", r"| \_x\_ |", r"| a\|b |", r"| back\`tick |"):
        assert escaped in section(card, "Data")
        assert escaped in section(card, "Metrics")
    outside = re.sub(r"(?<!\\)`[^`]*(?<!\\)`|<code>.*?</code>", "", card)
    assert not re.search(r"(?<!\\)(?:\*bold|bold\*|_x|x_)\b(?!\w)", outside.replace("\\*", ""))
    assert "`*bold*`, `_x_`, <code>a&#124;b</code>, <code>back&#96;tick</code>" in card


def hostile_names(count: int = 4) -> Sequence[str]:
    marks = ["<script>alert(1)</script>", "a](http://evil)", "pipe|`tick`", "line ![x](y)"]
    return [f"{mark}{i}" for i, mark in enumerate(marks[:count])]


def test_the_texts_of_others_are_no_markup(tmp_path: Path) -> None:
    """Class names, the licence and a file's name in a reason come from anybody."""
    made = tmp_path / "exported"
    made.mkdir()
    names = hostile_names()
    classes_run(made, names, name=RECORDS)
    run = classes_run(tmp_path, names, name=NAME)
    reason = "<img src=x> ![a](b)"
    proof = {**PROOF, "from_files": {"num_files": 0, "reason": reason}}
    card = model_card(run, export_of(run, made, proof, license="<b>mine</b> [a](b)"))
    outside = re.sub(r"`[^`]*`", "", card)
    assert "<script" not in outside
    assert "<img" not in outside
    assert "<b>" not in outside
    assert "](" not in outside
    for line in card.splitlines():  # a name's pipe makes no column
        if line.startswith("| pipe"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (5, 6)


@pytest.mark.parametrize(
    ("file_format", "lines"),
    [
        ("onnx", ["python predict.py image.jpg", "onnxruntime.InferenceSession"]),
        ("openvino", ["pip install openvino numpy pillow", "compile_model"]),
        ("torch_export", ["--trust torch_export", "torch.export.load"]),
    ],
)
def test_each_format_says_how_it_is_run(
    folder: Path, tmp_path: Path, file_format: str, lines: Sequence[str]
) -> None:
    run = Run(tmp_path / NAME)
    changes = {"format": file_format, "batch": 4}
    usage = section(model_card(run, export_of(run, folder, **changes)), "How to use")
    for line in lines:
        assert line in usage
    assert ("predict.py" in usage) == (file_format != "torch_export")
    assert ".repeat(4, axis=0)" in usage
    (python,) = re.findall(r"```python\n(.*?)```", usage, re.DOTALL)
    compile(python, "README.md", "exec")
    assert len(python.splitlines()) == 5


def test_the_lines_of_python_run(folder: Path, tmp_path: Path) -> None:
    """The advice works when it is taken, on a model that is written by hand."""
    import onnxruntime  # noqa: F401 - loaded before its warnings are errors
    from handwritten_exports import write_folder
    from PIL import Image

    run = Run(tmp_path / NAME)
    changes = {"input": {"shape": ["batch", "height", "width", 3]}}
    usage = section(model_card(run, export_of(run, folder, **changes)), "How to use")
    (python,) = re.findall(r"```python\n(.*?)```", usage, re.DOTALL)
    here = tmp_path / "here"
    write_folder(here)
    Image.new("RGB", (9, 7), (51, 51, 51)).save(here / "image.jpg", quality=100)
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        exec(python, names)
    assert names["probabilities"] == pytest.approx(np.array([[0.8, 0.2]]))
    assert names["prediction"].tolist() == [0]


def test_predicted_numbers_have_neither_classes_nor_calibration(tmp_path: Path) -> None:
    made = tmp_path / "exported"
    made.mkdir()
    run = position_run(tmp_path)
    run.path.rename(made / RECORDS)
    run = position_run(tmp_path)
    card = model_card(run, export_of(run, made))
    assert "It predicts 2 numbers of an image: `x`, `y`." in card
    assert "rmse" in section(card, "Metrics")
    assert "## Calibration" not in card
    assert "nothing is known of new images" in section(card, "Limits")
