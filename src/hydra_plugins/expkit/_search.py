"""A search: Optuna proposes batches of trials, the launcher runs them, the records judge them."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.trial import Trial, TrialState, create_trial

from expkit.config.multirun.hydra_task import compose_jobs
from expkit.config.stage_parts import as_typed
from expkit.errors import UserError
from expkit.hardware import count_cores
from expkit.metrics.names import for_choosing, is_lower_better, refuse_unknown
from expkit.metrics.percentages import percent
from expkit.records.sweep.folder import Sweep, is_sweep
from expkit.records.sweep.job import Job
from expkit.reports.run.digests import recall_digest
from expkit.reports.sweep.search import course, search_lines
from expkit.sweeps.launchers.resources import divide_machine
from hydra_plugins.expkit._pruning import pruning
from hydra_plugins.expkit._search_space import (
    Space,
    corners,
    grid_values,
    params_of,
    read_space,
    words_of,
)

GRID = "optuna.samplers.GridSampler"
DIRECTIONS = ("minimize", "maximize")


class Search:
    """Asks Optuna for batches of trials, and tells it what the records of their runs say."""

    def __init__(
        self,
        context: HydraContext,
        task: TaskFunction,
        config: DictConfig,
        *,
        sampler: Any,
        pruner: Any,
        direction: Literal["minimize", "maximize"] | None,
        storage: str | None,
        study_name: str | None,
        n_trials: int,
        n_jobs: int | None,
        max_failure_rate: float,
        params: Mapping[str, str] | None,
    ) -> None:
        if "ablation" in config:
            raise UserError("an ablation is no search", where="hydra/sweeper=optuna +ablation=...")
        if direction not in (*DIRECTIONS, None):
            raise UserError(
                "a search has one direction",
                where=f"hydra.sweeper.direction={direction}",
                allowed=f"{', '.join(DIRECTIONS)}, or null: as the metric has it",
            )
        refuse_unknown(str(config.sweep.objective))
        self.path = Path(str(config.hydra.sweep.dir))
        self.objective = for_choosing(str(config.sweep.objective))
        lower = is_lower_better(self.objective)
        self.direction: Literal["minimize", "maximize"] = direction or (
            "minimize" if lower else "maximize"
        )
        self.num_at_once = n_jobs or num_at_once(config)
        self.pruner = build_optunas("pruner", pruner) or optuna.pruners.NopPruner()
        self.is_grid = bool(sampler) and sampler["_target_"] == GRID
        self.sampler = None if self.is_grid else self._build_sampler(sampler)
        self.storage, self.study_name, self.num_trials = storage, study_name, n_trials
        is_strict = config.launcher.get("fail_fast", False)
        self.max_failure_rate = 0.0 if is_strict else max_failure_rate
        self.params = [f"{name}={value!s}" for name, value in (params or {}).items()]
        self.config = config
        self.loader = context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task, config=config
        )

    def _build_sampler(self, sampler: Any) -> Any:
        """A resumed one is seeded anew: else it would draw again what it has drawn before."""
        if self._next_number() and sampler is not None and sampler.get("seed") is not None:
            sampler = {**sampler, "seed": sampler["seed"] + self._next_number()}
        return build_optunas("sampler", sampler)

    def run(self, arguments: Sequence[str]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space, fixed = self._space(arguments)
        ends = [words_of({**each, **fixed}) for each in corners(space)]
        compose_jobs(self.loader, self.config, ends, first_number=0)
        study = optuna.create_study(
            study_name=self.study_name,
            storage=self.storage,
            sampler=self.sampler,
            pruner=self.pruner,
            direction=self.direction,
            load_if_exists=True,
        )
        if not study.trials:
            with warnings.catch_warnings():  # adding trials is called experimental, each time
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._recall(study, space)
        if self.is_grid:
            self._enqueue_grid(study, space)
        number = self._next_number()
        while left := max(0, self.num_trials - _num_told(study)):
            trials = [study.ask(dict(space)) for _ in range(min(left, self.num_at_once))]
            jobs = [tuple(words_of({**trial.params, **fixed})) for trial in trials]
            with pruning(self.path, self.objective, dict(zip(jobs, trials, strict=True))):
                returns = self.launcher.launch(jobs, initial_job_idx=number)
            number += len(jobs)
            values = [each.return_value for each in returns]
            failed = self._tell(study, trials, jobs, values)
            if failed > self.max_failure_rate:
                print(
                    f"note    the search ends: {percent(failed, 0)} of a batch's trials failed",
                    flush=True,
                )
                break
        print("\n".join(search_lines(Sweep(self.path))), flush=True)

    def _space(self, arguments: Sequence[str]) -> tuple[Space, dict[str, str]]:
        """Split the words into the search space and the overrides of every trial."""
        space, fixed = read_space(as_typed([*self.params, *arguments]))
        if not space:
            raise UserError(
                "nothing is searched: no word gives a choice or a range",
                where="hydra/sweeper=optuna",
                fix="expkit train -m hydra/sweeper=optuna 'optimizer.lr=interval(1e-5,1e-1)'",
            )
        return space, fixed

    def _enqueue_grid(self, study: optuna.Study, space: Space) -> None:
        """Ask for every combination in the order of the words: a sampler of grids shuffles them."""
        grid = {name: grid_values(name, each) for name, each in space.items()}
        combinations = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
        self.num_trials = min(self.num_trials, len(combinations))
        for each in combinations:
            study.enqueue_trial(each, skip_if_exists=True)

    def _recall(self, study: optuna.Study, space: Space) -> None:
        """A resumed study knows the trials before, and asks for the unfinished ones again."""
        for job in _jobs(self.path):
            params = dict(params_of(job.overrides, space))
            if params.keys() != space.keys():
                continue
            state, value = self._result(job)
            if state is TrialState.FAIL:
                study.enqueue_trial(params)
                continue
            values = course(job.run, self.objective) if job.run is not None else []
            study.add_trial(
                create_trial(
                    state=state,
                    value=value,
                    params=params,
                    distributions=dict(space),
                    intermediate_values=dict(enumerate(values, start=1)),
                )
            )

    def _next_number(self) -> int:
        return max((job.number for job in _jobs(self.path)), default=-1) + 1

    def _tell(
        self,
        study: optuna.Study,
        trials: Sequence[Trial],
        words: Sequence[Sequence[str]],
        values: Sequence[float | None],
    ) -> float:
        """Tell the study what the records say; the fraction of the batch that has failed."""
        jobs = {tuple(job.overrides): job for job in _jobs(self.path)}
        num_failed = 0
        for trial, each, returned in zip(trials, words, values, strict=True):
            job = jobs.get(tuple(each))  # None where an earlier one is the same by other words
            state, value = _state_of(returned) if job is None else self._result(job)
            num_failed += state is TrialState.FAIL
            try:
                study.tell(trial, value, state=state)
            except RuntimeError as error:  # so a grid says that it has no more
                if "Study.stop" not in str(error):
                    raise
        return num_failed / len(trials)

    def _result(self, job: Job) -> tuple[TrialState, float | None]:
        """A job that failed, or came to its end without a figure, is a failed trial."""
        if job.status == "pruned":
            return TrialState.PRUNED, None
        if job.status not in ("finished", "reused") or job.run is None:
            return TrialState.FAIL, None
        return _state_of(recall_digest(job.run).figure(self.objective))


def build_optunas(kind: Literal["sampler", "pruner"], node: Mapping[str, Any] | None) -> Any:
    """Build one of Optuna's samplers or pruners, and nothing else that a config may name."""
    if node is None:
        return None
    place, _, name = str(node.get("_target_")).rpartition(".")
    module = getattr(optuna, f"{kind}s")
    if place != module.__name__ or name not in module.__all__:
        raise UserError(
            f"'{node.get('_target_')}' is no {kind} of Optuna",
            where=f"hydra.sweeper.{kind}._target_",
            allowed=", ".join(f"{module.__name__}.{each}" for each in sorted(module.__all__)[:6])
            + " ...",
        )
    try:
        return instantiate(node)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise UserError(
            f"the {kind} cannot be built: {reason}", where=f"hydra.sweeper.{kind}"
        ) from error


def num_at_once(config: DictConfig) -> int:
    """Count the trials that the launcher runs at once: more would not learn from each other."""
    device, jobs = config.get("device") or {}, config.launcher.get("jobs", "auto")
    if config.launcher.get("jobs_per_device") is None:  # another's, which shares out nothing
        return jobs if isinstance(jobs, int) else count_cores()
    resources = divide_machine(
        jobs,
        num_planned=config.hydra.sweeper.get("n_trials", 1),
        devices={device.get("name", "auto")},
        threads=device.get("threads"),
        jobs_per_device=config.launcher.jobs_per_device,
    )
    return resources.num_jobs


def _state_of(value: float | None) -> tuple[TrialState, float | None]:
    return (TrialState.FAIL if value is None else TrialState.COMPLETE), value


def _jobs(path: Path) -> list[Job]:
    return Sweep(path).jobs if is_sweep(path) else []


def _num_told(study: optuna.Study) -> int:
    """A trial that waits to be asked again is not told yet."""
    return len([trial for trial in study.trials if trial.state.is_finished()])
