"""The settings in which compared runs differ, and by which names they stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from compared_rows import member, rivals

from expkit.reports.compare.comparison import Comparison
from expkit.reports.compare.screen import _settings
from expkit.reports.compare.table import settings_table


class _Row:
    def __init__(self, group: Any) -> None:
        self.group = group


def compared(*choices: str | None) -> Comparison:
    """Runs whose stage has an optimizer of its own, by its choice, or the run's."""
    rows = []
    for number, choice in enumerate(choices):
        lr = (1 + number) / 10
        words = (f"procedure.train.optimizer={choice}", f"procedure.train.optimizer.lr={lr:g}")
        if choice is None:
            row = member(number / 10, procedure__train__optimizer=None)
        else:
            own = {
                "procedure__train__optimizer___target_": f"torch.optim.{choice.upper()}",
                "procedure__train__optimizer__lr": lr,
            }
            row = member(number / 10, words=words, **own)
        rows.append(replace(row, path=Path(f"runs/run_with_a_name_as_long_as_any_{number}")))
    first, *others = groups = rivals(rows)
    return Comparison("accuracy", [], first, cast(Any, [_Row(each) for each in others]), groups)


def test_an_optimizer_of_a_stages_own_stands_by_its_name() -> None:
    """Runs of adam and of sgd stood beside each other as two of the same learning rate."""
    table = settings_table(compared("adam", "sgd"))
    assert table.header[1] == "procedure.train.optimizer"
    assert [row[1] for row in table.rows] == ["adam", "sgd"]


def test_a_stage_with_the_runs_optimizer_has_none_of_its_own() -> None:
    table = settings_table(compared("adam", None))
    (column,) = [i for i, key in enumerate(table.header) if key == "procedure.train.optimizer"]
    assert [row[column] for row in table.rows] == ["adam", "null"]


def test_the_screen_has_room_for_the_choice_and_its_learning_rate() -> None:
    lines = _settings(compared("adam", "sgd", "adamw", "lion", "radam", "ranger"))
    assert "train.optimizer" in lines[0]
    assert "train.optimizer.lr" in lines[0]
    assert lines[2].split()[-2:] == ["sgd", "0.2"]
