"""How long both overfit gates take for each model of the logs.

Command         python benchmarks/gates.py [--repeats N] [--report]
Compares        nothing: the seconds that stages.jsonl has for overfit_1 and overfit_10 together,
                on the default puzzle; the models take turns
Figures         both passed, under 15 s on two cores, for every model
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bounds import Bounds, find_expkit, find_run, parse_arguments, run_quietly, say_load

MODELS = ("simple_conv", "deep_head", "larger_backbone")


def time_gates(model: str) -> float:
    """Seconds of both gates; a gate that fails makes the command, and so this script, fail."""
    with tempfile.TemporaryDirectory() as outputs:
        words = ["train", "procedure=overfit", f"model={model}", f"output_dir={outputs}"]
        run_quietly([find_expkit(), *words], cwd=outputs)
        lines = (find_run(Path(outputs)) / "stages.jsonl").read_text().splitlines()
    stages = [json.loads(line) for line in lines]
    assert [stage["stage"] for stage in stages] == ["overfit_1", "overfit_10"]
    return sum(float(stage["seconds"]) for stage in stages)


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=3)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    rounds = [{model: time_gates(model) for model in MODELS} for _ in range(arguments.repeats)]
    for model in MODELS:
        bounds.hold(f"both gates, {model}", [times[model] for times in rounds], "s", bound=15)
    bounds.finish()


if __name__ == "__main__":
    main()
