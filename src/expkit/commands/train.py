"""expkit train: compose, refuse what is wrong, run."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from expkit.commands.interruption import stop_on_signals
from expkit.commands.running import EXIT_INTERRUPTED, run_request
from expkit.config.compose import Request, compose_and_run
from expkit.errors import UserError

HELP = """usage: expkit train [OVERRIDE ...] [HYDRA FLAG ...]

Runs one experiment, or with -m one for each combination of comma-separated values.

overrides:
  model=larger_backbone               a choice from a group (expkit list)
  procedure.train.max_epochs=40       a value
  +optimizer.amsgrad=true             a key that the choice leaves out
  '~procedure.overfit_10'             without this key or stage
  experiment=puzzle_deep_head         a whole recipe; further overrides change it

Hydra flags, among others:
  -m, --multirun                      a sweep: model=simple_conv,deep_head seed=0,1,2
  --cfg job [--resolve]               print the config and stop
  --info defaults-tree                where each part of it comes from
  --config-dir DIR                    choices from another folder too
  --hydra-help                        all of them

A folder conf/ in the working directory stands beside the built-in choices and may replace them."""


def main(words: Sequence[str]) -> int:
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return 0
    codes: list[int] = []

    def run(request: Request) -> None:
        codes.append(_run_job(request) if request.is_sweep_job else run_request(request))
        if request.is_sweep_job and codes[-1] == EXIT_INTERRUPTED:
            raise KeyboardInterrupt  # whoever stops a job means the sweep

    with stop_on_signals():
        compose_and_run(words, run)
    return max(codes, default=0)


def _run_job(request: Request) -> int:
    """A job of a sweep: what goes wrong in it is its own affair, and the next one runs."""
    print(f"\njob: {' '.join(request.overrides)}", flush=True)
    try:
        return run_request(request)
    except UserError as error:
        print(error.screen())
        return 2
    except Exception:
        traceback.print_exc()
        return 1
