"""`expkit.compare`: the command's verdict as an object."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_once import made_once
from running_expkit import Expkit
from synthetic_runs import classes_run, config_of, failed_gate_run

import expkit
from expkit.reports.run.pages import refresh


@pytest.fixture
def outputs(tmp_path_factory: pytest.TempPathFactory, run_here: Expkit) -> Path:
    """A weak run, a strong one, a third, and one that failed at a gate; made once."""

    def make(folder: Path) -> None:
        for name, share, size in (("narrow", 0.8, 32), ("wide", 0.95, 128), ("third", 0.9, 7)):
            config, path = config_of(batch_size=size), f"20260101_1200_{name}"
            run = classes_run(folder, name=path, share_right=share, config=config)
            refresh(run.path, plots=False)
        failed_gate_run(folder, name="20260101_1200_gate")

    folder = Path("outputs")
    shutil.copytree(made_once(tmp_path_factory, "compared_by_python", make), folder)
    return folder


def test_the_verdict_is_the_commands(run_here: Expkit, outputs: Path) -> None:
    """Word, sentence, numbers and screen; the first is what the second is held against."""
    found = expkit.compare("narrow", expkit.load_run("wide"))
    assert found.verdict == "better"
    assert found.metric == "accuracy"
    assert f"{found}\n" == run_here("compare", "narrow", "wide").out
    assert found.text in " ".join(str(found).split())
    assert found.text in repr(found)
    row = found.table.loc["accuracy"]
    assert (row.difference, row.low, row.high, row.p) == (
        found.difference,
        *(found.interval or ()),
        found.p,
    )
    assert row.difference == pytest.approx(row.b - row.a)
    assert found.settings.loc["batch_size"].tolist() == ["32", "128"]
    assert expkit.compare("wide", "narrow").verdict == "worse"


def test_it_judges_by_the_metric_that_is_asked_for(outputs: Path) -> None:
    assert expkit.compare("narrow", "wide", metric="val/macro_f1").metric == "val/macro_f1"
    with pytest.raises(expkit.UserError, match="no run has a metric 'acuracy'") as caught:
        expkit.compare("narrow", "wide", metric="acuracy")
    assert caught.value.details["nearest"] == "accuracy"


def test_what_cannot_be_compared_is_refused(outputs: Path) -> None:
    """A run with itself, one without predictions, and three at once."""
    with pytest.raises(expkit.UserError, match="nothing to compare"):
        expkit.compare("narrow", "narrow")
    with pytest.raises(expkit.UserError, match="nothing to compare"):
        expkit.compare("narrow", "gate")
    with pytest.raises(expkit.UserError, match="these are 3 recipes"):
        expkit.compare("narrow", ["wide", "third"])


def test_a_cell_shows_it_escaped(outputs: Path) -> None:
    (outputs / "20260101_1200_wide").rename(outputs / "20260101_1200_<script>")
    page = expkit.compare("narrow", "<script>")._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
