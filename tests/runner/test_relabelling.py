"""The parts of a run after its training samples were given new labels."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from synthetic_evidence import make_metadata
from torch import nn

from expkit.records.run.labels import Labels
from expkit.runner.relabelling import relabel


@dataclass(frozen=True)
class _Parts:
    inputs: Any
    splits: Any = None
    loss: Any = None
    device: Any = None
    make_model: Any = None
    evaluated: Any = None

    @property
    def metadata(self) -> Any:
        return self.inputs.metadata


@dataclass(frozen=True)
class _Inputs:
    metadata: Any
    config: Any
    loss: Any


def test_code_that_the_user_trusts_is_trusted_with_new_labels_too() -> None:
    """A model of another package was refused by the stage that takes the labels."""
    metadata = make_metadata(train=(3, 3), val=(2, 2))
    config = SimpleNamespace(model={"_target_": "theirs.Net"}, trust=["theirs"])
    inputs = _Inputs(metadata, config, SimpleNamespace(build=lambda counts: nn.Identity()))
    parts = _Parts(inputs, {}, device=SimpleNamespace(torch_device="cpu"))
    names = [*metadata.class_names, "maybe"]
    made = relabel(cast(Any, parts), Labels(names, [0, 0, 1, 1, 2, 2]))
    assert cast(Any, made.make_model).args == (config.model, config.trust)
