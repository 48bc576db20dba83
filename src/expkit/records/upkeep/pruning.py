"""Checkpoints that a finished run needs no more: all but the best weights of each stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.records.safe_open import is_file, list_inside, refuse_links

ENDED = ("finished", "failed")
BEST = "best.safetensors"


@dataclass(frozen=True)
class Prunable:
    """The checkpoints of a run that can go, or why none can."""

    run: Run
    files: list[Path]
    why_not: str = ""

    @property
    def num_bytes(self) -> int:
        return sum(path.lstat().st_size for path in self.files)


def find_prunable(run: Run) -> Prunable:
    """Return what can go of a run: it still predicts, evaluates and exports without.

    The weights that stand for the run stay, be they of the best or of the last epoch; so do the
    best of each stage, from which others may start.
    """
    try:
        if run.status not in ENDED:
            return Prunable(run, [], f"{run.status}: it needs them to go on")
        return Prunable(run, _unneeded(run))
    except UserError as error:
        return Prunable(run, [], error.what)


def _unneeded(run: Run) -> list[Path]:
    checkpoints = run.path / "checkpoints"
    refuse_links(checkpoints, run.path)
    files: list[Path] = []
    for stage in sorted(checkpoints.glob("*/")):
        if is_file(stage / BEST, run.path):  # of two checkpoints, one stays in any case
            found = list_inside(stage, "*.safetensors", run.path)
            files += [path for path in found if path.name != BEST]
    stands = run.weights if files and run.trained is run else None
    return [path for path in files if path != stands]


def prune(prunable: Prunable) -> None:
    """Remove them, and say so in the run's log; one that is running is refused."""
    folder = RunFolder.reopen(prunable.run.path)
    try:
        for path in prunable.files:
            refuse_links(path.parent, prunable.run.path)
            size = path.lstat().st_size
            path.unlink()
            place = path.relative_to(prunable.run.path)
            folder.log(f"pruned  {place}, {size:,} bytes")
    finally:
        folder.close()
