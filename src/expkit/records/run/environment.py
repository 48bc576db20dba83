"""Where and by what a run was made."""

from __future__ import annotations

import datetime
import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from expkit.records.run.schema import FORMAT_VERSION

PACKAGES = ("expkit", "torch", "torchvision", "timm", "hydra-core", "numpy", "scikit-learn")


def describe_environment(
    command: Sequence[str],
    device: str,
    config_hash: str,
    job: str | None = None,
    own_code: str | None = None,
) -> dict[str, Any]:
    """The content of environment.json; `job` is what a sweep knows this config by.

    `own_code` tells the content of the user's own modules that the config names.
    """
    slurm = {name: value for name, value in os.environ.items() if name.startswith("SLURM_JOB")}
    return {
        "format_version": FORMAT_VERSION,
        "command": list(command),
        "started": datetime.datetime.now().astimezone().isoformat(),
        "device": device,
        "config_hash": config_hash,
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "host": platform.node(),
        "git": describe_git(Path.cwd()),
        "sources": hash_sources(),
        **({"own_code": own_code} if own_code else {}),
        **({"slurm": slurm} if slurm else {}),
        **({"job": job} if job else {}),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def hash_sources() -> str:
    """One word for this package's own code, whose version stays the same while it is worked on."""
    content = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def describe_git(folder: Path) -> dict[str, Any] | None:
    """The commit of the code around the run, and whether it was changed since; None without git."""
    # a program that the repository's own config names as its watcher is not run
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", "--no-optional-locks"]
    command += ["status", "--porcelain=v2", "--branch"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
    return {
        "commit": None if commit == "(initial)" else commit,
        "dirty": any(not line.startswith("#") for line in lines),
    }
