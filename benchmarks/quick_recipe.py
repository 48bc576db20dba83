"""The larger backbone at log 2's accuracy, in a fifth of its epochs.

Command         python benchmarks/quick_recipe.py [--repeats N] [--report]
Compares        nothing: the summary.json of `expkit train experiment=puzzle_larger_backbone_quick`;
                its seconds are those of all stages: both gates, training, evaluation
Figures         accuracy >= 99.3 %, in at most 40 epochs and 30 s on two cores
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from bounds import Bounds, find_expkit, find_run, inform, parse_arguments, run_quietly, say_load


def run_recipe() -> dict[str, Any]:
    """The summary of one run, with the stages by name."""
    with tempfile.TemporaryDirectory() as outputs:
        words = ["train", "experiment=puzzle_larger_backbone_quick", f"output_dir={outputs}"]
        run_quietly([find_expkit(), *words], cwd=outputs)
        summary = json.loads((find_run(Path(outputs)) / "summary.json").read_text())
    return {**summary, "stages": {stage["stage"]: stage for stage in summary["stages"]}}


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=1)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    runs = [run_recipe() for _ in range(arguments.repeats)]
    accuracies = [run["metrics"][run["judged_split"]]["accuracy"] for run in runs]
    epochs = [run["stages"]["train"]["num_epochs"] for run in runs]
    bounds.hold("accuracy", accuracies, "", bound=0.993, least=True)
    bounds.hold("epochs", epochs, "", bound=40)
    bounds.hold("all stages", [run["wall_seconds"] for run in runs], "s", bound=30)
    for name in runs[0]["stages"]:
        inform(f"stage {name}", [run["stages"][name]["seconds"] for run in runs], "s")
    bounds.finish()


if __name__ == "__main__":
    main()
