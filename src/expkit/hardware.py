"""The cores and GPUs of this machine, found without torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

NVIDIA_DRIVER = Path("/proc/driver/nvidia/gpus")
CPU_FLAGS = Path("/proc/cpuinfo")


def count_cores() -> int:
    """Return the number that this process may use: a scheduler may grant fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, as the driver names them."""
    granted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if granted is not None:
        return [name.strip() for name in granted.split(",") if name.strip() not in ("", "-1")]
    if NVIDIA_DRIVER.is_dir():
        return [str(number) for number, _ in enumerate(NVIDIA_DRIVER.iterdir())]
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number, _ in enumerate(lines)]


def has_apple_gpu() -> bool:
    """Tell whether this is a Mac with its own GPU."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def saturates_int8() -> bool:
    """Tell whether this processor sums pairs of 8-bit products in 16 bits, which can overflow.

    x86 without VNNI does; where an x86 system does not say what it has, it is taken to.
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return False
    try:
        return "vnni" not in CPU_FLAGS.read_text()
    except OSError:
        return True
