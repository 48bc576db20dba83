"""Hydra looks for plugins in this package alone; what they do is expkit's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from expkit.config.multirun.hydra_task import Task, compose_jobs


class ExpkitLauncher(Launcher):
    """Composes and checks every job before the first, and hands them to the `launcher` part."""

    engine: Mapping[str, Any] | None = None  # of a cluster, in place of that part

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        assert isinstance(task_function, Task)
        self.hydra_context = hydra_context
        self.task = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        loader = self.hydra_context.config_loader
        requests = compose_jobs(loader, self.config, job_overrides, initial_job_idx, self.engine)
        self.task.sweep_dir = requests[0].sweep_dir
        outcomes = self.task.run_jobs(requests)
        self.task.codes += [outcome.code for outcome in outcomes]
        return [
            JobReturn(
                request.overrides, None, None, None, None, JobStatus.COMPLETED, each.objective
            )
            for request, each in zip(requests, outcomes, strict=True)
        ]
