"""How long a user waits for the list of ten thousand runs, and what it takes.

Command         python benchmarks/runs_listing.py [--repeats N] [--report]
Compares        wall time and peak memory of the list that `expkit runs`, `load_runs` and index.html
                share, over copies of the small records of one finished run, each with settings and
                figures of its own: first without its index, then with it, then with a condition
Figures         each <= 2 s; without its index 500 MB; torch is not imported
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bounds import Bounds, find_expkit, find_run, parse_arguments, run_quietly, say_load

from expkit.reports.runs.listing_index import FILE, SETTLED_SECONDS

TINY = ("dataset.rows=4", "dataset.columns=6", "dataset.piece_size=16", "criteria=none")
COPIED = ("config.yaml", "overrides.yaml", "environment.json", "dataset.json", "stages.jsonl")
COPIED += ("summary.json",)
COUNT, MOST_SECONDS, MOST_MEGABYTES = 10_000, 2.0, 500.0
LIST = """import resource, sys, time
start = time.perf_counter()
from pathlib import Path
from expkit.reports.runs.listing import list_entries
entries = list_entries(Path(sys.argv[1]))
found = sum(entry.settings["seed"] == 7 for entry in entries) if sys.argv[2] else len(entries)
seconds = time.perf_counter() - start
assert "torch" not in sys.modules and "pandas" not in sys.modules
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, found)"""


def make_runs(source: Path, parent: Path) -> None:
    """Copies with a seed, a learning rate and an accuracy of their own."""
    digest = json.loads((source / "digest.json").read_text())
    split = digest["judged_split"]
    for number in range(COUNT):
        path = parent / f"20260101_{number:06d}_run"
        path.mkdir(parents=True)
        for name in COPIED:
            shutil.copyfile(source / name, path / name)
        config = {**digest["config"], "seed": number % 10, "optimizer.lr": 1e-4 * (number % 50)}
        own = {**digest, "run": path.name, "config": config}
        own["metrics"] = {**digest["metrics"], split: {**digest["metrics"][split]}}
        own["metrics"][split]["accuracy"] = 0.5 + 0.4 * number / COUNT
        (path / "digest.json").write_text(json.dumps(own, indent=2))


def measure(folder: Path, condition: str = "") -> tuple[float, float]:
    """Seconds and megabytes of one list, in a process of its own."""
    command = [sys.executable, "-c", LIST, str(folder), condition]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes, count = map(float, done.stdout.split())
    assert count == (COUNT / 10 if condition else COUNT)
    return seconds, megabytes


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=3)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        outputs, runs = Path(folder) / "one", Path(folder) / "many"
        run_quietly([find_expkit(), "train", *TINY, f"output_dir={outputs}"], cwd=folder)
        make_runs(find_run(outputs), runs)
        subprocess.run(["sleep", str(SETTLED_SECONDS + 1)], check=True)
        cold = []
        for _ in range(arguments.repeats):
            (runs / FILE).unlink(missing_ok=True)
            cold.append(measure(runs))
        bounds.hold("without its index", [each[0] for each in cold], "s", bound=MOST_SECONDS)
        bounds.hold("... its memory", [each[1] for each in cold], "MB", bound=MOST_MEGABYTES)
        warm = [measure(runs)[0] for _ in range(arguments.repeats)]
        bounds.hold("with its index", warm, "s", bound=MOST_SECONDS)
        asked = [measure(runs, "seed")[0] for _ in range(arguments.repeats)]
        bounds.hold("with its index, and each run's settings", asked, "s", bound=MOST_SECONDS)
    bounds.finish()


if __name__ == "__main__":
    main()
