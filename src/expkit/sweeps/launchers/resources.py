"""The cores and the GPU that each of several runs at once gets; torch is not asked."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from expkit.hardware import count_cores, find_gpus, has_apple_gpu


@dataclass(frozen=True)
class Resources:
    """The number of jobs at once, the threads of each, and the GPU of each one's place."""

    num_jobs: int
    threads: int
    gpus: tuple[str, ...] = ()  # one a place, as CUDA_VISIBLE_DEVICES names it

    def environ(self, place: int) -> dict[str, str]:
        """The environment variables of the job in this place."""
        return {"CUDA_VISIBLE_DEVICES": self.gpus[place]} if self.gpus else {}


def divide_machine(
    wanted: Literal["auto"] | int,
    *,
    num_planned: int,
    devices: Collection[str],
    threads: int | None,
    jobs_per_device: int,
) -> Resources:
    """Fill the machine without a fight over it; small nets learn fastest on a core each.

    `devices` are the names that the jobs ask for, `threads` the most that one of them asks for.
    """
    cores = count_cores()
    gpus = find_gpus() if {"auto", "cuda"} & set(devices) else []
    places: tuple[str, ...] = ()
    if gpus:
        num_jobs = len(gpus) * jobs_per_device
        if wanted != "auto":
            num_jobs = min(wanted, num_jobs)
        places = tuple(gpus[place % len(gpus)] for place in range(num_jobs))
    elif wanted != "auto":
        num_jobs = wanted
    elif has_apple_gpu() and {"auto", "mps"} & set(devices):
        num_jobs = 1
    else:
        num_jobs = max(1, min(cores // (threads or own_threads() or 1), num_planned))
    num_threads = threads or own_threads() or max(1, cores // num_jobs)
    return Resources(num_jobs, num_threads, places)


def own_threads() -> int | None:
    """The number of threads that the user set by OMP_NUM_THREADS."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() and int(text) > 0 else None
