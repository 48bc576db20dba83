"""The plots of risk over coverage and of class weights: what they show, and when there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic_runs import classes_run, position_run

from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.reports.plots import style
from expkit.reports.plots.class_weights import draw_class_weights
from expkit.reports.plots.risk_coverage import draw_risk_coverage


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would be saved."""
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        return path

    monkeypatch.setattr(style, "save", keep)
    return figures


def lines_of(figure: Figure) -> dict[str, Any]:
    (axes,) = figure.axes
    return {str(line.get_label()).partition(":")[0]: line for line in axes.get_lines()}


def judged(run: Run) -> ClassPredictions:
    found = run.predictions[run.dataset.judged_split]
    assert isinstance(found, ClassPredictions)
    return found


def with_predictions(run: Run, **changes: Any) -> Run:
    found = judged(run)
    folder = RunFolder.reopen(run.path)
    folder.write_predictions([replace(found, **changes)])
    folder.close()
    return Run(run.path)


def test_risk_is_drawn_by_confidence_and_by_uncertainty(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    """An uncertainty that is 1 for errors and 0 else is the best order, and lies on its line."""
    run = classes_run(tmp_path, ["clean", "pit"], per_class=40)
    is_wrong = judged(run).ranks != 0
    assert is_wrong.any()
    assert [path.name for path in draw_risk_coverage(run, tmp_path)] == ["risk_coverage.png"]
    assert set(lines_of(drawn[0])) == {"by confidence", "errors last", "no order"}

    uncertain = with_predictions(run, uncertainties=is_wrong.astype(np.float32))
    draw_risk_coverage(uncertain, tmp_path)
    lines = lines_of(drawn[1])
    by, best = (lines[name].get_ydata() for name in ("by uncertainty", "errors last"))
    assert by[-1] == pytest.approx(100 * is_wrong.mean())
    assert np.allclose(by, best)


def test_risk_is_not_drawn_where_every_order_is_the_best(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    """All right; and numbers are neither right nor wrong."""
    run = classes_run(tmp_path, ["clean", "pit"], per_class=4)
    given = judged(run)
    right = with_predictions(run, ranks=np.zeros_like(given.ranks), targets=given.predictions)
    assert draw_risk_coverage(right, tmp_path) == []
    assert draw_risk_coverage(position_run(tmp_path), tmp_path) == []
    assert drawn == []


def with_weights(run: Run, rows: list[Any]) -> Run:
    folder = RunFolder.reopen(run.path)
    for epoch, row in enumerate(rows, start=1):
        signal = {"stage": "train", "kind": "class_weights", "epoch": epoch, **row}
        folder.append_signal(signal)
    folder.close()
    return Run(run.path)


def test_class_weights_are_drawn_by_name(tmp_path: Path, drawn: list[Figure]) -> None:
    """Of nine classes seven have colours, those whose weight moved the most."""
    names = [f"class {i}" for i in range(9)]
    rows = [
        {"class_names": names, "weights": [1.0 + epoch * i / 10 for i in range(9)]}
        for epoch in range(3)
    ]
    run = with_weights(classes_run(tmp_path, ["a", "b"], num_epochs=3), rows)
    assert [path.name for path in draw_class_weights(run, tmp_path)] == ["class_weights_train.png"]
    lines = lines_of(drawn[0])
    assert [name for name in lines if name.startswith("class")] == names[2:]
    assert lines["class 8"].get_ydata().tolist() == pytest.approx([1.0, 1.8, 2.6])
    assert "2 others" in lines


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"class_names": ["a"], "weights": [1.0]}],
        [{"class_names": ["a"], "weights": ["x"]}] * 2,
        [{"class_names": "a", "weights": None}] * 2,
        [{"class_names": ["a"], "weights": [1]}, {"class_names": ["a", "b"], "weights": [1, 2]}],
    ],
)
def test_class_weights_that_were_not_recorded_whole_draw_nothing(
    tmp_path: Path, drawn: list[Figure], rows: list[Any]
) -> None:
    """None, of a single epoch, or a stranger's."""
    run = with_weights(classes_run(tmp_path, ["a", "b"], num_epochs=3), rows)
    assert draw_class_weights(run, tmp_path) == []
    assert drawn == []
