"""Every procedure and recipe that ships composes to whole stages, each after those it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from expkit.config.compose import prepare_hydra
from expkit.config.paths import builtin_conf, list_choices

SHIPPED = [
    *(f"procedure={name}" for name in list_choices("procedure", [builtin_conf()])),
    *(f"experiment={name}" for name in list_choices("experiment", [builtin_conf()])),
]


def stages_of(word: str) -> dict[str, Mapping[str, Any]]:
    prepare_hydra()
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        config = OmegaConf.to_container(hydra.compose("config", overrides=[word]).procedure)
    assert isinstance(config, dict)
    return {str(name): stage for name, stage in config.items() if stage is not None}


@pytest.mark.broad(8)
@pytest.mark.parametrize("word", SHIPPED)
def test_every_shipped_procedure_composes_to_whole_stages(word: str) -> None:
    """One that names a group twice, or keeps a few keys of a stage that it lacks, cannot run."""
    before: list[str] = []
    for name, stage in stages_of(word).items():
        assert "_target_" in stage, name
        assert stage.get("start_from") in (None, *before), name
        before.append(name)


def test_the_plan_whole_is_the_phases_after_pretraining() -> None:
    """The numbers of log 5's phases stand once: both procedures have the same."""
    plan, phased = stages_of("procedure=simclr_then_phased"), stages_of("procedure=phased")
    gates = ["preflight", "overfit_1", "overfit_10"]
    assert list(phased) == [*gates, "warmup", "sam", "ranger", "sgd", "evaluate"]
    assert list(plan) == [*gates, "pretrain", *list(phased)[3:]]
    assert plan["warmup"] == {**phased["warmup"], "start_from": "pretrain"}
    assert all(plan[name] == phased[name] for name in ("sam", "ranger", "sgd", "evaluate"))
