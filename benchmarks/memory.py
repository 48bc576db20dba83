"""The most memory that the default run holds at once.

Command         python benchmarks/memory.py [--report]
Compares        nothing: the peak resident memory, as the system counted it, of the largest process
                of a whole `expkit train`: imports, images and plots included
Figures         under 1.5 GB
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time

from bounds import Bounds, find_expkit, inform, parse_arguments, say_load

BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=1)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as outputs:
        started = time.perf_counter()
        command = [find_expkit(), "train", f"output_dir={outputs}"]
        done = subprocess.run(command, check=False, cwd=outputs, capture_output=True, text=True)
    if done.returncode > 1:  # 1 is a criterion not met: that run holds as much
        sys.exit(done.stderr)
    peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * BYTES_PER_UNIT
    inform("expkit train, from command to end", [time.perf_counter() - started], "s")
    bounds.hold("peak memory of expkit train", [peak_bytes / 1e9], "GB", bound=1.5)
    bounds.finish()


if __name__ == "__main__":
    main()
