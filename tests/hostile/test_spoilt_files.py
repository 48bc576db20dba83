"""Run folders of which a file is a link, a pipe, a device, torn, deep, huge, or another thing."""

from __future__ import annotations

import pytest
from hostile_arena import Arena
from hostile_folders import BUILDING, DRAWING, INSTEAD, READING, ask_of_gift, lay

# each file of a run, and the commands that read or write it
EVERYTHING = (*READING, *BUILDING, "plot")
FILES = {
    "config.yaml": EVERYTHING,
    "environment.json": EVERYTHING,
    "dataset.json": EVERYTHING,
    "overrides.yaml": ("show", "plot", "resume"),
    "history.jsonl": ("show", "analyze", "diagnose", "plot", "resume"),
    "signals.jsonl": ("diagnose", "plot", "resume"),
    "stages.jsonl": ("show", "diagnose", "plot", "resume", "evaluate"),
    "predictions.csv": ("show", "diagnose", "threshold", "plot"),
    "summary.json": ("show", "compare", "plot", "report", "resume"),
    "digest.json": ("compare", "plot"),
    "threshold.json": ("show", "predict", "plot"),
    "labels.json": ("show", "plot", "diagnose"),
    "latency.json": ("latency", "show"),
    "log.txt": ("resume", "show"),
    "report.md": ("plot", "show"),
    "metrics.csv": ("plot",),
    ".lock": ("resume", "show", "plot"),
    "checkpoints/train/best.safetensors": BUILDING,
    "checkpoints/train/last.safetensors": BUILDING,
    "samples/augmented.npz": DRAWING[:1],
    "snapshots/train/epoch_0001.npz": DRAWING[:1],
    "plots/confusion.png": ("plot",),
}


@pytest.mark.parametrize("kind", INSTEAD)
@pytest.mark.parametrize("name", FILES)
def test_something_else_lies_where_a_file_of_the_run_should(
    name: str, kind: str, arena: Arena
) -> None:
    """Every command that opens the file answers, and nothing outside is read or written."""
    ask_of_gift(arena, FILES[name], lay(name, kind))
