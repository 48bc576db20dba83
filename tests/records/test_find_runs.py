"""Which runs a word means."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.find_runs import find_runs
from expkit.records.run.writer import RunFolder
from expkit.records.sweep.folder import SweepFolder

FILES = {"config.yaml": "procedure: {}\n", "environment.json": "{}"}


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, a sweep of two, and a run elsewhere that the sweep took over."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs"
    sweep = SweepFolder.create(folder / "20260103_1200_1_sweep", {"objective": "accuracy"})
    places = {
        "20260101_1200_small": folder,
        "20260102_1200_large": folder,
        "20260103_1200_job": sweep.path,
        "20251231_1200_old": tmp_path / "elsewhere",
    }
    for name, parent in places.items():
        RunFolder.create(parent, name, FILES).close()
    sweep.plan("a" * 16, 0, [], {})
    sweep.note("a" * 16, "run", run="20260103_1200_job")
    sweep.plan("b" * 16, 1, [], {})
    sweep.note("b" * 16, "reused", run=str(tmp_path / "elsewhere" / "20251231_1200_old"))
    sweep.plan("c" * 16, 2, [], {})
    return folder


SMALL, LARGE, JOB, OLD = "small", "large", "job", "old"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["large", "small"], [LARGE, SMALL]),
        (["outputs/20260101_1200_small"], [SMALL]),
        (["outputs"], [SMALL, LARGE, JOB]),
        (["outputs/*l*"], [SMALL, LARGE]),
        (["*_l*"], [LARGE]),
        (["outputs/*sweep"], [JOB, OLD]),
        (["outputs/20260103_1200_1_sweep", "outputs/*_small"], [JOB, OLD, SMALL]),
        (["1_sweep"], [JOB, OLD]),
        (["small", "outputs/*small", "elsewhere"], [SMALL, OLD]),
    ],
)
def test_words(outputs: Path, words: list[str], meant: list[str]) -> None:
    """Paths, names, folders, sweeps with the runs that they took over, globs of any; each once."""
    assert [run.name.rpartition("_")[2] for run in find_runs(words)] == meant


@pytest.mark.parametrize("word", ["nowhere", "nowhere*", "outputs/none*", "l"])
def test_a_word_that_means_nothing(outputs: Path, word: str) -> None:
    """Or too much, as a part of two names."""
    with pytest.raises(UserError):
        find_runs([word])


def test_a_foreign_folder(outputs: Path, tmp_path: Path) -> None:
    """Has no runs, and says so, also where a glob finds only such."""
    (tmp_path / "pictures").mkdir()
    for word in ("pictures", "pict*"):
        with pytest.raises(UserError):
            find_runs([word])
