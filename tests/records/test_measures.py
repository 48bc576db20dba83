"""The names of what can be measured."""

from __future__ import annotations

import pytest

from expkit.records.measures import CLASS_METRICS, METRICS, RANGES, Measure, is_lower_better


def test_every_metric_has_its_range() -> None:
    """A bound on any of them can be checked."""
    names = {name for metrics in METRICS.values() for name in metrics} | set(CLASS_METRICS)
    assert names == set(RANGES)


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("accuracy", Measure("", "accuracy")),
        ("val/accuracy", Measure("val", "accuracy")),
        ("recall[pit]", Measure("", "recall", "pit")),
        ("test/f1[a/b]", Measure("test", "f1", "a/b")),
        ("recall[a]b]", Measure("", "recall", "a]b")),
    ],
)
def test_names_come_apart(name: str, measure: Measure) -> None:
    """Split, metric and class, also where the class has a slash or a bracket."""
    assert Measure.parse(name) == measure


def test_direction_of_metrics() -> None:
    """Errors and losses are better when lower, on whichever split."""
    assert is_lower_better("held_out/log_loss")
    assert is_lower_better("rmse")
    assert not is_lower_better("test/recall[cherry/pit]")
