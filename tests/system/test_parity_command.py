"""expkit parity as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_expkit import TINY, Expkit

FAULTY = """
import torch
from torch import nn

class Rounding(nn.Module):
    def forward(self, x):
        return (x + 1000) - 1000

def make(image_shape, num_outputs):
    return nn.Sequential(nn.Conv2d(3, 8, 3), Rounding(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, num_outputs))
"""
BF16 = (*TINY[:3], "device=cpu", "device.threads=1", "criteria=none", "device.precision=bf16")


@pytest.mark.slow
def test_a_sound_model_is_within_tolerance(run_here: Expkit, tmp_path: Path) -> None:
    """Exit code 0, each step in the table, and no run folder."""
    done = run_here("parity", *BF16, "--steps", "2")
    assert done.code == 0, done.out + done.err
    assert "within the precision's tolerance" in done.out
    assert "2 steps, the same weights and batches" in done.out
    assert "APART" not in done.out
    assert not list(tmp_path.glob("outputs*"))
    assert len(done.out.splitlines()) < 30


def test_a_planted_fault_is_named(run_here: Expkit, tmp_path: Path) -> None:
    """Exit code 1, and the layer by its name and type."""
    (tmp_path / "own_net.py").write_text(FAULTY)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "faulty.yaml").write_text(
        "# a net with a fault\n_target_: own_net.make\n_partial_: true\n"
    )
    done = run_here("parity", *BF16, "model=faulty", "--steps", "1")
    assert done.code == 1, done.out + done.err
    assert "apart from 1 (Rounding) on" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*TINY[:3], "device=cpu", "device.precision=fp32"), "there is nothing to compare"),
        ((*BF16, "procedure=overfit"), "no stage that trains"),
        (("--steps", "0"), "--steps cannot be '0'"),
        (("modle=resnet18",), "model"),
    ],
)
def test_wrong_requests_are_refused(run_here: Expkit, words: tuple[str, ...], message: str) -> None:
    """One screen and exit code 2."""
    done = run_here("parity", *words)
    assert done.code == 2
    assert message in done.err
