"""hydra/launcher=submitit_slurm; this module is read by every Hydra command, so it holds little."""

from __future__ import annotations

from typing import Any

from expkit.config.multirun.hydra_task import require_engine
from hydra_plugins.expkit.launcher import ExpkitLauncher


class SlurmLauncher(ExpkitLauncher):
    """Hands the jobs to SLURM."""

    def __init__(self, **settings: Any) -> None:
        self.engine = {"_target_": "expkit.sweeps.launchers.slurm.SlurmLauncher", **settings}

    def setup(self, **context: Any) -> None:
        require_engine("submitit", "hydra/launcher=submitit_slurm", extra="slurm")
        super().setup(**context)
