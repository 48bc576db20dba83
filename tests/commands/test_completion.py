"""Tab completion: what an unfinished line may become."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from expkit.commands.completion import SCRIPTS, find_candidates


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("expkit tr", ["train"]),
        ("expkit train model=la", ["model=larger_backbone"]),
        ("expkit train model=simple_conv optimizer=sg", ["optimizer=sgd"]),
        ("expkit train procedure.train.max_e", ["procedure.train.max_epochs="]),
        ("expkit train experiment=puzzle_s", ["experiment=puzzle_simple_conv"]),
        ("expkit list proc", ["procedure"]),
        ("expkit so", ["sort"]),
        ("expkit sort ", []),
        ("expkit completion f", ["fish"]),
        ("expkit show ", ["last"]),
        ("expkit nonsense ", []),
    ],
)
def test_candidates(
    line: str, candidates: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands, groups, choices, nested keys, recipes and runs."""
    monkeypatch.chdir(tmp_path)
    assert find_candidates(line) == candidates


def test_groups_and_keys_of_the_same_name_are_both_offered() -> None:
    """`model` is a group to choose from and a mapping to reach into."""
    assert find_candidates("expkit train mod") == ["model.", "model="]


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_the_scripts_parse(shell: str, tmp_path: Path) -> None:
    """Each shell that is installed reads its script without complaint."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(SCRIPTS[shell])
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
