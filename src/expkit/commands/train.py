"""expkit train: compose, refuse what is wrong, run."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.config.compose import compose_and_run
from expkit.config.multirun.hydra_task import Task
from expkit.config.suggested_command import refuse_flags, with_whole_command
from expkit.errors import UserError
from expkit.records.run.find_run import find_run
from expkit.runner.repeat import run_like, split_like
from expkit.runner.run import run_request
from expkit.sweeps.final_pages import concluded
from expkit.sweeps.sweep import run_job, run_jobs
from expkit.terminal.signals import stop_on_signals

HELP = """usage: expkit train [OVERRIDE ...] [HYDRA FLAG ...]

Runs one experiment, or with -m one for each combination of comma-separated values.

overrides:
  model=larger_backbone               a choice from a group (expkit list)
  procedure.train.max_epochs=40       a value
  +optimizer.amsgrad=true             a key that the choice leaves out
  '~procedure.overfit_10'             without this key or stage
  experiment=puzzle_deep_head         a whole recipe; further overrides change it

again:
  --like RUN [OVERRIDE ...]           a run's config in the code of today; it says what differs

Hydra flags, among others:
  -m, --multirun                      a sweep: model=simple_conv,deep_head seed=0,1,2
  -m +ablation=puzzle_repairs         a recipe and named changes: what each is worth
  -m hydra/sweeper=optuna             a search: 'optimizer.lr=tag(log,interval(1e-5,1e-1))'
  --cfg job [--resolve]               print the config and stop
  --info defaults-tree                where each part of it comes from
  --config-dir DIR                    choices from another folder too
  --hydra-help                        all of them

A folder conf/ in the working directory stands beside the built-in choices and may replace them."""


def main(words: Sequence[str]) -> int:
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return 0
    named, rest = split_like(words)
    if named is not None:
        with stop_on_signals():
            try:
                return run_like(find_run(named), rest)
            except UserError as error:
                raise with_whole_command(
                    error, rest, ("expkit", "train", "--like", named)
                ) from error
    refuse_flags(words)
    task = Task(run_request, run_job, run_jobs)
    with stop_on_signals(), concluded(task):
        try:
            compose_and_run(words, task)
        except UserError as error:
            raise with_whole_command(error, words) from error
    return max(task.codes, default=0)
