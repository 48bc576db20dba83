"""`expkit analyze` and `expkit threshold` as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_expkit import Expkit
from synthetic_runs import classes_run

from expkit.records.run.thresholds import read_thresholds


def test_threshold_is_kept_and_told(run_here: Expkit) -> None:
    """The file that predicting reads, the curve, and an exit code that is the verdict."""
    run = classes_run(Path("outputs"), ["clean", "pit"], per_class=200)
    done = run_here("threshold", "last", "--class", "pit", "--recall", "0.9")
    (kept,) = read_thresholds(run.path)
    assert done.code == (0 if kept.is_confirmed else 1)
    assert (run.path / "plots" / "threshold_1_pit.png").exists()
    assert "plots/threshold_1_pit.png" in (run.path / "report.md").read_text()
    done = run_here(
        *("threshold", "last", "--class", "clean", "--recall", "0.97", "--precision", "0.99")
    )
    assert "sent to maybe" in done.out
    assert f"beside  pit ({kept.verdict})" in done.out
    assert [each.class_name for each in read_thresholds(run.path)] == ["pit", "clean"]


@pytest.mark.slow
def test_threshold_that_is_not_confirmed_exits_with_1(run_here: Expkit) -> None:
    """Kept on one half, missed on the other: by chance this happens to some of the halves."""
    classes_run(Path("outputs"), ["clean", "pit"], per_class=300)
    codes = [
        run_here("threshold", "--class", "pit", "--recall", "0.97", "--seed", str(seed)).code
        for seed in range(6)
    ]
    assert 1 in codes
    assert 2 not in codes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--class", "pits", "--recall", "0.9"), "pit"),
        (("--class", "pit"), "nothing is asked"),
        (("--class", "pit", "--recall", "95"), "99 % is 0.99"),
        (("--class", "pit", "--recall", "0.9", "--split", "train"), "training samples"),
    ],
)
def test_wrong_requests_leave_nothing(run_here: Expkit, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, one screen, no file."""
    run = classes_run(Path("outputs"), ["clean", "pit"])
    done = run_here("threshold", "last", *words)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) < 24
    assert not (run.path / "threshold.json").exists()


@pytest.mark.parametrize(
    "words", [("analyze",), ("threshold", "--class", "pit", "--recall", "0.9")]
)
def test_neither_needs_torch(
    run_without_torch: Expkit, words: tuple[str, ...], tmp_path: Path
) -> None:
    """A run can be measured on a machine without it."""
    classes_run(tmp_path / "outputs", ["clean", "pit"])
    done = run_without_torch(*words)
    assert done.code in (0, 1), done.err
    assert not done.err
    assert done.out
