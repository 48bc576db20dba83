"""A Ray of two nodes on this machine's loopback addresses."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# not 127.0.0.1, which Ray takes for the machine's outer address
HEAD, OTHER = "127.0.0.2", "127.0.0.3"
ENVIRON = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
SIZES = ("--num-cpus=1", "--memory=2000000000", "--object-store-memory=100000000")
START = "from ray.scripts.scripts import main; main()"


@dataclass(frozen=True)
class Ray:
    """A running one, and the words by which a sweep joins it."""

    address: str

    @property
    def words(self) -> tuple[str, ...]:
        init = "hydra.launcher.ray.init"
        return (f"{init}.address='{self.address}'", f"+{init}._node_ip_address={HEAD}")


def why_not() -> str | None:
    """What is missing, or None."""
    return None if importlib.util.find_spec("ray") else "ray is not installed"


@contextlib.contextmanager
def run_ray() -> Iterator[Ray]:
    """Every process of it is gone afterwards; `ray stop` would stop others too."""
    folder = Path(tempfile.mkdtemp(prefix="ray_"))  # a socket's path is short
    with socket.socket() as free:
        free.bind((HEAD, 0))
        ray = Ray(f"{HEAD}:{free.getsockname()[1]}")
    port = ray.address.partition(":")[2]
    head = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "log.txt").open("wb") as log:
            nodes.append(_start_node(HEAD, 20000, head, log.fileno()))
            _wait_for(ray.address)
            nodes.append(_start_node(OTHER, 20100, (f"--address={ray.address}",), log.fileno()))
        yield ray
    finally:
        for node in reversed(nodes):
            _end(node)
        shutil.rmtree(folder, ignore_errors=True)
        _forget(ray.address)


def _start_node(
    address: str, port: int, words: tuple[str, ...], log: int
) -> subprocess.Popen[bytes]:
    ports = (f"--min-worker-port={port}", f"--max-worker-port={port + 99}")
    place = f"--node-ip-address={address}"
    return subprocess.Popen(
        [sys.executable, "-c", START, "start", "--block", place, *ports, *SIZES, *words],
        env={**os.environ, **ENVIRON},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.2)
    raise AssertionError("Ray did not start")


def _end(node: subprocess.Popen[bytes]) -> None:
    """`ray start --block` ends what it started; what is left of its session is killed."""
    node.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        node.wait(timeout=20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


def _forget(address: str) -> None:
    """Ray notes its newest cluster for all users; a dead one would be waited for minutes."""
    note = Path(tempfile.gettempdir(), "ray", "ray_current_cluster")
    with contextlib.suppress(OSError):
        if note.read_text().strip() == address:
            note.unlink()
