"""What a page takes for a choice's values: the same that Hydra composes."""

from __future__ import annotations

from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from expkit.config.choice_defaults import chosen_values, default_choices
from expkit.config.paths import builtin_conf

PARTS = ("model", "dataset", "augment", "device", "procedure", "optimizer", "schedule", "loss")
OTHERS = {
    "model": "convnextv2_tiny",
    "dataset": "digits",
    "augment": "cherry",
    "procedure": "two_stage",
    "optimizer": "ranger",
    "schedule": "one_cycle",
    "loss": "focal",
}


@pytest.mark.parametrize("choices", [{}, OTHERS])
def test_they_are_what_hydra_composes(choices: dict[str, str]) -> None:
    """Choices that start from others, and stages and transforms that are put where they belong."""
    words = [f"{group}={name}" for group, name in choices.items()]
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        composed = hydra.compose("config", overrides=words)
    expected: Any = OmegaConf.to_container(composed, resolve=False)
    found = chosen_values({**default_choices(), **choices})
    for part in PARTS:
        assert found[part] == expected[part]


def test_a_dataset_may_bring_a_choice_of_its_own() -> None:
    """The puzzle brings its criteria, and nobody changed them; digits have none."""
    assert default_choices({"dataset": "puzzle"})["criteria"] == "classification"
    assert default_choices({"dataset": "digits"})["criteria"] == "none"


def test_a_choice_that_is_gone_or_no_name_tells_nothing() -> None:
    """A run may be of another project, or a stranger's."""
    assert chosen_values({"model": "theirs"})["model"] == {}
    assert chosen_values({"model": "../config", "../model": "resnet18"})["model"] == {}
