"""How long a user waits for a comparison of thousands of finished runs, and what it takes.

Command         python benchmarks/comparison.py [--repeats N] [--report]
Compares        wall time and peak memory of `expkit compare 'FOLDER/*'` and of `expkit show FOLDER`
                over copies of one tiny finished run, each with settings and figures of its own
Figures         1,000 runs <= 2 s; 10,000 runs <= 15 s and <= 500 MB; torch is not imported
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bounds import Bounds, find_expkit, find_run, parse_arguments, run_quietly, say_load

TINY = ("dataset.rows=4", "dataset.columns=6", "dataset.piece_size=16", "criteria=none")
COPIED = ("config.yaml", "overrides.yaml", "environment.json", "dataset.json", "stages.jsonl")
COPIED += ("summary.json", "predictions.csv", "history.jsonl")
SIZES = {1_000: (2.0, None), 10_000: (15.0, 500.0)}  # runs: seconds, megabytes
NUM_SEEDS, NUM_RATES = 5, 20
SAY_IMPORTS = """import sys
from expkit.cli import dispatch
dispatch(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)"""


def make_runs(source: Path, parent: Path, count: int) -> None:
    """Recipes over width and rate, each with five seeds."""
    digest = json.loads((source / "digest.json").read_text())
    for number in range(count):
        path = parent / f"20260101_{number:06d}_run"
        path.mkdir(parents=True)
        for name in COPIED:
            shutil.copyfile(source / name, path / name)
        recipe, seed = divmod(number, NUM_SEEDS)
        width, rate = divmod(recipe, NUM_RATES)
        settings = {"seed": seed, "batch_size": 8 + width, "optimizer.lr": 1e-4 * (1 + rate)}
        accuracy = 0.5 + 0.4 * ((number * 7919) % count) / count
        split = digest["judged_split"]
        metrics = {**digest["metrics"][split], "accuracy": accuracy}
        own = {"run": path.name, "config": {**digest["config"], **settings}}
        own["metrics"] = {**digest["metrics"], split: metrics}
        (path / "digest.json").write_text(json.dumps({**digest, **own}, indent=2))


def measure(words: tuple[str, ...], cwd: str) -> tuple[float, float]:
    """Seconds and megabytes of one command."""
    started = time.perf_counter()
    process = subprocess.Popen([find_expkit(), *words], cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"expkit {' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss / 1000


def imports_torch(words: tuple[str, ...], cwd: str) -> bool:
    command = [sys.executable, "-c", SAY_IMPORTS, *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1] == "True"


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=3)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder) / "one"
        run_quietly([find_expkit(), "train", *TINY, f"output_dir={outputs}"], cwd=folder)
        for count, (seconds, megabytes) in SIZES.items():
            runs = Path(folder) / str(count)
            make_runs(find_run(outputs), runs, count)
            words = ("compare", f"{runs}/*")
            found = [measure(words, folder) for _ in range(arguments.repeats)]
            bounds.hold(
                f"expkit compare of {count} runs", [f[0] for f in found], "s", bound=seconds
            )
            if megabytes is not None:
                memory = [f[1] for f in found]
                bounds.hold(f"... its memory, {count} runs", memory, "MB", bound=megabytes)
            bounds.hold(
                f"... imports torch, {count} runs", [imports_torch(words, folder)], "", bound=0
            )
    bounds.finish()


if __name__ == "__main__":
    main()
