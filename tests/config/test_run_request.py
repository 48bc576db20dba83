"""What was asked for: how a sweep is to run, by whom."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from expkit.config.run_request import Request
from expkit.errors import UserError

RAY = {"_target_": "expkit.sweeps.launchers.ray.RayLauncher", "ray": {"init": {}, "remote": {}}}


@pytest.mark.parametrize(
    "word",
    ["launcher.timeout=60", "launcher.fail_fast=true", "++launcher.jobs=2", "launcher=stacked"],
)
def test_a_cluster_takes_no_words_of_this_machines_launcher(word: str) -> None:
    """They were passed over in silence: a job that hangs was killed by nobody."""
    request = Request(OmegaConf.create({"trust": []}), ["seed=1", word], "sweep", 0, RAY)
    with pytest.raises(UserError, match="a cluster's engine runs these jobs") as caught:
        _ = request.launcher
    assert caught.value.details["where"] == word
    assert "hydra.launcher.ray" in str(caught.value.details["do"])


def test_a_cluster_is_taken_where_nothing_is_said_of_this_machine() -> None:
    """The engine's settings are the part that runs the jobs."""
    request = Request(OmegaConf.create({"trust": []}), ["seed=1"], "sweep", 0, RAY)
    assert request.launcher == RAY
