"""Exported models on a page of the notebook: their figures are those of verification.json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from exported_folders import exported_place

from expkit.errors import UserError
from expkit.records.run.find_run import find_run
from expkit.reports.notebook.exports import exports_section


@pytest.fixture
def exported(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A small run's export, to be changed at will."""
    made = exported_place(tmp_path_factory) / "exported"
    return Path(shutil.copytree(made, tmp_path / "exported"))


def change(folder: Path, **figures: object) -> None:
    """Put other figures into the proof."""
    path = folder / "verification.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **figures}))


def test_a_row_has_the_figures_of_the_proof(exported: Path) -> None:
    """By hand: 159 of 160 equal, a point lost, half of torch's time."""
    latency = {"median_ms": 1.25, "p95_ms": 2.0}
    change(
        exported,
        passed=True,
        num_samples=160,
        agreement=159 / 160,
        agreement_interval=[0.965, 0.9989],
        largest_difference=0.0123,
        batch_sizes={"1": {"num_equal": 160}, "7": {"num_equal": 159}},
        accuracy={"run": 0.95, "exported": 0.94, "difference": [-0.03, 0.01], "p": 0.25},
        speed={
            "exported": latency,
            "torch": {"median_ms": 2.5, "p95_ms": 4.0},
            "threads": 2,
            "exported_bytes": 1_000_000,
            "torch_bytes": 3_000_000,
        },
    )
    title, table, measured = exports_section([find_run(str(exported))])
    assert title == "## Exported"
    cells = [cell.strip() for cell in table.splitlines()[2].strip("|").split("|")]
    assert cells[0] == "model.onnx (onnx, fp32)"
    assert cells[1] == "159 of 160, 99.38 % (96.5 % to 99.89 %)" or cells[1].startswith(
        "159 of 160"
    )
    assert cells[2:] == [
        *("0.012", "94.00 %", "-1.00 points (-3.00 to +1.00)", "0.25"),
        *("1.25 ms", "2.00 ms", "2.50 ms", "1.0 MB", "3.0 MB"),
    ]
    assert "160 samples of" in measured
    assert "batch sizes 1, 7" in measured


def test_what_failed_is_said_in_its_row(exported: Path) -> None:
    """A file below the required agreement does not stand there as if it were good."""
    change(exported, passed=False, accuracy=None, speed=None, largest_difference=None)
    row = exports_section([find_run(str(exported))])[1].splitlines()[2]
    assert "NOT GOOD" in row
    assert "not a number" in row


def test_a_damaged_proof_is_refused_by_its_file(exported: Path) -> None:
    """An agreement of 120 % is nobody's."""
    change(exported, agreement=1.2)
    with pytest.raises(UserError) as raised:
        exports_section([find_run(str(exported))])
    assert "verification.json" in raised.value.screen()
