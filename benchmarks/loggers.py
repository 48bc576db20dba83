"""What loggers cost: an epoch that is sent to all that are installed against one that is not.

Command         python benchmarks/loggers.py [--repeats N] [--report]
Compares        trainings of larger_backbone on the puzzle, 40 epochs in batches of 32 on one
                thread, once with every logger that is installed, once without; both write
                histories and checkpoints. Pairs run in turns, the first changing from round to
                round; a figure is the median of the rounds' ratios. The loggers begin while the
                first epochs are trained: the median epoch is one of those that come after
Figures         at most 1.01 x the seconds of the median epoch; the whole training and what the
                run waits for at its end are told
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bounds import Bounds, inform, parse_arguments, say_load
from signals import Nobody, compose

from expkit.config.schema import Config
from expkit.loggers.chosen import known_loggers
from expkit.loggers.followers import Followers
from expkit.records.run.reader import Run
from expkit.runner.procedure import run_stages
from expkit.runner.run import build, make_folder
from expkit.runner.session import Session

NUM_EPOCHS = 40


def train(config: Config, loggers: dict[str, Any]) -> tuple[float, float, float]:
    """Seconds of the median epoch, of all epochs, and of the waiting at the end."""
    parts = build(config)
    kept = {"train": parts.stages["train"]}
    folder = make_folder(parts, config, [], [])
    with (
        contextlib.closing(folder),
        contextlib.closing(Followers.start(folder.path, loggers)) as followers,
    ):
        run_stages(Session(type(parts)(**{**vars(parts), "stages": kept}), folder, Nobody()))
        ended = time.perf_counter()
        followers.finish(print)
    seconds = [record["wall_seconds"] for record in Run(folder.path).history]
    return statistics.median(seconds), sum(seconds), time.perf_counter() - ended


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=7)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"WANDB_MODE": "offline", "TRACKIO_DIR": f"{folder}/trackio"}
        loggers = {n: dict(part) for n, part in known_loggers().items() if find_spec(n)}
        print(f"loggers {', '.join(loggers) or 'none is installed'}")
        config = compose(Path(folder) / "outputs")
        stage = {**config.procedure["train"], "max_epochs": NUM_EPOCHS}
        config = replace(
            config,
            procedure={**config.procedure, "train": stage},
            device={**config.device, "threads": 1},
        )
        train(config, {})  # warms up
        rounds = []
        for number in range(arguments.repeats):
            found = {}
            for is_sent in (True, False) if number % 2 else (False, True):
                found[is_sent] = train(config, loggers if is_sent else {})
            rounds.append((found[True], found[False]))
    inform("a median epoch that is sent", [sent[0] for sent, _ in rounds], "s")
    inform("a median epoch that is not", [bare[0] for _, bare in rounds], "s")
    inform("whole training, sent / not", [sent[1] / bare[1] for sent, bare in rounds], "x")
    inform("waiting at the end", [sent[2] for sent, _ in rounds], "s")
    bounds.hold("epoch, sent / not", [s[0] / b[0] for s, b in rounds], "x", bound=1.01)
    bounds.finish()


if __name__ == "__main__":
    main()
