"""What new images are held against: a run's held-out predictions and its data profile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_metadata import DIGITS, POSITIONS
from synthetic_predictions import of_two
from synthetic_runs import config_of, finished_stages, write_run

from expkit.metrics.predictions import ClassPredictions
from expkit.records.files import append_line
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.records.run.reader import Run
from expkit.runner.drift_reference import read_held_out, read_training_images, watch_drift
from expkit.runner.prediction_manner import Manner

PLAIN = Manner(1.0, [], "")
SCORES = [0.6, *[0.9] * 15, *[0.3] * 4]  # of b: the least confident are 0.6 and the 0.7 of a
PROFILE: dict[str, Any] = {
    "mean": [10.0],
    "std_of_means": [2.0],
    "quartiles_of_means": [8.004, 10.0, 12.006],
    "grain": [0.5, 1.0, 1.5],
    "num_looked_at": 40,
}


def metadata() -> DatasetMetadata:
    split = SplitMetadata(20, (4, 16), "f")
    return replace(DIGITS, splits={"train": split, "val": split})


def make_run(parent: Path, profile: Any = None, **evaluation: Any) -> Run:
    predictions = of_two([0] * 4 + [1] * 16, SCORES, ("a", "b"))
    config = config_of()
    if evaluation:
        stage = {**config["procedure"]["evaluate"], **evaluation}
        config["procedure"] = {**config["procedure"], "evaluate": stage}
    run = write_run(
        parent, metadata(), config=config, stages=finished_stages(), predictions=[predictions]
    )
    if profile is not None:
        record = {"stage": "preflight", "epoch": 0, "kind": "data", **profile}
        append_line(run.path / "signals.jsonl", json.dumps(record))
    return Run(run.path)


def test_held_out_predictions_are_described(tmp_path: Path) -> None:
    """Of 20 sorted confidences the second is 0.7, and one is below it; 16 are said to be b."""
    held_out, why = read_held_out(make_run(tmp_path), PLAIN)
    assert held_out is not None
    assert why == ""
    assert (held_out.low, held_out.num_low, held_out.num_samples) == (0.7, 1, 20)
    assert held_out.class_counts == {"a": 4, "b": 16}


def test_held_out_predictions_are_at_the_same_temperature(tmp_path: Path) -> None:
    """At temperature 2, 0.7 is sqrt(0.7) / (sqrt(0.7) + sqrt(0.3))."""
    held_out, _ = read_held_out(make_run(tmp_path), replace(PLAIN, temperature=2.0))
    assert held_out is not None
    assert held_out.low == pytest.approx(np.sqrt(0.7) / (np.sqrt(0.7) + np.sqrt(0.3)), rel=1e-5)
    assert held_out.num_low == 1


def test_held_out_predictions_of_an_evaluation_at_a_temperature_are_brought_to_another(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, temperature=2.0)
    held_out, _ = read_held_out(run, replace(PLAIN, temperature=2.0))
    assert held_out is not None
    assert held_out.low == 0.7


def test_views_are_held_against_the_same_views_alone(tmp_path: Path) -> None:
    """A mean over views is less confident than the plain predictions are."""
    averaged = Manner(1.0, ["flips"], "")
    held_out, why = read_held_out(make_run(tmp_path / "plain"), averaged)
    assert (held_out, why) == (None, "the run's evaluation averaged no such views")
    held_out, why = read_held_out(make_run(tmp_path / "same", tta=["flips"]), averaged)
    assert held_out is not None
    assert held_out.low == 0.7


def test_runs_without_held_out_predictions_say_so(tmp_path: Path) -> None:
    split = SplitMetadata(4, (2, 2), "f")
    only_train = write_run(tmp_path / "a", replace(DIGITS, splits={"train": split}))
    assert read_held_out(only_train, PLAIN) == (None, "the run has no held-out samples")
    unevaluated = write_run(tmp_path / "b", metadata())
    assert read_held_out(unevaluated, PLAIN) == (None, "the run recorded no predictions on val")
    assert read_held_out(write_run(tmp_path / "c", POSITIONS), PLAIN) == (None, "")


def test_training_images_are_those_of_the_data_profile(tmp_path: Path) -> None:
    """Quartiles have two digits, as the cells of the CSV do."""
    run = make_run(tmp_path, {"splits": {"train": PROFILE, "val": {}}})
    images, why = read_training_images(run)
    assert images is not None
    assert why == ""
    assert (images.channels, images.levels, images.stds) == (("grey",), (10.0,), (2.0,))
    assert (images.brightness, images.num_images) == ((8.0, 12.01), 40)
    assert (images.grain, images.num_grain) == ((0.5, 1.5), 40)


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"splits": []},
        {"splits": {"train": {**PROFILE, "mean": [1.0, 2.0]}}},
        {"splits": {"train": {**PROFILE, "mean": ["much"]}}},
        {"splits": {"train": {**PROFILE, "grain": [0.1]}}},
        {"splits": {"train": {**PROFILE, "num_looked_at": 0}}},
        {"splits": {"train": {**PROFILE, "num_looked_at": 1e300}}},
        {"splits": {"train": {**PROFILE, "std_of_means": [float("nan")]}}},
    ],
)
def test_a_profile_that_is_none_is_said_to_be(tmp_path: Path, profile: dict[str, Any]) -> None:
    images, why = read_training_images(make_run(tmp_path, profile))
    assert (images, why) == (None, "the run's data profile cannot be read")


def test_a_watch_says_what_it_cannot_watch(tmp_path: Path) -> None:
    watch, remarks = watch_drift(make_run(tmp_path), PLAIN)
    assert watch.held_out is not None
    assert watch.images is None
    (remark,) = remarks
    assert remark.startswith("drift of image statistics is not looked for: ")


def test_predictions_of_equal_confidence_have_none_below(tmp_path: Path) -> None:
    from expkit.runner.drift_reference import describe_held_out

    sure: ClassPredictions = of_two([0, 1], [0.0, 1.0])
    held_out = describe_held_out(sure)
    assert (held_out.low, held_out.num_low) == (1.0, 0)
