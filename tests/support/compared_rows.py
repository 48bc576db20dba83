"""Rows of compared runs, without their folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from expkit.records.run.digest import Digest
from expkit.reports.runs.recipes import Recipe, fold_rows, rivals_of
from expkit.reports.runs.rows import RunRow, row_of

CONFIG = {
    "seed": 0,
    "name": "cherry",
    "model._target_": "expkit.models.conv.ConvNet",
    "optimizer.lr": 0.001,
    "model.pretrained": False,
}


def member(accuracy: float = 0.9, *, words: tuple[str, ...] = (), **changes: Any) -> RunRow:
    """A run as a row; `changes` are of the config, with `__` for a dot."""
    config = CONFIG | {key.replace("__", "."): value for key, value in changes.items()}
    digest = Digest(
        run="run",
        name="cherry",
        job=None,
        status="finished",
        verdict="met",
        judged_split="val",
        metrics={"train": {"accuracy": 1.0}, "val": {"accuracy": accuracy}},
        best_epoch=3,
        num_epochs=5,
        findings=[],
        seconds=1.0,
        overrides=list(words),
        config=config,
        fingerprints={"train": "a", "val": "b"},
        num_samples={"train": 10, "val": 5},
        code={"commit": "c0ffee", "dirty": False, "versions": {"torch": "2.15.0"}},
    )
    return row_of(Path(f"runs/{accuracy}"), digest)


def rivals(rows: list[RunRow]) -> list[Recipe]:
    """As `expkit compare` folds them."""
    return rivals_of(rows, fold_rows(rows))


def group(**changes: Any) -> Recipe:
    """One run, with these fields of its digest changed."""
    first = member()
    return Recipe("B", [replace(first, **changes)])


def with_prints(run: RunRow, print_: str) -> RunRow:
    prints = {"train": f"t{print_}", "val": print_}
    return replace(run, fingerprints=prints)
