"""hydra/launcher=ray; this module is read by every Hydra command, so it holds little."""

from __future__ import annotations

from typing import Any

from expkit.config.multirun.hydra_task import require_engine
from hydra_plugins.expkit.launcher import ExpkitLauncher


class RayLauncher(ExpkitLauncher):
    """Hands the jobs to Ray."""

    def __init__(self, **settings: Any) -> None:
        self.engine = {"_target_": "expkit.sweeps.launchers.ray.RayLauncher", **settings}

    def setup(self, **context: Any) -> None:
        require_engine("ray", "hydra/launcher=ray", extra="ray")
        super().setup(**context)
