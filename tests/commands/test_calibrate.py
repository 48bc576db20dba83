"""`expkit calibrate` as a user types it: what is kept, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_expkit import Expkit
from synthetic_runs import PROCEDURE, config_of, finished_stages, position_run, write_run

from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.kept_temperature import read_temperature, temperature_of
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import read_thresholds
from expkit.reports.run.temperature_fit import predictions_at

pytestmark = pytest.mark.usefixtures("unrendered")

NAMES = ("clean", "pit")
TRUE = 0.8  # of the samples are right, whatever the model says


def predicted(split: str, counts: Sequence[int], confidence: float) -> ClassPredictions:
    """One confidence throughout; of five samples of a class that follow each other, four right."""
    targets = np.repeat(np.arange(len(counts)), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    is_right = np.random.default_rng(0).permutation(place % 5 != 0)
    predictions = np.where(is_right, targets, (targets + 1) % len(counts))
    rest = (1 - confidence) / (len(counts) - 1)
    table = np.full((len(targets), len(counts)), rest, np.float32)
    table[np.arange(len(targets)), predictions] = confidence
    return ClassPredictions(
        split=split,
        samples=[f"{split}_{number}" for number in range(len(targets))],
        targets=targets,
        predictions=predictions,
        ranks=np.where(is_right, 0, 1),
        probabilities=table,
        class_names=[f"class_{i}" for i in range(len(counts))] if len(counts) > 2 else NAMES,
    )


def make_run(
    confidence: float = 0.98,
    counts: Sequence[int] = (200, 200),
    splits: Sequence[str] = ("train", "val", "test"),
    **changes: Any,
) -> Run:
    """A run whose weights are a few bytes: nobody loads them here."""
    predictions = [predicted(split, counts, confidence) for split in splits]
    split = SplitMetadata(sum(counts), tuple(counts), "f00d")
    metadata = DatasetMetadata(
        *("cherries", "classification", tuple(predictions[0].class_names), None, (3, 8, 8)),
        {name: replace(split, fingerprint=name) for name in splits},
        {},
    )
    run = write_run(
        Path("outputs"),
        metadata,
        config=config_of(criteria={}, **changes),
        stages=finished_stages(),
        predictions=predictions,
    )
    weights = run.checkpoint("train", "best")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    return run


def test_a_temperature_that_helps_is_kept_with_its_evidence(run_here: Expkit) -> None:
    """80 % right at 98 %: about ln 49 / ln 4, by how many of either half are right."""
    run = make_run()
    done = run_here("calibrate", "last")
    assert done.code == 0, done.err
    kept = read_temperature(run.path)
    assert kept is not None
    assert kept.temperature == pytest.approx(np.log(49) / np.log(4), rel=0.25)
    assert (kept.split, kept.num_fitted, kept.num_confirmed) == ("val", 200, 200)
    assert kept.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert kept.helps
    for change in (kept.log_loss, kept.calibration_error):
        assert change.interval is not None
        assert change.after < change.before
        assert change.interval[1] < 0
    assert kept.calibration_error.before == pytest.approx(0.98 - kept.accuracy)
    assert "HELPS" in done.out
    assert "val also chose the epoch" in done.out
    assert (run.path / "plots" / "calibration.png").exists()
    page = (run.path / "report.md").read_text()
    assert "## Calibration" in page
    assert "plots/calibration.png" in page


def test_test_samples_change_nothing(run_here: Expkit) -> None:
    """They are for the verdict alone: whatever they say, the temperature is the same."""
    run = make_run()
    assert run_here("calibrate").code == 0
    first = read_temperature(run.path)
    rows = (run.path / "predictions.csv").read_text().splitlines()
    spoilt = [",".join([*row.split(",")[:-2], "0.5", "0.5"]) if row[:4] == "test" else row
              for row in rows]  # fmt: skip
    (run.path / "predictions.csv").write_text("\n".join(spoilt) + "\n")
    assert run_here("calibrate").code == 0
    assert read_temperature(run.path) == first


def test_where_it_does_not_help_nothing_is_kept_but_by_force(run_here: Expkit) -> None:
    """80 % right at 80 %: the change of the log loss lies within the noise."""
    run = make_run(confidence=0.8)
    done = run_here("calibrate")
    assert done.code == 1
    assert "DOES NOT HELP" in done.out
    assert "nothing is kept" in done.out
    assert not (run.path / "calibration.json").exists()
    assert run_here("calibrate", "--force").code == 1
    kept = read_temperature(run.path)
    assert kept is not None
    assert not kept.helps


@pytest.mark.slow
def test_a_second_call_takes_the_place_of_the_first_and_says_so(run_here: Expkit) -> None:
    """Another seed, other halves; thresholds of the earlier probabilities are named."""
    run = make_run()
    run_here("calibrate")
    first = read_temperature(run.path)
    run_here("threshold", "--class", "pit", "--recall", "0.5")
    done = run_here("calibrate", "--seed", "5")
    second = read_temperature(run.path)
    assert first is not None
    assert second is not None
    assert (first.seed, second.seed) == (0, 5)
    assert f"instead of {first.temperature:.4g}, which was fitted with seed 0" in done.out
    assert "choose anew: the thresholds of pit" in done.out


@pytest.mark.slow
def test_thresholds_cut_the_probabilities_that_predict_will_give(run_here: Expkit) -> None:
    """At the kept temperature, which the threshold remembers; or of the plain softmax."""
    run = make_run()
    words = ("threshold", "--class", "pit", "--recall", "0.5")
    run_here(*words)
    assert [each.temperature for each in read_thresholds(run.path)] == [1.0]
    run_here("calibrate")
    done = run_here(*words)
    kept = read_temperature(run.path)
    assert kept is not None
    assert f"note  probabilities at temperature {kept.temperature:.4g}" in done.out
    (threshold,) = read_thresholds(run.path)
    assert threshold.temperature == kept.temperature
    run_here(*words, "--no-calibration")
    assert [each.temperature for each in read_thresholds(run.path)] == [1.0]


def test_a_temperature_is_of_no_use_to_other_weights(run_here: Expkit) -> None:
    """A run that went on has other weights: its temperature is stale, and that is said."""
    run = make_run()
    run_here("calibrate")
    temperature, remark = temperature_of(run)
    assert temperature > 2
    assert "expkit calibrate" in remark
    run.checkpoint("train", "best").write_bytes(b"trained on")
    temperature, remark = temperature_of(run)
    assert temperature == 1
    assert remark.startswith("not used")
    assert f"expkit calibrate {run.path}" in remark  # wherever the run lies


@pytest.mark.slow
def test_recorded_probabilities_are_brought_back_to_temperature_one(run_here: Expkit) -> None:
    """A run that was evaluated at temperature 2 gets the temperature of its plain softmax."""
    plain = make_run()
    run_here("calibrate")
    expected = read_temperature(plain.path)
    cooled = predictions_at(plain, "val", 2.0)
    assert isinstance(cooled, ClassPredictions)
    evaluate = {**PROCEDURE["evaluate"], "temperature": 2.0}
    second = write_run(
        Path("outputs"),
        plain.dataset,
        name="20260102_120000_second",
        config=config_of(criteria={}, procedure={**PROCEDURE, "evaluate": evaluate}),
        stages=finished_stages(),
        predictions=[cooled],
    )
    weights = second.checkpoint("train", "best")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    run_here("calibrate", "second")
    found = read_temperature(second.path)
    assert found is not None
    assert expected is not None
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-3)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"splits": ("train",)}, "has no val samples"),
        ({"splits": ("train", "test")}, "test is kept for the verdict"),
        ({"counts": (200, 1)}, "pit (1)"),
        ({"counts": (15, 15)}, "30 samples of val are too few"),
        ({"counts": (100, 0, 100)}, "class_1 (0)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    run_here: Expkit, made: dict[str, Any], said: str
) -> None:
    """Exit code 2, one screen, no file."""
    run = make_run(**made)
    done = run_here("calibrate")
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert len(done.err.splitlines()) < 24
    assert not (run.path / "calibration.json").exists()


def test_a_half_without_a_mistake_has_no_best_temperature(run_here: Expkit) -> None:
    """The surer the better; that no sample says how sure is too sure is the answer."""
    run = make_run()
    sure = predicted("val", (200, 200), 0.9)
    right = replace(
        sure,
        predictions=sure.targets,
        ranks=np.zeros_like(sure.targets),
        probabilities=np.where(np.eye(2)[sure.targets] > 0, 0.9, 0.1).astype(np.float32),
    )
    write_run(Path("outputs"), run.dataset, name="20260103_120000_right", predictions=[right])
    done = run_here("calibrate", "right")
    assert done.code == 2
    assert "no mistake among them" in " ".join(done.err.split())


def test_a_run_of_numbers_has_nothing_to_calibrate(run_here: Expkit) -> None:
    """Its predictions are no probabilities."""
    position_run(Path("outputs"))
    done = run_here("calibrate")
    assert done.code == 2
    assert "only probabilities are calibrated" in done.err


@pytest.mark.broad(1)
@pytest.mark.parametrize("change", [{"temperature": 1e9}, {"version": 99}, {"log_loss": 3}])
def test_a_file_that_is_no_temperature_is_refused(run_here: Expkit, change: dict[str, Any]) -> None:
    """It may be a stranger's, or of a later version; the advice says what to remove."""
    run = make_run()
    run_here("calibrate")
    path = run.path / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    done = run_here("calibrate")
    assert done.code == 2
    assert "remove it" in done.err
    path.unlink()
    assert run_here("calibrate").code == 0


def test_it_needs_no_torch(run_without_torch: Expkit, tmp_path: Path, run_here: Expkit) -> None:
    """The recorded probabilities are enough."""
    make_run()
    assert Path.cwd() == tmp_path
    done = run_without_torch("calibrate")
    assert done.code == 0, done.err
