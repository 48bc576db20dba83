"""The cores and GPUs of this machine, found without torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

NVIDIA_DRIVER = Path("/proc/driver/nvidia/gpus")


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
