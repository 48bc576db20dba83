"""Jobs of a sweep on Ray: they live no longer than whoever launched them."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import Status
from expkit.sweeps.launchers.cluster import NodeWork, settle
from expkit.sweeps.live_view import SweepScreen
from expkit.terminal.signals import raise_if_interrupted

if TYPE_CHECKING:
    from ray import ObjectRef

MAX_TRIES = 2  # a worker may die with its node, so a job's second death is its own
POLL_SECONDS = 0.5
STOP_SECONDS = 60.0  # an interrupted job keeps its last epoch first
# a job has a process of its own, and is tried again by us, who see which one took its worker
INIT: Mapping[str, Any] = {"log_to_driver": False, "logging_level": "error"}
REMOTE: Mapping[str, Any] = {"num_cpus": 1, "max_calls": 1, "max_retries": 0}


@dataclass(frozen=True)
class RayLauncher:
    """Hands all jobs to Ray, which runs as many at once as it has room for."""

    ray: Mapping[str, Mapping[str, Any] | None]

    def run(self, sweep: Path, jobs: Sequence[str]) -> None:
        """A job whose worker dies takes no other with it, and is tried once more."""
        import ray

        self._join()
        try:
            _run_all(SweepFolder(sweep), jobs, {**REMOTE, **(self.ray["remote"] or {})})
        finally:
            ray.shutdown()

    def _join(self) -> None:
        import ray

        settings = {**INIT, **(self.ray["init"] or {})}
        try:
            ray.init(**settings)
        except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(
                "Ray does not start, or is not found",
                where=f"hydra.launcher.ray.init={settings}\n{str(error).strip().splitlines()[0]}",
                fix="ray start --head   (or leave hydra.launcher.ray.init.address out)",
            ) from error


def _run_all(folder: SweepFolder, jobs: Sequence[str], remote: Mapping[str, Any]) -> None:
    import ray

    sweep = Sweep(folder.path)
    num_said = {each: sweep.count_events(each) for each in jobs}
    launch = functools.partial(ray.remote(**remote)(_work).remote, NodeWork(folder.path))
    running: dict[ObjectRef[None], str] = {launch(each): each for each in jobs}
    tries = Counter(jobs)
    try:
        with contextlib.closing(SweepScreen(folder.path)) as screen:
            while running:
                over, _ = ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
                screen.tick()
                raise_if_interrupted()
                for each in over:
                    identity = running.pop(each)
                    end = _end_of(each)
                    if end.crashed and tries[identity] < MAX_TRIES:
                        tries[identity] += 1
                        running[launch(identity)] = identity
                        continue
                    settle(folder, {identity: (end.status, end.reason)}, num_said)
                    screen.ended(identity)
    except KeyboardInterrupt:
        _stop(folder, running, num_said)
        raise


def _work(work: NodeWork, identity: str) -> None:
    """Ray takes functions of modules only."""
    work.run(identity)


@dataclass(frozen=True)
class _End:
    status: Status
    reason: str
    crashed: bool = False


def _end_of(reference: ObjectRef[None]) -> _End:
    import ray
    from ray.exceptions import RayError, RayTaskError, TaskCancelledError

    try:
        ray.get(reference)
    except TaskCancelledError:
        return _End("interrupted", "cancelled")
    except RayTaskError as error:  # before the job began, as its own errors are its own records
        return _End("raised", str(error).strip().splitlines()[-1])
    except RayError as error:
        return _End("killed", f"Ray says {type(error).__name__}", crashed=True)
    return _End("finished", "")


def _stop(
    folder: SweepFolder, running: Mapping[ObjectRef[None], str], num_said: Mapping[str, int]
) -> None:
    """Each job is interrupted as by Ctrl-C, keeps what it has, and says so itself."""
    import ray

    for each in running:
        ray.cancel(each, force=False)
    ray.wait(list(running), num_returns=len(running), timeout=STOP_SECONDS)
    settle(folder, dict.fromkeys(running.values(), ("interrupted", "cancelled")), num_said)
