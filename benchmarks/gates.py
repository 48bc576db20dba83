"""How long both overfit gates take for each ready model, from random weights.

Command         python benchmarks/gates.py [--repeats N] [--report]
Compares        nothing: the seconds that stages.jsonl has for overfit_1 and overfit_10 together,
                on the default puzzle's pieces of 64 x 64; the models take turns
Figures         both passed by every model; on two cores under 15 s for each model of the logs, and
                under 10 minutes for one round of all of them
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bounds import Bounds, find_expkit, find_run, inform, parse_arguments, run_quietly, say_load

OF_THE_LOGS = ("simple_conv", "deep_head", "larger_backbone")
READY = (
    *OF_THE_LOGS,
    "vit_scanline",
    "resnet18",
    "resnet50",
    "mobilenetv3_large",
    "efficientnet_b0",
    "efficientnet_b2",
    "convnext_tiny",
    "convnextv2_tiny",
    "dinov2_vits14",
)


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
    arguments = parse_arguments(__doc__, repeats=1)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    rounds = [{model: time_gates(model) for model in READY} for _ in range(arguments.repeats)]
    for model in READY:
        seconds = [times[model] for times in rounds]
        if model in OF_THE_LOGS:
            bounds.hold(f"both gates, {model}", seconds, "s", bound=15)
        else:
            inform(f"both gates, {model}", seconds, "s")
    totals = [sum(times.values()) for times in rounds]
    bounds.hold("both gates, all ready models", totals, "s", bound=600)
    bounds.finish()


if __name__ == "__main__":
    main()
