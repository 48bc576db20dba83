"""hydra/sweeper=optuna; this module is read by every Hydra command, so it holds little."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from expkit.errors import UserError


class OptunaSweeper(Sweeper):
    """Searches by Hydra's Optuna sweeper, with trials that end early and a study that resumes."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        if find_spec("optuna") is None:  # said here, as Hydra wraps what a constructor raises
            raise UserError(
                "'optuna' is not installed, which proposes the trials of a search",
                where="hydra/sweeper=optuna",
                fix='pip install "expkit[optuna]"',
            )
        from hydra_plugins.expkit._search import Search

        self.search = Search(hydra_context, task_function, config, **self.settings)

    def sweep(self, arguments: list[str]) -> None:
        self.search.run(arguments)
