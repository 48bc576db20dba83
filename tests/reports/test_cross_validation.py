"""Cross-validation as one figure, and the test figure of what was chosen: both with intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_runs import config_of, finished_stages, write_run
from synthetic_sweeps import FakeJob, write_sweep

from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions
from expkit.records.files import read_json, write_json
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.records.run.predictions import write_predictions
from expkit.records.sweep.folder import Sweep
from expkit.reports.cross_validation import out_of_fold, pool_folds, pooled_cell
from expkit.reports.run.digests import make_digest
from expkit.reports.run.summary import summarize
from expkit.reports.runs.rows import RunRow, row_of
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.page import refresh_sweep
from expkit.reports.sweep.sweep_screen import closing_screen

NAMES = ("no", "yes")


def answered(split: str, samples: list[str], rights: list[bool]) -> ClassPredictions:
    """Two classes in turn, of which these samples are right, with 0.9 on what is answered."""
    targets = np.arange(len(samples)) % 2
    right = np.array(rights)
    predictions = np.where(right, targets, 1 - targets)
    probabilities = np.full((len(samples), 2), 0.1, np.float32)
    probabilities[np.arange(len(samples)), predictions] = 0.9
    return ClassPredictions(
        split, samples, targets, predictions, np.where(right, 0, 1), probabilities, NAMES
    )


def fold_run(parent: Path, fold: int, rights: list[bool], **more: Any) -> RunRow:
    """A run that held one of two folds out, and answered it so."""
    start = more.get("start", fold * len(rights))
    val = answered("val", [f"s{start + i}" for i in range(len(rights))], rights)
    counts = (len(rights) - len(rights) // 2, len(rights) // 2)
    split = SplitMetadata(len(rights), counts, f"v{fold}")
    metadata = DatasetMetadata(
        "d", "classification", NAMES, None, (1, 8, 8), {"train": split, "val": split}, {}
    )
    run = write_run(
        parent,
        metadata,
        name=f"20260101_{more.get('seed', 0)}{fold}",
        config=config_of(seed=more.get("seed", 0), dataset={"fold": fold, "num_folds": 2}),
        stages=finished_stages(3),
        predictions=[replace(val, split="train"), val],
    )
    return row_of(run.path, make_digest(run, summarize(run)))


FIRST, SECOND = [True, True, True, False], [True, False]


def test_folds_are_pooled_each_sample_once(tmp_path: Path) -> None:
    """3 of 4 and 1 of 2 are 4 of 6, with the interval of 4 of 6; the mean of folds is 62.5 %."""
    runs = [fold_run(tmp_path, 0, FIRST), fold_run(tmp_path, 1, SECOND, start=4)]
    pooled = pool_folds(runs, "val/accuracy")
    assert pooled.figure.value == pytest.approx(4 / 6)
    assert pooled.figure.interval == wilson(4, 6)
    assert (pooled.figure.num_samples, pooled.num_folds, pooled.planned) == (6, 2, 2)
    assert pool_folds(runs, "test/recall[yes]").figure.value == pytest.approx(1 / 3)
    assert pooled_cell(runs, "accuracy") == "66.67 % (30.0 to 90.3 %)"


def test_over_seeds_the_pooled_figures_have_a_mean(tmp_path: Path) -> None:
    """4 of 6 and 5 of 6: their samples are the same, and no one interval is theirs."""
    runs = [
        fold_run(tmp_path, fold, rights, seed=seed, start=start)
        for seed, last in ((0, SECOND), (1, [True, True]))
        for fold, start, rights in ((0, 0, FIRST), (1, 4, last))
    ]
    assert out_of_fold(runs, "accuracy").startswith(
        "out of fold, val/accuracy: 75.00 ± 11.79 % over 2 seeds, in each of which 6 samples"
    )


def test_folds_of_other_divisions_are_not_pooled(tmp_path: Path) -> None:
    """A sample that two folds hold out would count twice."""
    runs = [fold_run(tmp_path, 0, FIRST), fold_run(tmp_path, 1, SECOND, start=3)]
    assert "cannot be pooled: the folds share samples" in out_of_fold(runs, "accuracy")
    assert pooled_cell(runs, "accuracy") == "-"


def give_answers(sweep: Path, rights: list[list[bool]]) -> None:
    """Record what each fold of a sweep answered to the samples that it held out."""
    for number, (job, each) in enumerate(zip(Sweep(sweep).jobs, rights, strict=True)):
        assert job.run is not None
        samples = [f"s{number * len(each) + i}" for i in range(len(each))]
        write_predictions(job.run.path / "predictions.csv", [answered("val", samples, each)])
        split = SplitMetadata(len(each), (len(each) // 2,) * 2, "f")
        splits = {"train": split, "val": split}
        metadata = DatasetMetadata("d", "classification", NAMES, None, (1, 8, 8), splits, {})
        write_json(job.run.path / "dataset.json", metadata.to_json())


def give_intervals(sweep: Path, *ends: tuple[float, float]) -> None:
    """Record the interval of each run's accuracy on test."""
    for job, each in zip(Sweep(sweep).jobs, ends, strict=True):
        assert job.run is not None
        path = job.run.path / "summary.json"
        write_json(path, {**read_json(path), "intervals": {"test": {"accuracy": each}}})


def test_a_sweep_of_folds_is_no_contest(tmp_path: Path) -> None:
    """One line with mean and std, the pooled figure, no best fold, and nothing to choose from."""
    jobs = [FakeJob({"dataset.fold": k}, share, fold=(k, 2)) for k, share in ((0, 0.75), (1, 0.5))]
    path = write_sweep(tmp_path, jobs)
    give_answers(path, [FIRST, [True, False, True, False]])
    outcome = refresh_sweep(path)
    screen, page = closing_screen(outcome), (path / "sweep.md").read_text()
    assert "62.50 ± 17.68 %" in screen
    for text in (" ".join(screen.split()), page):
        assert "out of fold, val/accuracy: 62.50 % (95 % interval 30.6 to 86.3 %)" in text
        assert "over 8 samples" in text
        assert "2 of 2 folds" in text
        assert "against the second" not in text
        assert "Holm" not in text
    assert "best" not in page.replace("best epoch", "").lower()
    assert "expkit compare" not in screen
    assert "| 2 | 62.50 ± 17.68 % | 62.50 % (30.6 to 86.3 %) |" in page


def test_what_was_chosen_by_val_is_reported_on_test_once(tmp_path: Path) -> None:
    """The best on val has half of test, where the other has all, of which nothing is told."""
    jobs = [
        FakeJob({"model": "lucky"}, 0.9, test=0.5),
        FakeJob({"model": "solid"}, 0.8, test=1.0),
    ]
    path = write_sweep(tmp_path, jobs)
    give_intervals(path, (0.215, 0.785), (0.676, 1.0))
    outcome = refresh_sweep(path)
    screen, page = " ".join(closing_screen(outcome).split()), (path / "sweep.md").read_text()
    assert outcome.headline().startswith("Best: lucky: val/accuracy 90.00 %")
    for text in (screen, page):
        assert (
            "The best, judged on test, by which nothing was chosen: test/accuracy 50.00 % "
            "(95 % interval 21.5 to 78.5 %), 50 samples." in text
        )
        assert text.count("test/accuracy") == 1
        assert "100.00 %" not in text
    assert screen.endswith("--metric val/accuracy")


def test_several_models_of_one_test_set_are_told_as_such(tmp_path: Path) -> None:
    """Two seeds judge the same 50 samples, which are not 100: the interval is no narrower."""
    jobs = [FakeJob({}, 0.9, seed, test=share) for seed, share in enumerate((0.5, 0.75))]
    path = write_sweep(tmp_path, jobs)
    give_intervals(path, (0.3, 0.7), (0.6, 0.85))
    told = " ".join(closing_screen(SweepOutcome.of(path)).split())
    assert "test/accuracy 62.50 ± 17.68 % (95 % interval 45.0 to 77.5 %)" in told
    assert "the same 50 samples, judged by 2 models" in told


@pytest.mark.parametrize(("test", "split", "lacks"), [(None, "val", "test"), (0.5, "test", "val")])
def test_choosing_on_what_judges_is_said(
    tmp_path: Path, test: float | None, split: str, lacks: str
) -> None:
    """Where a split lacks, choosing and judging are done on the same samples."""
    jobs = [FakeJob({"model": name}, share, test=test) for name, share in (("a", 0.9), ("b", 0.8))]
    path = write_sweep(tmp_path, jobs)
    if split == "test":
        without_val(path)
    told = " ".join(closing_screen(SweepOutcome.of(path)).split())
    assert f"done on the same samples ({split}), as there is no {lacks} split" in told


def without_val(path: Path) -> None:
    for job in Sweep(path).jobs:
        assert job.run is not None
        record = read_json(job.run.path / "digest.json")
        del record["metrics"]["val"]
        write_json(job.run.path / "digest.json", record)
