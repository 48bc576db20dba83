"""hydra/sweeper=optuna; this module is read by every Hydra command, so it holds little."""

from __future__ import annotations

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Searches by Optuna, with trials that end early and a study that resumes."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra_plugins.expkit._search import Search

        self.search = Search(hydra_context, task_function, config, **self.settings)

    def sweep(self, arguments: list[str]) -> None:
        self.search.run(arguments)
