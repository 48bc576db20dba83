"""How long a user waits for an answer, and for the first optimisation step.

Command         python benchmarks/startup.py [--repeats N] [--report]
Compares        wall times of the installed command; for the first step, the wall time from the
                command to the first line of history.jsonl with that of `import torch` in a bare
                interpreter, run in turns
Figures         expkit --help <= 0.15 s; expkit list <= 0.3 s; a misspelt key, choice or value
                <= 1.0 s; none of these, nor expkit show, imports torch;
                command to first step <= import torch + 1.5 s, without torchvision, timm and kornia
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bounds import (
    Bounds,
    find_expkit,
    find_run,
    inform,
    parse_arguments,
    run_quietly,
    say_load,
)

ANSWERS = {  # words: exit code, seconds
    ("--help",): (0, 0.15),
    ("list",): (0, 0.3),
    ("show", "last"): (0, 0.3),
    ("train", "modle=simple_conv"): (2, 1.0),
    ("train", "model=simple_cnv"): (2, 1.0),
    ("train", "procedure.overfit_1.max_stepz=5"): (2, 1.0),
    ("train", "procedure.train.max_epochs=-3"): (2, 1.0),
    ("train", "seed=many"): (2, 1.0),
}

HEAVY = ("torch", "torchvision", "timm", "kornia")
SAY_IMPORTS = f"""import sys
from expkit.cli import dispatch
dispatch(sys.argv[1:])
print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"""
SAY_TIME = "import time, torch; print(time.time())"  # the interpreter's end is not counted
# what torch's own optimizer imports with its first step (torch._dynamo) is no work of ours
BARE_STEP = """import time, torch
weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.Adam([weight])
weight.sum().backward()
optimizer.step()
print(time.time())"""


def time_first_step(parent: Path) -> float:
    """Seconds from the command to the record of its first step."""
    with tempfile.TemporaryDirectory(dir=parent) as outputs:
        started = time.time()
        words = ["train", "procedure=overfit", f"output_dir={outputs}"]
        run_quietly([find_expkit(), *words], cwd=str(parent))
        with (find_run(Path(outputs)) / "history.jsonl").open() as lines:
            return float(json.loads(next(lines))["at"]) - started


def time_bare(program: str) -> float:
    """Seconds from the start of a bare interpreter to the time that the program prints."""
    started = time.time()
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, capture_output=True, check=True).stdout) - started


def time_answer(words: tuple[str, ...], exit_code: int, cwd: str) -> float:
    started = time.perf_counter()
    run_quietly([find_expkit(), *words], cwd=cwd, exit_code=exit_code)
    return time.perf_counter() - started


def list_heavy_imports(words: tuple[str, ...], cwd: str) -> set[str]:
    """Which of torch, torchvision, timm and kornia the command has imported."""
    command = [sys.executable, "-c", SAY_IMPORTS, *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=9)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        gates = ("train", "procedure=overfit")
        run_quietly([find_expkit(), *gates], cwd=folder)  # warms the disk; show needs a run
        times: dict[tuple[str, ...], list[float]] = {words: [] for words in ANSWERS}
        for _ in range(arguments.repeats):
            for words, (exit_code, _) in ANSWERS.items():
                times[words].append(time_answer(words, exit_code, folder))
        for words, (_, seconds) in ANSWERS.items():
            bounds.hold(f"expkit {' '.join(words)}", times[words], "s", bound=seconds)
        for words in ANSWERS:
            found = list_heavy_imports(words, folder)
            bounds.hold(f"torch imported by {' '.join(words)}", [len(found)], "", bound=0)
        found = list_heavy_imports(gates, folder) - {"torch"}
        bounds.hold("torchvision, timm, kornia imported by train", [len(found)], "", bound=0)

        turns = [
            (time_first_step(Path(folder)), time_bare(SAY_TIME), time_bare(BARE_STEP))
            for _ in range(arguments.repeats)
        ]
        inform("import torch", [torch for _, torch, _ in turns], "s")
        inform("import torch and one step of Adam", [bare for _, _, bare in turns], "s")
        inform("command to first step", [step for step, _, _ in turns], "s")
        inform("first step after a bare one", [step - bare for step, _, bare in turns], "s")
        extra = [step - torch for step, torch, _ in turns]
        bounds.hold("first step after import torch", extra, "s", bound=1.5)
    bounds.finish()


if __name__ == "__main__":
    main()
