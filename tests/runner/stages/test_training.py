"""What a training stage refuses before it trains."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from expkit.errors import UserError
from expkit.optim.schedule import Constant
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.runner.stages.training import Training

FACTS = DatasetMetadata(
    name="Made",
    task="classification",
    class_names=("a", "b"),
    target_names=None,
    image_shape=(1, 2, 2),
    splits={"train": SplitMetadata(4, (2, 2), "x"), "val": SplitMetadata(4, (2, 2), "y")},
    layouts={},
)


PARTS = SimpleNamespace(metadata=FACTS, schedule=Constant(), key_of=str)


@pytest.mark.parametrize("options", [{"monitor": "f1"}, {"stop_at": {"top5_accuracy": "> 0.9"}}])
def test_metrics_that_no_epoch_records_are_refused(options: dict[str, object]) -> None:
    """Before anything runs: two classes have no right-in-five."""
    with pytest.raises(UserError, match="no epoch records"):
        Training(9, 1, **options).check("procedure.train", PARTS, [])  # type: ignore[arg-type]


def test_a_warm_up_as_long_as_the_training_is_refused() -> None:
    """The rate that was asked for would never be reached."""
    parts = SimpleNamespace(metadata=FACTS, schedule=Constant(warmup_epochs=9), key_of=str)
    with pytest.raises(UserError, match="warm-up"):
        Training(9, 1).check("procedure.train", parts, [])  # type: ignore[arg-type]
