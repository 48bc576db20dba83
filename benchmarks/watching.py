"""What expkit.watch costs: a step of a loop that is watched against one that is not.

Command         python benchmarks/watching.py [--repeats N] [--report]
Compares        two equal loops of a small conv net, batches of 64 at 32 x 32, on one thread: one is
                watched, one is not. They step in turns, the first changing from step to step; a
                figure is the ratio of their median steps, after the first 20, which are recorded
                one by one; in processor time, which others on the machine hardly change. The end of
                an epoch, with its signals and rules, is timed by itself
Figures         at most 1.03 x the time of a step, which takes 20 ms or more
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from bounds import Bounds, inform, parse_arguments, say_load
from torch import nn

import expkit

NUM_STEPS, WARM_UP, WIDTH = 50, 20, 8


class Loop:
    """A net with what trains it, and the same batch again and again."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for channels, width in ((3, WIDTH), (WIDTH, 2 * WIDTH), (2 * WIDTH, 2 * WIDTH)):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * WIDTH, 10)]
        self.model = nn.Sequential(*layers, *pooled)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.criterion = nn.CrossEntropyLoss()
        self.images = torch.randn(64, 3, 32, 32)
        self.targets = torch.randint(0, 10, (64,))

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.criterion(self.model(self.images), self.targets).backward()
        self.optimizer.step()


def timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def measure(to: str) -> tuple[float, float, float]:
    """The median step without and with a watch, and the seconds of an epoch's end."""
    bare, watched = Loop(), Loop()
    times: dict[Loop, list[float]] = {bare: [], watched: []}
    watch = expkit.watch(watched.model, watched.optimizer, watched.criterion, to=to, plots=False)
    for number in range(NUM_STEPS):
        for loop in (bare, watched) if number % 2 else (watched, bare):
            times[loop].append(timed(loop.step))
    with contextlib.redirect_stdout(io.StringIO()):
        end = timed(watch.epoch)
        watch.close()
    assert watch.failure is None
    plain, seen = (statistics.median(times[loop][WARM_UP:]) for loop in (bare, watched))
    return plain, seen, end


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=5)
    bounds = Bounds(is_report=arguments.report)
    torch.set_num_threads(1)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [measure(folder) for _ in range(arguments.repeats)]
    inform("a step that is not watched", [1000 * plain for plain, _, _ in rounds], "ms")
    inform("the end of an epoch that is looked at closely", [end for _, _, end in rounds], "s")
    bounds.hold("watched / unwatched", [seen / plain for plain, seen, _ in rounds], "x", bound=1.03)
    bounds.finish()


if __name__ == "__main__":
    main()
