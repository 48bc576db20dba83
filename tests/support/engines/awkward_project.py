"""A user's own project whose model takes its time, or dies, as the config tells it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import Job

CHOICE = """# A net that does as it is told
_target_: awkward_net.Net
_partial_: true
seconds: 0.0
ends: never
"""

# it ends at its fourth step, unless an earlier attempt left a mark; queued again, it is quick
MODULE = """
import os, signal, time
from pathlib import Path
from torch import nn

class Net(nn.Module):
    def __init__(self, seconds, ends, *, image_shape, num_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(image_shape[0] * 256, num_outputs))
        self.seconds, self.ends, self.steps = seconds, ends, 0

    def forward(self, images):
        if self.training:
            self.steps += 1
            if self.ends == "slowly" and not int(os.environ.get("SLURM_RESTART_COUNT", 0)):
                time.sleep(self.seconds)
            if self.steps == 4:
                self.end()
        return self.layers(images)

    def end(self):
        if self.ends == "raised":
            raise RuntimeError("as it was told")
        mark = Path("mark_of_" + self.ends)
        if self.ends == "killed" or (self.ends == "killed_once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""

# an epoch is a step; no gates before it, and nothing that takes long
WORDS = (
    "model=awkward",
    "procedure=full",
    "dataset.rows=2",
    "dataset.columns=3",
    "dataset.piece_size=16",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
)


def make_project(folder: Path) -> None:
    """Its conf/ and its module are found on the nodes as here."""
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "awkward.yaml").write_text(CHOICE)
    (folder / "awkward_net.py").write_text(MODULE)


def losses_of(job: Job) -> list[float]:
    """One an epoch, each epoch once and in order."""
    assert job.run is not None
    lines = (job.run.path / "history.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    return [record["train/loss"] for record in records]


def count(job: Job, event: str) -> int:
    return sum(record["event"] == event for record in job.events)


def wait_until(happened: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def epochs_of(sweep: Path, number: int) -> int:
    """How far a job is, while it runs."""
    if not (sweep / "plan.jsonl").exists():
        return 0
    for job in Sweep(sweep).jobs:
        path = job.run.path / "history.jsonl" if job.run is not None else None
        if job.number == number and path is not None and path.exists():
            return len(path.read_text().splitlines())
    return 0
