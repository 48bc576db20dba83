"""A sweep whose jobs are killed, raise and hang: every one is accounted for, and none run twice.

Command         python benchmarks/chaos.py [--report]
Compares        40 jobs of a tiny puzzle, of which 12 are killed -9 at random instants of their
                life, 4 raise in their first life, and 2 hang in each past the timeout; then
                `expkit resume`; then some of the jobs alone, by `expkit train`
Figures         22 jobs finish undisturbed, with the numbers they have alone, 38 after resuming,
                the last 2 are said to have timed out; nobody's job is started twice but those
                cut off, and no run folder belongs to no job
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bounds import Bounds, parse_arguments, say_load

from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import Job

NETS = '''
import time
from pathlib import Path

from expkit.models.conv import ConvNet


class Faulty(ConvNet):
    """Sound for low seeds; for others it raises in its first life, or hangs in each."""

    def __init__(self, seed, num_sound, num_raising, *, image_shape, num_outputs):
        super().__init__(image_shape=image_shape, num_outputs=num_outputs)
        self.raises = num_sound <= seed < num_sound + num_raising
        self.hangs = seed >= num_sound + num_raising
        self.mark = Path(f"raised_{seed}")
        self.num_steps = 0

    def forward(self, images):
        self.num_steps += self.training
        if self.num_steps > 40 and self.raises and not self.mark.exists():
            self.mark.touch()
            raise RuntimeError("a first life ends")
        if self.num_steps > 40 and self.hangs:
            time.sleep(3600)
        return super().forward(images)
'''
CHOICE = """# A net that may fail
_target_: chaos_nets.Faulty
_partial_: true
seed: ${seed}
num_sound: 0
num_raising: 0
"""
WORDS = [
    *("model=faulty", "procedure=full", "criteria=none", "device.precision=fp32"),
    *("device.threads=1", "dataset.rows=2", "dataset.columns=3", "dataset.piece_size=16"),
    "procedure.train.snapshot_every=null",
]
TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")
COMMAND = [sys.executable, "-c", "from expkit.cli import main; main()"]


@dataclass(frozen=True)
class Plan:
    """How many jobs of each fate, and how long they are."""

    num_undisturbed: int
    num_killed: int
    num_raising: int
    num_hanging: int
    num_epochs: int
    timeout_seconds: float

    @property
    def num_sound(self) -> int:
        return self.num_undisturbed + self.num_killed

    @property
    def num_jobs(self) -> int:
        return self.num_sound + self.num_raising + self.num_hanging

    @property
    def words(self) -> list[str]:
        return [
            *WORDS,
            f"model.num_sound={self.num_sound}",
            f"model.num_raising={self.num_raising}",
            f"procedure.train.max_epochs={self.num_epochs}",
        ]


class Killer(threading.Thread):
    """Kills jobs of a sweep, each once, some time after it began."""

    def __init__(self, folder: Path, seeds: set[int], longest_seconds: float) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._delays = {seed: random.uniform(0.0, longest_seconds) for seed in seeds}
        self.killed: list[int] = []

    def run(self) -> None:
        while self._delays:
            time.sleep(0.01)
            for sweep in self._folder.glob("outputs/*_sweep/plan.jsonl"):
                for job in Sweep(sweep.parent).jobs:
                    self._consider(job)

    def _consider(self, job: Job) -> None:
        seed = job.config["seed"]
        last = job.events[-1] if job.events else {"event": "waiting"}
        if last["event"] not in ("started", "run") or seed not in self._delays:
            return
        if time.time() - job.events[0]["at"] >= self._delays[seed]:
            del self._delays[seed]
            os.kill(last["pid"], signal.SIGKILL)
            self.killed.append(seed)


def make_project(folder: Path) -> None:
    """A user's own: a net and its choice."""
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "faulty.yaml").write_text(CHOICE)
    (folder / "chaos_nets.py").write_text(NETS)


def run_sweep(folder: Path, plan: Plan, *, longest_seconds: float) -> tuple[Sweep, list[int]]:
    """The sweep with its faults, to its end, and the seeds that were killed."""
    seeds = list(range(plan.num_jobs))
    random.shuffle(seeds)
    victims = {seed for seed in seeds if seed < plan.num_sound}
    victims = set(sorted(victims, key=seeds.index)[: plan.num_killed])
    killer = Killer(folder, victims, longest_seconds)
    killer.start()
    words = [*plan.words, f"seed={','.join(map(str, seeds))}"]
    expkit(folder, "train", "-m", *words, f"launcher.timeout={plan.timeout_seconds}")
    (path,) = folder.glob("outputs/*_sweep")
    return Sweep(path), killer.killed


def expkit(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [*COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr, sep="", end="", flush=True)
    return done.stdout


def count_statuses(sweep: Sweep) -> Counter[str]:
    return Counter(job.status for job in Sweep(sweep.path).jobs)


def count_starts(sweep: Sweep) -> dict[int, int]:
    """By seed."""
    return {
        job.config["seed"]: sum(event["event"] == "started" for event in job.events)
        for job in Sweep(sweep.path).jobs
    }


def count_strays(sweep: Sweep) -> int:
    """Folders in the sweep that no job accounts for."""
    known = {job.run.path.name for job in Sweep(sweep.path).jobs if job.run is not None}
    found = {path.parent.name for path in sweep.path.glob("*/environment.json")}
    return len(found ^ known) + len(list(sweep.path.glob(".new_*")))


def numbers(run: Path) -> list[dict[str, object]]:
    """The history without what a clock says."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def is_as_alone(sweep: Sweep, plan: Plan, seed: int) -> bool:
    """Whether a job has the numbers of a run of the same words that nobody disturbed."""
    (job,) = (job for job in Sweep(sweep.path).jobs if job.config["seed"] == seed)
    assert job.run is not None
    with tempfile.TemporaryDirectory() as name:
        make_project(Path(name))
        (Path(name) / f"raised_{seed}").touch()  # alone it lives once
        expkit(Path(name), "train", *plan.words, f"seed={seed}")
        (alone,) = Path(name).glob("outputs/2*")
        return numbers(alone) == numbers(job.run.path)


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=1)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    plan = Plan(22, 12, 4, 2, num_epochs=300, timeout_seconds=20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        sweep, killed = run_sweep(folder, plan, longest_seconds=1.0)
        first, starts = count_statuses(sweep), count_starts(sweep)
        bounds.hold("finished undisturbed", [first["finished"]], "", bound=22, least=True)
        bounds.hold("killed", [first["killed"]], "", bound=12, least=True)
        bounds.hold("started twice", [sum(n > 1 for n in starts.values())], "", bound=0)
        expkit(folder, "resume", str(sweep.path))
        second, starts = count_statuses(sweep), count_starts(sweep)
        bounds.hold("finished after resume", [second["finished"]], "", bound=38, least=True)
        bounds.hold("timed out", [second["timed out"]], "", bound=2, least=True)
        broken = {*killed, *range(plan.num_sound, plan.num_jobs)}
        twice = sum(count > 1 for seed, count in starts.items() if seed not in broken)
        bounds.hold("undisturbed jobs started twice", [twice], "", bound=0)
        bounds.hold("folders of no job", [count_strays(sweep)], "", bound=0)
        seeds = [*random.sample(killed, 3), plan.num_sound]
        seeds += random.sample([each for each in range(plan.num_sound) if each not in killed], 3)
        other = sum(not is_as_alone(sweep, plan, seed) for seed in seeds)
        bounds.hold(f"other numbers than alone, of {len(seeds)}", [other], "", bound=0)
    bounds.finish()


if __name__ == "__main__":
    main()
