"""What diagnosis costs: an epoch with its signals and rules against one without.

Command         python benchmarks/signals.py [--repeats N] [--report]
Compares        whole trainings of larger_backbone on the puzzle, 50 epochs in batches of 32, once
                as they are, once with everything that diagnosis adds taken out: the readings of
                steps, the counting of answers, the looks at layers, the records and the rules. Both
                write histories and checkpoints. Pairs run in turns, the first changing from round
                to round; a figure is the median of the rounds' ratios
Figures         at most 1.01 x the seconds of the training stage
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from bounds import Bounds, inform, parse_arguments, say_load

from expkit.config.run_request import OF_THE_SWEEP
from expkit.config.schema import Config
from expkit.config.validation import check_config
from expkit.records.run.reader import Run
from expkit.runner.live_diagnosis import Diagnosis
from expkit.runner.procedure import run_stages
from expkit.runner.run import build, make_folder
from expkit.runner.session import Session
from expkit.runner.signal_recording import Observer
from expkit.training.step_stats import StepStats

NUM_EPOCHS = 50


class Deaf(StepStats):
    """Takes the steps and reads nothing."""

    def timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        return batches

    def see(self, loss: object) -> None: ...

    def before_step(self) -> None: ...

    def after_step(self, before: object, norm: object) -> None: ...

    def read(self, seconds: float) -> dict[str, Any]:
        return {}

    def first_steps(self) -> list[dict[str, float]]:
        return []


@contextlib.contextmanager
def without_diagnosis() -> Iterator[None]:
    with (
        mock.patch("expkit.training.loop.StepStats", Deaf),
        mock.patch("expkit.training.accumulator.MetricAccumulator._count"),
        mock.patch.object(Observer, "observe_start"),
        mock.patch.object(Observer, "observe_epoch", return_value=False),
        mock.patch.object(Diagnosis, "look", return_value=None),
    ):
        yield


class Nobody:
    """Looks on and says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def compose(parent: Path) -> Config:
    import hydra
    from omegaconf import OmegaConf

    from expkit.config.compose import prepare_hydra
    from expkit.config.paths import builtin_conf

    prepare_hydra()
    words = ["model=larger_backbone", "procedure=full", f"output_dir={parent}", "name=run"]
    words += [f"procedure.train.max_epochs={NUM_EPOCHS}", "procedure.train.snapshot_every=null"]
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        plain = OmegaConf.to_container(hydra.compose("config", overrides=words), resolve=True)
    assert isinstance(plain, dict)
    kept = {str(key): value for key, value in plain.items() if key not in OF_THE_SWEEP}
    return check_config(kept)


def train(config: Config, *stages: str) -> dict[str, float]:
    """Seconds of each stage."""
    parts = build(config)
    kept = {name: stage for name, stage in parts.stages.items() if name in stages}
    folder = make_folder(parts, config, [], [])
    with contextlib.closing(folder):
        run_stages(Session(type(parts)(**{**vars(parts), "stages": kept}), folder, Nobody()))
    return {result.stage: result.seconds for result in Run(folder.path).stages}


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=7)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        config = compose(Path(folder))
        train(config, "train")  # warms up
        rounds = []
        for number in range(arguments.repeats):
            seconds = {}
            for is_whole in (True, False) if number % 2 else (False, True):
                with contextlib.nullcontext() if is_whole else without_diagnosis():
                    seconds[is_whole] = train(config, "train")["train"]
            rounds.append((seconds[True], seconds[False]))
    inform("training with diagnosis", [whole for whole, _ in rounds], "s")
    inform("training without", [bare for _, bare in rounds], "s")
    bounds.hold("with / without", [whole / bare for whole, bare in rounds], "x", bound=1.01)
    bounds.finish()


if __name__ == "__main__":
    main()
