"""The small record of a run that comparisons read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expkit.records.run.digest import Digest, read_digest

DIGEST = Digest(
    *("20260101_000000_net", "net", None, "finished", "met", "val"),
    *({"val": {"accuracy": 0.9, "loss": None}}, None, 3, ["overfitting"], 2.5, ["seed=1"]),
    *({"model.depth": 2}, {"val": "abc"}, {"val": 40}, {"commit": "abc"}),
)


def test_a_digest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Figure by figure."""
    DIGEST.write(tmp_path)
    assert read_digest(tmp_path) == DIGEST


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": None},
        {"metrics": {"val": None}},
        {"metrics": {"val": {"accuracy": "0.9"}}},
        {"findings": "overfitting"},
        {"overrides": None},
        {"config": []},
        {"code": None},
        {"status": 1},
        {"seconds": None},
        {"num_epochs": "3"},
        {"choices": []},
        {"version": 0},
    ],
)
def test_a_digest_of_other_types_is_made_anew(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """It is read as if it were not there: the run's own records have the same figures."""
    replace(DIGEST, **wrong).write(tmp_path)
    assert read_digest(tmp_path) is None
