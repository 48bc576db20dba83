"""Folders that are made aside: those of killed processes go, those of living ones stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from expkit.folders_aside import begin_folder, clear_leftovers

BEGIN = """
import sys
from pathlib import Path
from expkit.folders_aside import begin_folder
aside, _ = begin_folder(Path(sys.argv[1]), ".making_")
(aside / "half").write_bytes(b"half")
print(aside.name, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_cleared_and_not_before(tmp_path: Path) -> None:
    """While it lives its folder stays; after SIGKILL the next one clears it."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", BEGIN, str(tmp_path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        aside = tmp_path / process.stdout.readline().strip()
        clear_leftovers(tmp_path, ".making_")
        assert (aside / "half").exists()
        os.kill(process.pid, signal.SIGKILL)
    assert (aside / "half").exists()
    clear_leftovers(tmp_path, ".making_")
    assert not list(tmp_path.iterdir())


def test_of_this_process_it_is_left_alone_too(tmp_path: Path) -> None:
    aside, lock = begin_folder(tmp_path, ".making_")
    clear_leftovers(tmp_path, ".making_")
    assert aside.exists()
    os.close(lock)
    clear_leftovers(tmp_path, ".other_")
    assert aside.exists()


def test_clearing_follows_no_link(tmp_path: Path) -> None:
    """A link of such a name may lead anywhere."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (tmp_path / ".making_x").symlink_to(tmp_path / "precious")
    clear_leftovers(tmp_path, ".making_")
    assert (tmp_path / "precious" / "file").read_text() == "kept"
