"""Jobs of a sweep on SLURM, by submitit: they outlive whoever submitted them."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from expkit.errors import UserError
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import DONE, Status
from expkit.sweeps.launchers.cluster import NodeWork, settle
from expkit.sweeps.live_view import SweepScreen
from expkit.terminal.signals import raise_if_interrupted, stop_on_signals

if TYPE_CHECKING:
    from submitit import AutoExecutor, SlurmJob
    from submitit.core.utils import DelayedSubmission

    from expkit.sweeps.launchers.local import SweepDisplay

LONGEST_ARRAY = 1000  # SLURM's own MaxArraySize is 1001
POLL_SECONDS = 1.0
# submitit's names for what all its engines know; what SLURM alone knows has a prefix
OF_ANY_ENGINE = frozenset(
    {
        *("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node"),
        *("tasks_per_node", "stderr_to_stdout"),
    }
)
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "REQUEUED", "SUSPENDED")
ENDS: Mapping[str, Status] = {
    "CANCELLED": "interrupted",
    "PREEMPTED": "interrupted",
    "NODE_FAIL": "interrupted",
    "BOOT_FAIL": "interrupted",
    "TIMEOUT": "timed out",
    "DEADLINE": "timed out",
}


@dataclass(frozen=True)
class SlurmLauncher:
    """Submits jobs as an array and waits for them; the names are those of submitit and sbatch."""

    submitit_folder: str
    timeout_min: Annotated[int, Ge(1)]
    max_num_timeout: Annotated[int, Ge(0)]
    signal_delay_s: Annotated[int, Ge(1)]
    array_parallelism: Annotated[int, Ge(1)] = 256
    name: str = "expkit"
    partition: str | None = None
    qos: str | None = None
    account: str | None = None
    comment: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: Annotated[int, Ge(1)] | None = None
    cpus_per_gpu: Annotated[int, Ge(1)] | None = None
    gpus_per_node: Annotated[int, Ge(0)] | None = None
    gpus_per_task: Annotated[int, Ge(0)] | None = None
    gres: str | None = None
    mem_gb: float | None = None
    mem_per_cpu: str | None = None
    mem_per_gpu: str | None = None
    stderr_to_stdout: bool = False
    setup: list[str] | None = None
    additional_parameters: Mapping[str, Any] = field(default_factory=dict)

    def run(self, sweep: Path, jobs: Sequence[str]) -> None:
        """Submit what SLURM does not have yet, and wait for all."""
        folder = SweepFolder(sweep)
        waiting = self._find_alive(folder, jobs)
        if waiting:
            print(f"{len(waiting)} jobs are with SLURM already", flush=True)
        waiting |= self._submit(folder, [each for each in jobs if each not in waiting])
        tickets = Sweep(sweep).tickets
        num_said = {each: tickets[each].get("num_said", 0) for each in waiting}
        try:
            with contextlib.closing(SweepScreen(sweep)) as screen:
                _wait(folder, waiting, screen, num_said)
        except KeyboardInterrupt:
            for ticket in waiting.values():
                ticket.cancel(check=False)
            settle(folder, dict.fromkeys(waiting, ("interrupted", "cancelled")), num_said)
            raise

    def _find_alive(self, folder: SweepFolder, jobs: Sequence[str]) -> dict[str, SlurmJob[None]]:
        """Those that an earlier launch submitted, and that still wait or run."""
        from submitit import SlurmJob

        tickets = Sweep(folder.path).tickets
        found = {
            each: SlurmJob[None](self.submitit_folder, tickets[each]["ticket"])
            for each in jobs
            if each in tickets
        }
        return {each: ticket for each, ticket in found.items() if _state(ticket) in ALIVE}

    def _submit(self, folder: SweepFolder, jobs: Sequence[str]) -> dict[str, SlurmJob[None]]:
        executor = self._make_executor()
        work = SlurmWork(folder.path)
        submitted: dict[str, SlurmJob[None]] = {}
        sweep = Sweep(folder.path)
        for batch in _batched(jobs, LONGEST_ARRAY):
            num_said = [sweep.count_events(each) for each in batch]
            with _explain_refusal():
                tickets = executor.map_array(work, batch)
            for identity, ticket, count in zip(batch, tickets, num_said, strict=True):
                folder.hand_over(identity, ticket.job_id, count)
                submitted[identity] = ticket
            first, last = tickets[0].job_id, tickets[-1].job_id
            print(f"{len(batch)} jobs are with SLURM, as {first} to {last}", flush=True)
        return submitted

    def _make_executor(self) -> AutoExecutor:
        from submitit import AutoExecutor

        settings = asdict(self)
        folder, retries = settings.pop("submitit_folder"), settings.pop("max_num_timeout")
        with _explain_refusal():
            executor = AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=retries)
            executor.update_parameters(
                **{
                    key if key in OF_ANY_ENGINE else f"slurm_{key}": settings[key]
                    for key in settings
                }
            )
        return executor


@dataclass(frozen=True)
class SlurmWork(NodeWork):
    """The call that submitit makes on a node, and asks what shall be queued again."""

    def __call__(self, identity: str) -> None:
        """Near its time's end, or where others need the node, a job is queued again."""
        queue_again = signal.getsignal(signal.SIGUSR2)  # submitit's; called once all is kept
        assert callable(queue_again), "submitit has set it"
        if cores := os.environ.get("SLURM_CPUS_PER_TASK"):  # torch would take all of the node's
            os.environ.setdefault("OMP_NUM_THREADS", cores)
        came: list[int] = []
        with contextlib.suppress(KeyboardInterrupt), stop_on_signals(signal.SIGUSR2) as received:
            try:
                self.run(identity)
            finally:
                came = list(received)
        if came and Sweep(self.sweep).find_job(identity).status not in DONE:
            self._queue_again(identity, queue_again)

    def _queue_again(self, identity: str, queue_again: Callable[[int, None], object]) -> None:
        folder = SweepFolder(self.sweep)
        folder.note(identity, "waiting", reason="queued again")
        try:
            queue_again(signal.SIGUSR2, None)
        except RuntimeError as error:  # it was queued again too often
            folder.note(identity, "ended", status="timed out", reason=str(error))

    def checkpoint(self, identity: str) -> DelayedSubmission:
        """The same call again: the run's own checkpoint says where it goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, identity)


def _wait(
    folder: SweepFolder,
    waiting: dict[str, SlurmJob[None]],
    screen: SweepDisplay,
    num_said: Mapping[str, int],
) -> None:
    """Take each off the list that is over."""
    while waiting:
        for identity in [each for each, ticket in waiting.items() if ticket.done()]:
            settle(folder, {identity: _end_of(waiting.pop(identity))}, num_said)
            screen.ended(identity)
        screen.tick()
        raise_if_interrupted()
        if waiting:
            time.sleep(POLL_SECONDS)


def _state(ticket: SlurmJob[None]) -> str:
    """The state in sacct's words, such as `CANCELLED by 0`."""
    return str(ticket.get_info(mode="standard").get("State", "UNKNOWN")).split()[0]


def _end_of(ticket: SlurmJob[None]) -> tuple[Status, str]:
    """The end of a job by SLURM; COMPLETED also of one that raised before it began.

    Submitit leaves its error as a pickle, and as text, which is safe to read.
    """
    if ticket.paths.result_pickle.exists():
        errors = re.findall(r"^[\w.]+(?:Error|Exception|Warning)\b.*$", ticket.stderr() or "", re.M)
        return "raised", errors[-1] if errors else f"see {ticket.paths.stderr}"
    state = _state(ticket)
    return ENDS.get(state, "killed"), f"SLURM says {state} of {ticket.job_id}"


def _batched(jobs: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(jobs)
    while batch := list(itertools.islice(rest, size)):
        yield batch


@contextlib.contextmanager
def _explain_refusal() -> Iterator[None]:
    """Yield what sbatch or submitit do not take is the user's to put right."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        yield
    except (ValueError, RuntimeError, FailedJobError, FailedSubmissionError) as error:
        raise UserError(
            "SLURM does not take the jobs",
            where="\n".join(str(error).strip().splitlines()[-4:]),
            fix="hydra.launcher.partition=..., .account=..., .timeout_min=... as sinfo lists them",
        ) from error
