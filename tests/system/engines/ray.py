"""A Ray of two nodes on this machine's loopback addresses."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# not 127.0.0.1, which Ray takes for the machine's outer address
HEAD, OTHER = "127.0.0.2", "127.0.0.3"
ENVIRON = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
SIZES = ("--num-cpus=1", "--memory=2000000000", "--object-store-memory=100000000")


@dataclass(frozen=True)
class Ray:
    """A running one, and the words by which a sweep joins it."""

    address: str

    @property
    def words(self) -> tuple[str, ...]:
        init = "hydra.launcher.ray.init"
        return (
            f"{init}.address={self.address}",
            f"+{init}._node_ip_address={HEAD}",
            f"+{init}.logging_level=error",
        )


def why_not() -> str | None:
    """What is missing, or None."""
    return None if importlib.util.find_spec("ray") else "ray is not installed"
