"""`expkit compare` as a user types it."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_once import made_once
from PIL import Image
from running_expkit import Expkit
from synthetic_runs import (
    classes_run,
    config_of,
    failed_gate_run,
    interrupted_run,
    position_run,
    puzzle_run,
)

from expkit.metrics.p_values import p_value
from expkit.records.files import read_json, write_json
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.records.seed_groups import Folding
from expkit.reports.run.pages import refresh
from expkit.reports.runs.recipes import fold_rows
from expkit.reports.runs.rows import RunRow

OUTPUTS = Path("outputs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on digits, made once: a weak one, a strong one, and one that failed at a gate."""

    def make(parent: Path) -> None:
        for name, share, size in (("narrow", 0.8, 32), ("wide", 0.95, 128)):
            config = config_of(batch_size=size)
            path = f"20260101_1200_{name}"
            run = classes_run(parent, name=path, share_right=share, config=config)
            refresh(run.path, plots=False)
        failed_gate_run(parent, name="20260101_1200_gate")

    return made_once(tmp_path_factory, "compared", make)


@pytest.fixture
def outputs(made: Path, run_here: Expkit) -> Path:
    """A copy of them where the command looks for runs."""
    shutil.copytree(made, OUTPUTS)
    return OUTPUTS


def vary(number: int, source: str, **changes: Any) -> None:
    """A copy of a run with other settings and another accuracy in its digest."""
    copy = OUTPUTS / f"20260102_1200_{source}_{number}"
    shutil.copytree(OUTPUTS / f"20260101_1200_{source}", copy)
    record = read_json(copy / "digest.json")
    accuracy = changes.pop("accuracy")
    record["config"] |= changes
    record["metrics"]["test"]["accuracy"] = accuracy
    write_json(copy / "digest.json", record)


def test_two_runs_on_one_screen(run_here: Expkit, outputs: Path) -> None:
    """What differs, the figures with their difference, the answer, and the samples."""
    done = run_here("compare", "narrow", "wide")
    assert done.code == 0
    assert "A  20260101_1200_narrow (baseline)" in done.out
    assert "batch_size  32  128" in done.out
    assert "optimizer.lr" not in done.out
    assert "On 200 held-out samples (test):" in done.out
    assert "B  better (" in done.out
    assert "samples: fixed " in done.out
    assert "not about the recipes" in done.out
    assert len(done.out.splitlines()) < 40
    assert max(map(len, done.out.splitlines())) < 100


def test_another_baseline_turns_the_answer(run_here: Expkit, outputs: Path) -> None:
    """Also one that is not among the runs."""
    assert "A  worse (" in run_here("compare", "narrow", "wide", "--baseline", "wide").out
    assert "B  worse (" in run_here("compare", "narrow", "--baseline", "wide").out


def test_seeds_are_the_answer(run_here: Expkit, outputs: Path) -> None:
    """Two recipes with three seeds each are compared over these, in pairs."""
    for seed, (ours, theirs) in enumerate([(0.91, 0.90), (0.93, 0.91), (0.92, 0.91)]):
        vary(seed, "narrow", seed=seed, accuracy=theirs)
        vary(seed, "wide", seed=seed, accuracy=ours)
    done = run_here("compare", "outputs/*narrow_?", "outputs/*wide_?")
    assert "A  larger_backbone, 3 seeds (baseline)" in done.out
    assert "A    90.67 ± 0.58 %" in done.out
    assert "B    92.00 ± 1.00 %" in done.out
    assert (
        "no evidence of a difference (+1.33 points (-0.10 to +2.77), 3 seeds; p = 0.057, paired t"
        in done.out
    )
    assert "(the run with seed 0)" in done.out
    assert "not about the recipes" not in done.out


def edit_digest(name: str, **changes: Any) -> None:
    """Change what a copied run's digest says of its samples."""
    path = OUTPUTS / name / "digest.json"
    record = read_json(path)
    for key, own in changes.items():
        record[key] |= own
    write_json(path, record)


@pytest.mark.parametrize("follows", [True, False])
def test_seeds_with_samples_of_their_own_are_not_said_to_share_them(
    run_here: Expkit, outputs: Path, follows: bool
) -> None:
    """Where the split's seed is the seed's; else all have the very same samples."""
    for seed, (ours, theirs) in enumerate([(0.91, 0.90), (0.93, 0.91), (0.92, 0.91)]):
        for source, accuracy in (("narrow", theirs), ("wide", ours)):
            split_seed = seed if follows else 0
            config = {"seed": seed, "dataset.split_seed": split_seed}
            vary(seed, source, accuracy=accuracy, **config)
            prints = {split: f"{split}{split_seed}" for split in ("train", "val", "test")}
            edit_digest(f"20260102_1200_{source}_{seed}", fingerprints=prints)
    words = ("compare", "outputs/*narrow_?", "outputs/*wide_?", "--to", "page")
    for text in (run_here(*words).out, Path("page/compare.md").read_text()):
        assert ("Each seed has samples of its own here" in text) == follows
        assert ("(test), other ones for each run" in text) == follows
        assert ("on these very samples" in text) != follows


def test_the_samples_of_folds_are_those_of_a_fold(run_here: Expkit, outputs: Path) -> None:
    """By its number, as all have the same seed."""
    for fold in range(3):
        for source in ("narrow", "wide"):
            config = {"dataset.fold": fold, "dataset.num_folds": 3}
            vary(fold, source, accuracy=0.9 + fold / 100, **config)
    done = run_here("compare", "outputs/*narrow_?", "outputs/*wide_?")
    assert "(the run with seed 0 and fold 0)" in done.out


def test_those_that_are_shown_are_chosen_on_val(run_here: Expkit, outputs: Path) -> None:
    """The one of twelve that is best on test is the worst on val, and is not chosen for it."""
    for number in range(12):
        vary(number, "wide", accuracy=0.5 + number / 100, batch_size=256 + number)
        val = {"accuracy": 0.9 - number / 100}
        digest = read_json(OUTPUTS / f"20260102_1200_wide_{number}" / "digest.json")
        metrics = {"val": digest["metrics"]["val"] | val}
        edit_digest(f"20260102_1200_wide_{number}", metrics=metrics)
    done = run_here("compare", "narrow", "outputs/*wide_*", "--to", "page")
    said = "these are the best in val/accuracy, and the baseline"
    assert said in " ".join(done.out.split())
    assert said in Path("page/compare.md").read_text()
    assert "20260102_1200_wide_0 " in done.out
    assert "20260102_1200_wide_11 " not in done.out


def test_a_run_made_twice_is_said_and_left_out(run_here: Expkit, outputs: Path) -> None:
    """It is no recipe of its own, and with nothing else there is nothing to compare."""
    for number in range(2):
        vary(number, "narrow", accuracy=0.9)
    done = run_here("compare", "outputs/*narrow_?", "wide")
    assert "left out: 20260102_1200_narrow_1: a repetition of 20260102_1200_narrow_0" in done.out
    assert "C  " not in done.out
    refused = run_here("compare", "outputs/*narrow_?")
    assert refused.code == 2
    assert "a repetition of 20260102_1200_narrow_0" in refused.err
    kept = run_here("compare", "wide", "narrow_0", "narrow_1", "--baseline", "narrow_1")
    assert "left out: 20260102_1200_narrow_0: a repetition of 20260102_1200_narrow_1" in kept.out
    assert "20260102_1200_narrow_1 (baseline)" in kept.out


def test_folds_are_told_together_and_not_compared(run_here: Expkit, outputs: Path) -> None:
    """Three folds of a recipe have a mean; beside those of another they are tested as draws."""
    for number, accuracy in enumerate((0.90, 0.92, 0.94)):
        folds = {"dataset.fold": number, "dataset.num_folds": 3}
        vary(number, "narrow", accuracy=accuracy, **folds)
        vary(number, "wide", accuracy=accuracy + 0.01 + 0.001 * number, **folds)
    refused = run_here("compare", "outputs/*narrow_?")
    assert refused.code == 2
    assert "these are 3 folds of one recipe" in refused.err
    assert "test/accuracy: 92.00 ± 2.00 %, mean ± std over 3 folds" in refused.err
    assert "cannot be pooled: the folds share samples" in " ".join(refused.err.split())
    done = run_here("compare", "outputs/*narrow_?", "outputs/*wide_?")
    assert "A  larger_backbone, 3 folds (baseline)" in done.out
    assert "3 folds; p =" in " ".join(done.out.split())
    assert "Folds share most of their training samples" in done.out
    assert "mean ± standard deviation over folds" in done.out
    assert "over seeds is about" not in done.out
    assert "would be needed" not in done.out  # the number of folds is no sample size


def test_what_follows_the_seed_is_said(run_here: Expkit, outputs: Path) -> None:
    """Two recipes by three seeds, each with a division of the data by that seed, are two."""
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        follows = {"seed": seed, "dataset.split_seed": seed}
        vary(seed, "narrow", accuracy=accuracy, **follows)
        vary(seed, "wide", accuracy=accuracy + 0.01, **follows)
    done = run_here("compare", "outputs/*narrow_?", "outputs/*wide_?")
    assert "B  larger_backbone, 3 seeds" in done.out
    assert "note: dataset.split_seed has one value for each seed" in done.out


def test_many_recipes_fit_a_screen(run_here: Expkit, outputs: Path, tmp_path: Path) -> None:
    """The best ten and the baseline are shown, corrected for all that were tried."""
    for number in range(14):
        vary(number, "wide", batch_size=number + 1, accuracy=0.7 + 0.02 * number)
    done = run_here("compare", "outputs/*wide_*", "--to", "page")
    assert "3 of 14 are not shown" in done.out
    assert "13 comparisons with A" in done.out
    assert len(done.out.splitlines()) < 60
    assert max(map(len, done.out.splitlines())) < 100
    rows = read_csv(tmp_path / "page" / "compare.csv")
    assert len(rows) == 14
    assert sum(row["answer"] == "not tested" for row in rows) == 3
    assert {row["batch_size"] for row in rows} == {str(number + 1) for number in range(14)}


def test_settings_and_metrics_of_many_runs_do_not_vanish(
    run_here: Expkit, outputs: Path, tmp_path: Path
) -> None:
    """Four runs with values too wide for one line: each has its column, also where that needs a
    second block, values that differ at their ends are seen to, and metrics left out are named."""
    for number, name in enumerate(("narrow", "wide", "deep", "deepest")):
        value = f"a_model_with_a_very_long_name_{name}"
        vary(number, "wide", accuracy=0.8, **{"model.name": value, "batch_size": number})
    done = run_here("compare", "outputs/*wide_?")
    lines = done.out.splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("batch_size")] == [
        ["0", "1", "2"],
        ["3"],
    ]
    assert [line.split() for line in lines if line.split() in (["A", "B", "C"], ["D"])] == [
        ["A", "B", "C"],
        ["D"],
    ]
    shown = [cell for line in lines if line.startswith("model.name") for cell in line.split()[1:]]
    assert len(set(shown)) == 4
    assert max(map(len, lines)) < 100
    unshown = done.out.partition("with --to FOLDER also: ")[2].partition("\n\n")[0]
    measured = read_json(OUTPUTS / "20260102_1200_wide_0" / "digest.json")["metrics"]["test"]
    assert all(any(line.startswith(name) for line in lines) or name in unshown for name in measured)


def test_p_stands_on_the_screen_on_the_page_and_in_the_csv(
    run_here: Expkit, outputs: Path, tmp_path: Path
) -> None:
    """The same one, after Holm's correction, with the interval that agrees with it."""
    vary(0, "narrow", accuracy=0.8, batch_size=8)
    done = run_here("compare", "wide", "outputs/*narrow*", "--to", "page")
    rows = read_csv(tmp_path / "page" / "compare.csv")[1:]
    for row in rows:
        p, low, high = (float(row[f"accuracy {end}"]) for end in ("p", "low", "high"))
        assert p == pytest.approx(2 * float(row["accuracy p alone"]), rel=1e-4)
        assert p < 0.05
        assert low < high < 0
        assert row["accuracy count"] == "200"
        assert f"; p {p_value(p)}, McNemar" in row["answer"]
    page = (tmp_path / "page" / "compare.md").read_text()
    assert "| difference to A (95 % interval) | p |" in page
    for text in (done.out, page):
        assert "p and interval are both of McNemar's exact test" in " ".join(text.split())


def test_recall_of_a_class_is_tested_on_its_samples(run_here: Expkit, outputs: Path) -> None:
    """Of 200 samples 20 are of the class, which the answer says."""
    done = run_here("compare", "narrow", "wide", "--metric", "recall[3]")
    assert re.search(r"\(\d of 20 samples; p = [\d.]+, McNemar's exact test", done.out)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_files(run_here: Expkit, tmp_path: Path) -> None:
    """A page, a table, every sample that changed, and the pieces that were fixed or broken."""
    for name, share in (("narrow", 0.8), ("wide", 0.95)):
        run = puzzle_run(OUTPUTS, 4, 6, name=f"20260101_1200_{name}", share_right=share)
        refresh(run.path, plots=False)
    done = run_here("compare", "narrow", "wide", "--to", "page")
    page = tmp_path / "page"
    assert done.code == 0
    rows = read_csv(page / "changes.csv")
    ours, theirs = (Run(tmp_path / OUTPUTS / f"20260101_1200_{n}") for n in ("wide", "narrow"))
    right = [run.predictions["train"].ranks == 0 for run in (ours, theirs)]  # type: ignore[union-attr]
    assert sum(row["kind"] == "fixed" for row in rows) == (right[0] & ~right[1]).sum() > 0
    assert len(rows) == (~(right[0] & right[1])).sum()
    assert all(row["prediction"] == row["target"] for row in rows if row["kind"] == "fixed")
    assert "| accuracy | A |" in (page / "compare.md").read_text()
    assert "![changes](changes.png)" in (page / "compare.md").read_text()
    with Image.open(page / "changes.png") as picture:
        assert picture.width > 600
        assert len(np.unique(np.asarray(picture))) > 20  # the pieces, not only text


def test_samples_without_pictures_are_said(run_here: Expkit, outputs: Path, tmp_path: Path) -> None:
    """Nothing is drawn that the records do not hold, and nothing is read from the data."""
    wide = Run(outputs / "20260101_1200_wide")
    assert "no image" in run_here("compare", "narrow", "wide", "--to", "page").out
    assert not (tmp_path / "page" / "changes.png").exists()
    narrow = Run(OUTPUTS / "20260101_1200_narrow")
    fixed = narrow.predictions["test"].samples[int(np.flatnonzero(wide_only(wide, narrow))[0])]
    folder = RunFolder.reopen(narrow.path)
    images = np.zeros((1, 8, 8, 1), np.uint8)
    classes = {"targets": np.array([0]), "predictions": np.array([1])}
    told = {"names": np.array([fixed]), "images": images, "confidences": np.array([0.9])}
    folder.write_samples("wrong_test", {**told, **classes})
    folder.close()
    run_here("compare", "narrow", "wide", "--to", "page")
    assert (tmp_path / "page" / "changes.png").exists()


def wide_only(ours: Run, theirs: Run) -> np.ndarray:
    right = [run.predictions["test"].ranks == 0 for run in (ours, theirs)]  # type: ignore[union-attr]
    return np.asarray(right[0] & ~right[1])


def test_other_data_is_not_tested(run_here: Expkit, outputs: Path) -> None:
    """Figures are shown, without a difference."""
    refresh(puzzle_run(OUTPUTS, 4, 5, name="20260101_1200_puzzle").path, plots=False)
    done = run_here("compare", "wide", "puzzle")
    assert done.code == 0
    assert "not compared: measured on train, the baseline on test: training against" in done.out
    assert "points (" not in done.out


def test_same_fingerprint_but_other_samples(run_here: Expkit, outputs: Path) -> None:
    """Answers to samples of other names are never paired."""
    first, second = (Run(outputs / f"20260101_1200_{name}") for name in ("narrow", "wide"))
    text = (second.path / "predictions.csv").read_text().replace("test_0,", "test_x,")
    (second.path / "predictions.csv").write_text(text)
    done = run_here("compare", str(first.path), str(second.path))
    assert "not compared: not both have recorded predictions for the same samples" in done.out


def test_predictions_that_were_deleted(run_here: Expkit, outputs: Path) -> None:
    """Figures are still shown; there is nothing to test them by."""
    (outputs / "20260101_1200_wide" / "predictions.csv").unlink()
    done = run_here("compare", "narrow", "wide")
    assert done.code == 0
    assert "not compared: not both have recorded predictions" in done.out


def test_regression(run_here: Expkit) -> None:
    """Judged by the error, of which less is better."""
    for noise in (0.05, 0.02):
        run = position_run(OUTPUTS, 5, 6, noise)
        refresh(run.path, plots=False)
    done = run_here("compare", "outputs")
    assert done.code == 0
    assert "B  better (-0.0" in done.out
    assert "paired sign-flip test" in done.out


def test_a_metric_of_a_class_and_of_a_split(run_here: Expkit, outputs: Path) -> None:
    """By the names that criteria use; the others of that split stand beside it."""
    done = run_here("compare", "narrow", "wide", "--metric", "recall[3]")
    assert "Is recall[3] better than with A?" in done.out
    done = run_here("compare", "narrow", "wide", "--metric", "val/log_loss")
    assert "On 200 held-out samples (val):" in done.out
    assert "B  better (" in done.out
    assert "val/accuracy" in done.out


def test_runs_without_predictions_are_left_out(run_here: Expkit, outputs: Path) -> None:
    """Each kind with its reason, also one that a live process has only begun to write."""
    interrupted_run(OUTPUTS / "more", locked=False)
    files = {"config.yaml": "procedure: {}\nname: new\n", "environment.json": "{}"}
    live = RunFolder.create(OUTPUTS, "20260101_1300_new", files)
    try:
        done = run_here("compare", "outputs", "outputs/more")
    finally:
        live.close()
    assert done.code == 0
    assert "left out: 20260101_1300_new: running, and nothing is measured yet" in done.out
    assert "left out: 20260101_120000_larger_backbone: interrupted, without predict" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "gate", "gate"), "none of these runs has predictions"),
        (("compare", "narrow", "narrow"), "nothing to compare"),
        (("compare", "empty"), "no run folder"),
        (("compare", "nowhere*"), "there is no run 'nowhere*'"),
        (("compare", "narrow", "wide", "--metric", "acuracy"), "nearest  accuracy"),
        (("compare", "narrow", "wide", "--metric", "recall[z]"), "recall[CLASS]"),
        (("compare", "narrow", "wide", "--where", "batchsize=3"), "nearest  batch_size"),
        (("compare", "narrow", "wide", "--where", "batch_size=3"), "batch_size is 32, 128"),
        (("compare", "narrow", "wide", "--to", "file"), "cannot write"),
    ],
)
def test_wrong_requests(run_here: Expkit, outputs: Path, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, one screen."""
    Path("empty").mkdir()
    Path("file").touch()
    done = run_here(*words)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) < 24


def test_compare_needs_no_torch(run_without_torch: Expkit, outputs: Path) -> None:
    """Years later, on a machine without it, with its images."""
    done = run_without_torch("compare", "outputs", "--to", "page")
    assert (done.code, done.err) == (0, "")


def test_why_there_is_no_test_is_told_by_its_own_reason(run_here: Expkit, outputs: Path) -> None:
    """Not that the samples are others, where the metric has no test or was not measured."""
    done = run_here("compare", "narrow", "wide", "--metric", "calibration_error")
    assert "calibration_error is no sum over samples, so its noise is not known" in done.out
    vary(1, "wide", accuracy=None)
    done = run_here("compare", "narrow", "wide_1")
    assert "not compared: not both have a figure of accuracy" in done.out


def test_a_metric_that_is_newer_than_a_run_is_measured_of_its_predictions(
    run_here: Expkit, outputs: Path
) -> None:
    """Its digest knows nothing of AURC; of all runs, as they have one definition."""
    (narrow,) = outputs.glob("*_narrow")
    record = read_json(narrow / "digest.json")
    aurc = record["metrics"][record["judged_split"]]["aurc"]
    for metrics in record["metrics"].values():
        del metrics["aurc"]
    write_json(narrow / "digest.json", record)
    done = run_here("compare", "narrow", "wide", "--metric", "aurc")
    assert done.code == 0, done.err
    assert f"{aurc:.4g}" in done.out


def test_seeds_do_not_tell_of_other_samples(run_here: Expkit, outputs: Path) -> None:
    """The same samples judge every seed, so their luck is in no interval over seeds."""
    for number, (batch_size, seed, accuracy) in enumerate(
        [(32, 1, 0.80), (32, 2, 0.81), (32, 3, 0.80), (128, 1, 0.90), (128, 2, 0.93), (128, 3, 0.9)]
    ):
        vary(number, "narrow", batch_size=batch_size, seed=seed, accuracy=accuracy)
    done = run_here("compare", "outputs/20260102*", "--to", "page")
    told = "on these very samples"
    assert "paired t test" in done.out
    assert told in " ".join(done.out.split())
    assert told in Path("page/compare.md").read_text()
    assert "not about the recipes" not in done.out


def test_runs_are_folded_once(
    run_here: Expkit, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand runs it takes a fifth of a second each time."""
    from expkit.reports.compare import measured_runs

    calls = []

    def count(rows: list[RunRow]) -> Folding:
        calls.append(len(rows))
        return fold_rows(rows)

    monkeypatch.setattr(measured_runs, "fold_rows", count)
    assert run_here("compare", "narrow", "wide").code == 0
    assert calls == [2]
