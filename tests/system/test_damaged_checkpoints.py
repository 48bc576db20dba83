"""A flipped bit in a checkpoint: every command says so, and what it advises works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from running_expkit import TINY, Expkit, only_run

TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(bytes(content))


def numbers(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.mark.slow
def test_a_flipped_bit_is_one_screen_and_the_advice_works(run_here: Expkit, tmp_path: Path) -> None:
    """Predict and evaluate take the last epoch's weights; resume begins the stage anew."""
    assert run_here("train", *TINY, "procedure=full", "name=a").code == 0
    run = only_run(tmp_path)
    whole = numbers(run)
    stage = run / "checkpoints" / "train"
    Image.new("RGB", (16, 16)).save("x.png")

    flip_bit(stage / "best.safetensors")
    for words in (("predict", "a", "x.png"), ("evaluate", "a"), ("latency", "a")):
        done = run_here(*words)
        assert done.code == 2, done.out
        assert "'best.safetensors' is not what was written" in done.err
        assert len(done.err.splitlines()) < 12
    assert only_run(tmp_path) == run
    assert "cp last.safetensors best.safetensors" in done.err
    shutil.copy(stage / "last.safetensors", stage / "best.safetensors")
    assert run_here("predict", "a", "x.png").code == 0

    # as if it had been cut off before its evaluation
    for name in ("stages.jsonl", "summary.json", "predictions.csv"):
        (run / name).unlink()
    flip_bit(stage / "last.safetensors")
    before = (run / "history.jsonl").read_bytes()
    done = run_here("resume", "a")
    assert done.code == 2
    assert "'last.safetensors' is not what was written" in done.err
    assert (run / "history.jsonl").read_bytes() == before
    command = done.err.split("then: expkit ")[1].split()
    (stage / "last.safetensors").unlink()
    assert run_here(*command).code == 0
    assert numbers(run) == whole
