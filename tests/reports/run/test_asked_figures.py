"""Criteria of every class, of the commonest prediction and of latency: from records to pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_runs import config_of, finished_stages, write_run

from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.records.run.reader import Run
from expkit.reports.run.run_screen import closing_screen
from expkit.reports.run.stored_summary import is_sound
from expkit.reports.run.summary import summarize
from expkit.reports.run.summary_tables import criteria_table, metrics_table

NAMES = ("simple", "text", "gradient", "complex")
# of 20 of each class: 20, 18, 17 and 14 right; all mistakes are called simple
RIGHT = (20, 18, 17, 14)


def predicted(split: str) -> ClassPredictions:
    targets = np.repeat(np.arange(4), 20)
    predictions = np.concatenate([[i] * n + [0] * (20 - n) for i, n in enumerate(RIGHT)])
    return ClassPredictions(
        split=split,
        samples=[f"{split}_{number}" for number in range(80)],
        targets=targets,
        predictions=predictions,
        ranks=np.where(predictions == targets, 0, 1),
        probabilities=np.eye(4, dtype=np.float32)[predictions],
        class_names=NAMES,
    )


def run_with(
    folder: Path, criteria: dict[str, str], figures: dict[str, float] | None = None
) -> Run:
    split = SplitMetadata(80, (20,) * 4, "f00d")
    metadata = DatasetMetadata(
        "logos", "classification", NAMES, None, (3, 8, 8), {"train": split, "val": split}, {}
    )
    *before, evaluation = finished_stages()
    return write_run(
        folder,
        metadata,
        config=config_of(criteria=criteria),
        stages=[*before, replace(evaluation, figures=figures)],
        predictions=[predicted("train"), predicted("val")],
    )


def judged(folder: Path, criteria: dict[str, str], **more: Any) -> dict[str, Any]:
    return summarize(run_with(folder, criteria, **more))


def test_recall_of_every_class_falls_to_the_worst(tmp_path: Path) -> None:
    """14 of 20 complex: 70 % is not > 85 %, with Wilson's interval, beside chance and majority."""
    summary = judged(tmp_path, {"recall[*]": "> 0.85"})
    (found,) = summary["criteria"]
    assert (found["value"], found["met"], found["worst_class"]) == (0.7, False, "complex")
    assert (found["num_samples"], found["num_classes"]) == (20, 4)
    assert found["interval"] == pytest.approx([0.4810, 0.8545], abs=1e-4)
    assert summary["metrics"]["val"]["recall[*]"] == 0.7
    assert summary["levels"]["chance"]["recall[*]"] == 0.25
    assert summary["levels"]["constant"]["recall[*]"] == 0
    for page in (criteria_table(summary), closing_screen(summary, tmp_path)):
        assert "70.00 % (complex, the worst of 4 classes)" in page
        assert "within the noise of 20 samples" in page
    assert is_sound(summary)


@pytest.mark.parametrize(
    ("criterion", "bound", "met", "worst"),
    [
        ("recall[*]", "> 0.69", True, "complex"),
        ("recall[*t]", "> 0.84", True, "gradient"),
        ("precision[*]", "> 0.64", True, "simple"),  # 20 of 31
        ("train/f1[*]", "> 0.9", False, "simple"),  # 40 of 51
    ],
)
def test_it_is_met_where_every_class_meets_it(
    tmp_path: Path, criterion: str, bound: str, met: bool, worst: str
) -> None:
    """Any figure of a class, of any classes, on any split."""
    (found,) = judged(tmp_path, {criterion: bound})["criteria"]
    assert (found["met"], found["worst_class"]) == (met, worst)


def test_the_commonest_prediction_is_held_to_a_fraction(tmp_path: Path) -> None:
    """31 of 80 predictions are simple, 38.75 %: below 40 %, within the noise of 80 samples."""
    summary = judged(tmp_path, {"max_predicted_fraction": "< 0.4"})
    (found,) = summary["criteria"]
    assert (found["value"], found["met"], found["worst_class"]) == (31 / 80, True, "simple")
    assert found["interval"] == pytest.approx([0.2881, 0.4972], abs=1e-3)
    assert summary["levels"]["chance"]["max_predicted_fraction"] == 0.25
    assert summary["levels"]["constant"]["max_predicted_fraction"] == 1
    screen = closing_screen(summary, tmp_path)
    assert "38.75 % (simple)" in screen
    assert "within the noise of 80 samples" in screen


def test_latency_is_of_the_model_and_has_a_tail(tmp_path: Path) -> None:
    """The median is judged; that one in twenty takes longer than the bound is said."""
    figures = {"latency_seconds": 0.004, "latency_p95_seconds": 0.02}
    criteria = {"latency_seconds": "< 0.01", "latency_p95_seconds": "< 0.01"}
    summary = judged(tmp_path, criteria, figures=figures)
    assert [each["met"] for each in summary["criteria"]] == [True, False]
    assert summary["metrics"]["val"]["latency_seconds"] == 0.004
    assert "latency_seconds" not in summary["metrics"]["train"]
    text = criteria_table(summary)
    assert "latency_seconds &lt; 0.01" in text
    assert "val/latency" not in text
    assert "0.0040 (median; 95 % within 0.02)" in text
    assert "but 5 % of the predictions took longer than 0.02 s" in text
    (row,) = [line for line in metrics_table(summary).splitlines() if "latency_seconds" in line]
    assert [cell.strip() for cell in row.split("|")][1:4] == ["latency_seconds", "-", "0.004"]
    (finding,) = [each for each in summary["findings"] if each["rule"] == "criterion_missed"]
    assert "latency_p95_seconds, 0.0200 is not < 0.01" in finding["sentence"]


def test_a_latency_that_was_not_measured_leaves_the_run_unjudged(tmp_path: Path) -> None:
    """A record from before the criterion was stated."""
    summary = judged(tmp_path, {"latency_seconds": "< 5"})
    assert summary["verdict"] == "not judged"
    assert "latency_seconds < 5" in summary["verdict_reason"]


def test_a_miss_names_its_class_and_the_samples_that_were_short(tmp_path: Path) -> None:
    """Of 20 complex ones 18 are needed for more than 85 %: four more than 14."""
    summary = judged(tmp_path, {"recall[*]": "> 0.85", "max_predicted_fraction": "< 0.3"})
    (finding,) = [each for each in summary["findings"] if each["rule"] == "criterion_missed"]
    assert "recall[*] (complex) on val, 70.00 % is not > 85 %" in finding["sentence"]
    assert "4 of 20 samples" in finding["sentence"]
    assert "max_predicted_fraction (simple) on val, 38.75 % is not < 30 %" in finding["sentence"]


def test_ece_is_the_figure_of_the_pages(tmp_path: Path) -> None:
    """11 of 80 are wrong at a confidence of 1: 13.75 %, in the last of 15 bins."""
    summary = judged(tmp_path, {"ece": "< 0.05", "val/ece": "> 0.1"})
    assert [each["value"] for each in summary["criteria"]] == [pytest.approx(11 / 80)] * 2
    assert [each["met"] for each in summary["criteria"]] == [False, True]
    assert summary["metrics"]["val"]["calibration_error"] == pytest.approx(11 / 80)


def test_what_no_criterion_asks_is_on_no_page(tmp_path: Path) -> None:
    """Runs that state none of these have the records that they had."""
    summary = judged(tmp_path, {"accuracy": "> 0.8"}, figures={"latency_seconds": 1.0})
    names = {name for metrics in summary["metrics"].values() for name in metrics}
    assert not {name for name in names if "[" in name or name.startswith(("max_", "latency"))}
    assert set(summary["criteria"][0]) == {
        *("criterion", "metric", "relation", "bound", "split", "value", "met", "interval"),
        "num_samples",
    }
    assert not {"tta", "temperature"} & summary.keys()
