"""How long a user waits for a comparison of thousands of finished runs, and what it takes.

Command         python benchmarks/comparison.py [--repeats N] [--report]
Compares        wall time and peak memory of `expkit compare 'FOLDER/*'` and of `expkit show FOLDER`
                over a sweep of copies of one tiny finished run, each with settings and figures of
                its own
Figures         each, 1,000 runs <= 2 s; 10,000 runs <= 15 s and <= 500 MB; torch is not imported
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

import yaml
from bounds import Bounds, find_expkit, find_run, parse_arguments, run_quietly, say_load

from expkit.records.sweep.folder import SweepFolder

TINY = ("dataset.rows=4", "dataset.columns=6", "dataset.piece_size=16", "criteria=none")
COPIED = ("config.yaml", "overrides.yaml", "environment.json", "dataset.json", "stages.jsonl")
COPIED += ("summary.json", "predictions.csv", "history.jsonl")
SIZES = {1_000: (2.0, None), 10_000: (15.0, 500.0)}  # runs: seconds, megabytes
NUM_SEEDS, NUM_RATES = 5, 20
SAY_IMPORTS = """import sys
from expkit.cli import dispatch
dispatch(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)"""


def make_sweep(source: Path, parent: Path, count: int) -> None:
    """Recipes over width and rate, each with five seeds, all finished."""
    digest = json.loads((source / "digest.json").read_text())
    split = digest["judged_split"]
    metadata = {"command": ["expkit"], "started": digest["run"], "objective": f"{split}/accuracy"}
    sweep = SweepFolder.create(parent, metadata)
    config = yaml.safe_load((source / "config.yaml").read_text())
    for number in range(count):
        path = parent / f"20260101_{number:06d}_run"
        path.mkdir()
        for name in COPIED:
            shutil.copyfile(source / name, path / name)
        recipe, seed = divmod(number, NUM_SEEDS)
        width, rate = divmod(recipe, NUM_RATES)
        settings = {"seed": seed, "batch_size": 8 + width, "optimizer.lr": 1e-4 * (1 + rate)}
        accuracy = 0.5 + 0.4 * ((number * 7919) % count) / count
        own = {
            "run": path.name,
            "job": f"{number:016x}",
            "config": {**digest["config"], **settings},
        }
        own["metrics"] = {**digest["metrics"], split: {**digest["metrics"][split]}}
        own["metrics"][split]["accuracy"] = accuracy
        (path / "digest.json").write_text(json.dumps({**digest, **own}, indent=2))
        words = [f"{key}={value}" for key, value in settings.items()]
        sweep.plan(own["job"], number, words, {**config, "seed": seed})
        sweep.note(own["job"], "started")
        sweep.note(own["job"], "run", run=path.name)
        sweep.note(own["job"], "ended", status="finished", reason="", exit_code=0, seconds=1.0)


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
            make_sweep(find_run(outputs), runs, count)
            for words in (("compare", f"{runs}/*"), ("show", str(runs))):
                found = [measure(words, folder) for _ in range(arguments.repeats)]
                name = f"expkit {words[0]} of {count:,} runs"
                bounds.hold(name, [f[0] for f in found], "s", bound=seconds)
                if megabytes is not None:
                    bounds.hold("... its memory", [f[1] for f in found], "MB", bound=megabytes)
                bounds.hold("... imports torch", [imports_torch(words, folder)], "", bound=0)
    bounds.finish()


if __name__ == "__main__":
    main()
