"""`import expkit`: what it costs, and which names it has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_runs import classes_run

import expkit

HEAVY = {"torch", "pandas", "numpy", "hydra", "omegaconf", "matplotlib", "scipy", "PIL", "yaml"}


def loaded_by(code: str, folder: Path) -> set[str]:
    """The heavy packages that a program of its own has loaded by its end."""
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_it_loads_nothing(tmp_path: Path) -> None:
    assert loaded_by("import expkit; dir(expkit); expkit.UserError", tmp_path) == set()


def test_it_is_imported_in_a_blink(tmp_path: Path) -> None:
    """At most 0.15 s by the clock of its own process; the best of five, as others work here too."""
    code = "import time; t = time.perf_counter(); import expkit; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.15


def test_figures_are_read_without_torch_and_hydra(tmp_path: Path) -> None:
    run = classes_run(tmp_path, per_class=2)
    code = f"import expkit; expkit.load_run({str(run.path)!r}).metrics"
    assert {"torch", "hydra", "omegaconf", "matplotlib"} & loaded_by(code, tmp_path) == set()


@pytest.mark.slow
def test_everything_but_the_model_does_without_torch(tmp_path: Path) -> None:
    """Tables, findings, plots, many runs and a comparison."""
    for name, share in (("a", 0.8), ("b", 0.9)):
        path = f"20260101_120000_{name}"
        classes_run(tmp_path, name=path, share_right=share, per_class=2)
    code = f"""
import expkit
run = expkit.load_run({str(tmp_path / "20260101_120000_a")!r})
run.history, run.signals, run.predictions(), run.findings, run.criteria
run.plot("curves"), run._repr_html_(), str(run)
expkit.load_runs({str(tmp_path)!r})
expkit.compare(run, {str(tmp_path / "20260101_120000_b")!r})._repr_html_()"""
    assert {"torch", "hydra", "omegaconf"} & loaded_by(code, tmp_path) == set()


def test_its_names_are_listed_and_found() -> None:
    assert set(expkit.__all__) <= set(dir(expkit))
    assert [name for name in expkit.__all__ if not hasattr(expkit, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'load_ran'"):
        expkit.load_ran  # type: ignore[attr-defined]  # noqa: B018
