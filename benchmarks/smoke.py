"""How long `expkit smoke` takes for all ready models at 64 x 64.

Command         python benchmarks/smoke.py [--repeats N] [--report]
Compares        nothing: the whole command, from its start to its last line, on the default puzzle's
                pieces of 64 x 64; logo_vit_base, which is for 224 x 224, is left out
Figures         every model passes; on two quiet cores at most 60 s
"""

from __future__ import annotations

import tempfile
import time

from bounds import Bounds, find_expkit, parse_arguments, run_quietly, say_load

from expkit.sweeps.smoke import choose_subjects

OF_LARGE_IMAGES = ("logo_vit_base",)


def list_models() -> list[str]:
    """What `expkit smoke --all` takes, less those of larger images."""
    (word,) = choose_subjects([], every_model=True)
    names = word.removeprefix("model=").split(",")
    return [name for name in names if name not in OF_LARGE_IMAGES]


def time_smoke(models: list[str]) -> float:
    """Seconds of the command; a gate that fails makes it, and so this script, fail."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        run_quietly([find_expkit(), "smoke", f"model={','.join(models)}"], cwd=folder)
        return time.monotonic() - began


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=1)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    models = list_models()
    seconds = [time_smoke(models) for _ in range(arguments.repeats)]
    bounds.hold(f"expkit smoke, {len(models)} models", seconds, "s", bound=60)
    bounds.finish()


if __name__ == "__main__":
    main()
