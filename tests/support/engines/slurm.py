"""A throw-away SLURM on this machine: its own key, ports, folders and nodes, and no accounting."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
NUM_NODES = 2

# a job that was queued again waits for cred_expire, of which less than 5 is not taken; the
# second partition preempts
CONF = """
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
UnkillableStepTimeout=20
KillWait=1
MinJobAge=3600
PropagateResourceLimits=NONE
DebugFlags=NO_CONF_HASH
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
{nodes}
PartitionName=main Nodes=n[1-{num_nodes}] Default=YES MaxTime=60 PriorityTier=1 GraceTime=20
PartitionName=first Nodes=n[1-{num_nodes}] MaxTime=60 PriorityTier=10 PreemptMode=OFF
"""

# submitit asks sacct, which needs a database; squeue remembers finished jobs for MinJobAge
SACCT = """#!/bin/bash
ids=(); while [ $# -gt 0 ]; do [ "$1" = -j ] && { ids+=("$2"); shift; }; shift; done
IFS=,; echo 'JobID|State|NodeList'
squeue -h -r -t all -j "${ids[*]}" -o '%i|%T|%N' 2>/dev/null; exit 0
"""


@dataclass(frozen=True)
class Slurm:
    """A running one: its folder, and what a command needs in its environment to find it."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        path = f"{self.folder}/bin:/usr/sbin:{os.environ['PATH']}"
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def call(self, *words: str) -> str:
        done = subprocess.run(
            words, env={**os.environ, **self.environ}, capture_output=True, text=True, check=True
        )
        return done.stdout


def why_not() -> str | None:
    """What is missing, or None."""
    if os.geteuid() != 0:
        return "a SLURM of one's own is started by root"
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [each for each in COMMANDS if shutil.which(each, path=path) is None]
    return f"{', '.join(missing)} not installed" if missing else None


@contextlib.contextmanager
def run_slurm() -> Iterator[Slurm]:
    """Up in half a second; every process of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="slurm_"))  # a socket's path is short
    folder.chmod(0o755)  # as munged wants it
    slurm = Slurm(folder)
    try:
        _configure(folder)
        _start(slurm)
        yield slurm
    finally:
        _stop(slurm)
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path) -> None:
    ports = _free_ports(NUM_NODES + 1)
    nodes = "\n".join(
        f"NodeName=n{number} NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[number]} "
        "CPUs=2 RealMemory=4000 State=UNKNOWN"
        for number in range(1, NUM_NODES + 1)
    )
    text = CONF.format(folder=folder, ports=ports, nodes=nodes, num_nodes=NUM_NODES)
    (folder / "slurm.conf").write_text(text)
    (folder / "state").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin" / "sacct").write_text(SACCT)
    (folder / "bin" / "sacct").chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _start(slurm: Slurm) -> None:
    folder = slurm.folder
    files = {"key": "key", "socket": "sock", "pid": "pid", "log": "log", "seed": "seed"}
    names = {"key": "key-file", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
    slurm.call("munged", *(f"--{names.get(k, k)}={folder}/munge.{end}" for k, end in files.items()))
    slurm.call("slurmctld")
    for number in range(1, NUM_NODES + 1):
        slurm.call("slurmd", "-N", f"n{number}")
    deadline = time.monotonic() + 20
    while slurm.call("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() != str(
        NUM_NODES
    ):
        assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()[-2000:]
        time.sleep(0.1)


def _stop(slurm: Slurm) -> None:
    """Jobs first, then the daemons, by the process ids that they wrote down."""
    with contextlib.suppress(subprocess.CalledProcessError):
        slurm.call("scancel", "--full", "--signal=KILL", "--state=RUNNING", "--user=root")
        slurm.call("scancel", "--user=root")
        deadline = time.monotonic() + 10
        while slurm.call("squeue", "-h").strip() and time.monotonic() < deadline:
            time.sleep(0.2)
    names = ("slurmd-*.pid", "slurmctld.pid", "munge.pid")
    end([int(path.read_text()) for name in names for path in slurm.folder.glob(name)])


def end(pids: Sequence[int]) -> None:
    """Ask the processes to go, and make them go."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 3
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
