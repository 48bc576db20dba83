"""`expkit.load_run`: a run's records as values, tables and figures."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic_runs import (
    classes_run,
    config_of,
    failed_gate_run,
    interrupted_run,
    passed,
    position_run,
    write_run,
)

import expkit
from expkit.records.files import append_line, read_json, write_json
from expkit.reports.run.pages import refresh

HOSTILE = ("<script>alert(1)</script>", "b\x1b[2J", "sample")


@pytest.fixture
def run(tmp_path: Path) -> expkit.Run:
    """A finished run of ten classes with its pages."""
    made = classes_run(tmp_path, name="20260101_120000_digits", per_class=6)
    refresh(made.path, plots=False)
    return expkit.load_run(made.path)


def test_a_run_is_found_as_commands_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its path, a part of its name, `last`, or as itself; its path stays when one moves on."""
    monkeypatch.chdir(tmp_path)
    made = classes_run(tmp_path / "outputs", name="20260101_120000_digits", per_class=2)
    found = [expkit.load_run(word) for word in (made.path, "digits", "last")]
    monkeypatch.chdir("/")
    assert set(found) == {expkit.load_run(found[0])}
    assert found[1].status == "finished"
    assert pickle.loads(pickle.dumps(found[1])) == found[1]


def test_a_word_that_means_no_run_is_one_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text is the screen's, nothing is chained to it, and a notebook shows the screen alone."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(expkit.UserError, match="there is no run 'nope'") as caught:
        expkit.load_run("nope")
    error = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "  allowed  a path, a unique part of a name, or last" in str(error)
    assert error._render_traceback_() == [error.screen()]


def test_metrics_are_those_of_the_summary(run: expkit.Run) -> None:
    """Each split's value and interval; chance and the largest class of the judged split."""
    summary = read_json(run.path / "summary.json")
    frame = run.metrics
    assert set(frame.index.get_level_values("split")) == {"train", "val", "test"}
    accuracy = frame.loc[("test", "accuracy")]
    assert accuracy.value == summary["metrics"]["test"]["accuracy"]
    assert [accuracy.low, accuracy.high] == summary["intervals"]["test"]["accuracy"]
    assert accuracy.chance == pytest.approx(0.1)
    assert np.isnan(frame.loc[("val", "accuracy"), "chance"])
    assert set(frame.dtypes.astype(str)) == {"float64"}


def test_predictions_are_as_recorded(run: expkit.Run) -> None:
    """A row a sample, of the judged split without another: so accuracy comes out again."""
    frame = run.predictions()
    assert list(frame.columns[:5]) == ["sample", "target", "prediction", "correct", "confidence"]
    assert list(frame.columns[5:]) == [f"probability[{name}]" for name in "0123456789"]
    assert frame.correct.mean() == pytest.approx(run.metrics.loc[("test", "accuracy"), "value"])
    assert (frame.correct == (frame.target == frame.prediction)).all()
    of_prediction = [row[f"probability[{row.prediction}]"] for _, row in frame.iterrows()]
    assert frame.confidence.tolist() == of_prediction
    assert len(run.predictions("train")) == 5 * len(frame)


def test_a_split_that_was_not_predicted_is_refused(run: expkit.Run) -> None:
    with pytest.raises(expkit.UserError, match="no predictions of a split 'tset'") as caught:
        run.predictions("tset")
    assert caught.value.details["nearest"] == "test"
    assert caught.value.details["allowed"] == "train, val, test"


def test_numbers_are_predicted_by_name(tmp_path: Path) -> None:
    """Of a regression: targets and predictions of each, no classes and no probabilities."""
    run = expkit.load_run(position_run(tmp_path).path)
    names = ["sample", "target_x", "target_y", "predicted_x", "predicted_y"]
    assert list(run.predictions().columns) == names
    assert run.class_names is None
    assert "rmse" in run.metrics.loc["train"].index


@pytest.mark.parametrize(
    ("kind", "reason", "advice"),
    [
        ("cut", "it was cut off before its evaluation", "expkit resume "),
        ("running", "it is running, and not evaluated yet", "expkit show "),
        ("gate", "overfit_10 failed: loss 6.857", "expkit diagnose "),
        ("plain", "its procedure has no evaluation", "expkit evaluate "),
    ],
)
def test_without_predictions_it_says_what_to_do(
    kind: str, reason: str, advice: str, tmp_path: Path
) -> None:
    """By what became of the run; its metrics are an empty table, and it can be shown."""
    if kind == "gate":
        made = failed_gate_run(tmp_path)
    elif kind == "plain":
        config = config_of(procedure={"train": {"_target_": "expkit.runner.stages.Training"}})
        metadata = failed_gate_run(tmp_path / "other").dataset
        made = write_run(tmp_path, metadata, config=config, stages=[passed("train", "Training")])
    else:
        made = interrupted_run(tmp_path, locked=kind == "running")
    run = expkit.load_run(made.path)
    with pytest.raises(expkit.UserError, match=reason) as caught:
        run.predictions()
    assert str(caught.value.details["do"]).startswith(advice)
    assert run.metrics.empty
    assert list(run.metrics.columns) == ["value", "low", "high", "chance", "constant"]
    assert run.status in repr(run)
    assert run.status in run._repr_html_()
    assert not run.passed or kind == "plain"


def test_history_and_signals_are_a_row_a_record(run: expkit.Run) -> None:
    assert run.history.query("stage == 'train'").epoch.tolist() == list(range(1, 31))
    assert isinstance(run.signals, pd.DataFrame)


def test_a_run_under_way_is_read_anew(tmp_path: Path) -> None:
    """Epoch 8 comes while somebody looks at epoch 7."""
    run = expkit.load_run(interrupted_run(tmp_path).path)
    assert run.history.epoch.iloc[-1] == 7
    append_line(run.path / "history.jsonl", '{"stage": "train", "epoch": 8, "lr": 0.1}')
    assert run.history.epoch.iloc[-1] == 8


def test_the_config_is_ones_own(run: expkit.Run) -> None:
    """Changing it changes nothing that is read later."""
    run.config["optimizer"]["lr"] = 7
    assert run.config["optimizer"]["lr"] == 0.001
    assert type(run.config) is dict


def test_criteria_stand_with_what_was_reached(run: expkit.Run) -> None:
    """93 % right is below the bound of 95 %, and the interval says how far the noise reaches."""
    row = run.criteria.iloc[0]
    assert (row.metric, row.relation, row.bound, row.split) == ("accuracy", ">", 0.95, "test")
    assert row.met == (row.value > 0.95)
    assert row.low < row.value < row.high
    assert run.verdict == ("met" if run.criteria.met.all() else "not met")


def test_findings_are_dataclasses(run: expkit.Run) -> None:
    rules = [finding["rule"] for finding in read_json(run.path / "summary.json")["findings"]]
    assert [finding.rule for finding in run.findings] == rules
    assert rules


def test_a_plot_is_a_figure_and_no_file(run: expkit.Run, tmp_path: Path) -> None:
    """The last of several stages; a notebook shows it without pyplot."""
    before = sorted(tmp_path.rglob("*"))
    figure = run.plot("curves")
    assert isinstance(figure, Figure)
    assert "train: 30 epochs" in figure.get_suptitle()
    assert run.plot("curves_train").get_suptitle() == figure.get_suptitle()
    assert run.plot("confusion").axes
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_plot_that_there_is_not_is_refused(run: expkit.Run) -> None:
    with pytest.raises(expkit.UserError, match="has no plot 'confusoin'") as caught:
        run.plot("confusoin")
    assert caught.value.details["nearest"] == "confusion"
    assert "curves_train" in str(caught.value.details["allowed"])


def test_what_a_stranger_named_is_text(tmp_path: Path) -> None:
    """On a page no tag, on a terminal nothing that it obeys, and no column is taken twice."""
    made = classes_run(tmp_path, HOSTILE, name="20260101_120000_<b>", per_class=3)
    run = expkit.load_run(made.path)
    page = run._repr_html_()
    assert "&lt;b&gt;" in page
    for text in (
        page,
        str(run),
        repr(run),
        repr(run.predictions()),
        str(run.predictions().columns),
    ):
        assert "\x1b" not in text
    assert "<script" not in page
    assert run.class_names == ["<script>alert(1)</script>", "b\\x1b[2J", "sample"]
    assert run.predictions().columns.is_unique


def test_a_damaged_run_is_shown_as_such(run: expkit.Run) -> None:
    """A cell shows the refusal, and repr never raises; a table says which file it is."""
    (run.path / "summary.json").unlink()
    (run.path / "dataset.json").write_text('{"name": "<script>"')
    assert "dataset.json" in repr(run)
    assert "dataset.json" in run._repr_html_()
    assert "<script" not in run._repr_html_()
    with pytest.raises(expkit.UserError, match=r"dataset\.json"):
        run.metrics  # noqa: B018


def test_a_run_of_another_version_is_refused(run: expkit.Run) -> None:
    path = run.path / "environment.json"
    write_json(path, {**read_json(path), "format_version": 99})
    (run.path / "digest.json").unlink()
    frame = expkit.load_runs(run.path)
    assert frame.status.tolist() == ["unreadable"]
    assert "newer expkit" in frame.reason[0]


def test_many_runs_are_one_table(tmp_path: Path) -> None:
    """Settings by their keys, figures by split; what cannot be read is a row, with the reason."""
    for name, size in (("narrow", 32), ("wide", 128)):
        config, path = config_of(batch_size=size), f"20260101_1200_{name}"
        classes_run(tmp_path, name=path, config=config, per_class=2)
    (tmp_path / "20260101_1200_wide" / "dataset.json").write_text("{")
    failed_gate_run(tmp_path, name="20260101_1200_gate")
    frame = expkit.load_runs(tmp_path).set_index("folder")
    statuses = {"narrow": "finished", "wide": "unreadable", "gate": "failed"}
    assert frame.status.to_dict() == {f"20260101_1200_{k}": v for k, v in statuses.items()}
    assert "dataset.json" in frame.reason["20260101_1200_wide"]
    assert frame.batch_size["20260101_1200_narrow"] == 32
    run = expkit.load_run(frame.path["20260101_1200_narrow"])
    accuracy = run.metrics.loc[("test", "accuracy"), "value"]
    assert frame["test/accuracy"]["20260101_1200_narrow"] == accuracy


def test_conditions_leave_out_runs(tmp_path: Path) -> None:
    """As `--where` does: a misspelt key is refused with the nearest; no run at all is, too."""
    for size in (32, 128):
        config = config_of(batch_size=size)
        failed_gate_run(tmp_path, name=f"20260101_1200_{size}", config=config)
    assert expkit.load_runs(tmp_path, where="batch_size=32").folder.tolist() == ["20260101_1200_32"]
    with pytest.raises(
        expkit.UserError, match="no run has a setting, a figure or a choice 'batch_sise'"
    ) as caught:
        expkit.load_runs(tmp_path, where=["seed=0", "batch_sise=32"])
    assert caught.value.details["nearest"] == "batch_size"
    with pytest.raises(expkit.UserError, match="no runs were named"):
        expkit.load_runs([])
