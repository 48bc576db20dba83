"""Sweeps: what jobs cost beside their training, against Hydra's own launchers.

Command         python benchmarks/sweep.py [--jobs 24] [--report]
Compares        a sweep of trainings of about two seconds each by expkit's launcher, by Hydra's
                joblib launcher with 2 jobs at once (where hydra-joblib-launcher is installed), and
                by Hydra's basic launcher with a fresh process a job; each job leaves its pages
Figures         total <= 0.4 x joblib's, <= 0.5 x that of fresh processes; a job's start to its
                first step <= 0.3 s after the first jobs
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

from bounds import Bounds, inform, run_quietly, say_load

from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import Job

# fp32 and 500 epochs of six pieces: two seconds of one core
TRAINING = [
    *("procedure=full", "procedure.train.max_epochs=500", "criteria=none"),
    *("device.precision=fp32", "dataset.rows=2", "dataset.columns=3", "dataset.piece_size=16"),
    "procedure.train.snapshot_every=null",  # images of every 50th epoch take twice as long
]
COMMAND = [sys.executable, "-c", "from expkit.cli import main; main()", "train"]


def time_command(folder: str, *words: str) -> float:
    began = time.perf_counter()
    run_quietly([*COMMAND, *TRAINING, *words], folder)
    return time.perf_counter() - began


def seeds(num_jobs: int) -> str:
    return f"seed=range(0,{num_jobs})"


def time_expkit(num_jobs: int) -> tuple[float, list[Job]]:
    with tempfile.TemporaryDirectory() as folder:
        seconds = time_command(folder, "-m", seeds(num_jobs))
        (path,) = Path(folder).glob("outputs/*_sweep")
        jobs = Sweep(path).jobs
        for job in jobs:
            assert job.run is not None
            _ = job.run.history, job.run.stages  # read while they are there
        return seconds, jobs


def time_joblib(num_jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
        return time_command(folder, "-m", seeds(num_jobs), *words)


def time_fresh_processes(num_jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return sum(
            time_command(folder, "-m", "hydra/launcher=basic", f"seed={seed}")
            for seed in range(num_jobs)
        )


def start_to_first_step(job: Job) -> float:
    """From the process's first word to the end of its first epoch, less that epoch."""
    assert job.run is not None
    first = job.run.history[0]
    return float(first["at"] - first["seconds"] - job.events[0]["at"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--report", action="store_true", help="print only; a miss is no failure")
    parser.add_argument("--jobs", type=int, default=24)
    words = parser.parse_args()
    bounds = Bounds(is_report=words.report)
    say_load()

    ours, jobs = time_expkit(words.jobs)
    inform(f"{words.jobs} jobs by expkit", [ours], "s")
    stages = [job.run.stages for job in jobs if job.run is not None]
    inform("of it a training", [each[0].seconds for each in stages], "s")
    inform("a job's process", [job.seconds or 0.0 for job in jobs], "s")
    bounds.hold("start to first step", list(map(start_to_first_step, jobs[2:])), "s", bound=0.3)
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        print("     hydra-joblib-launcher is not installed: not measured")
    else:
        joblib = time_joblib(words.jobs)
        inform(f"{words.jobs} jobs by joblib", [joblib], "s")
        bounds.hold("expkit / joblib with 2 jobs", [ours / joblib], "x", bound=0.4)
    fresh = time_fresh_processes(words.jobs)
    inform(f"{words.jobs} jobs in fresh processes", [fresh], "s")
    bounds.hold("expkit / a fresh process a job", [ours / fresh], "x", bound=0.5)
    bounds.finish()


if __name__ == "__main__":
    main()
