"""Where the records of an evaluation go: a stranger's run has no say in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import config_of, puzzle_run

from expkit.commands import evaluate
from expkit.errors import UserError


class AskedError(Exception):
    """Stands for all that follows once the place is known."""


@pytest.mark.parametrize(("words", "place"), [((), "outputs"), (("output_dir=mine",), "mine")])
def test_an_evaluation_goes_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], place: str
) -> None:
    """Their own output_dir, by a word or by default, and not the one that the run recorded."""
    monkeypatch.chdir(tmp_path)
    theirs = tmp_path / "theirs"
    run = puzzle_run(tmp_path, 2, 3, config=config_of(output_dir=str(theirs)))
    (run.path / "checkpoints" / "train").mkdir(parents=True)
    (run.path / "checkpoints" / "train" / "best.safetensors").touch()
    monkeypatch.setattr(evaluate, "describe_evaluation", lambda run, *_: dict(run.config))

    def ask(plain: dict[str, Any], **_: object) -> None:
        raise AskedError(plain["output_dir"])

    monkeypatch.setattr(evaluate, "check_config", ask)
    with pytest.raises(AskedError, match=f"^{place}$"):
        evaluate.main([str(run.path), *words])
    assert not theirs.exists()


def test_weights_behind_a_link_are_not_loaded(tmp_path: Path) -> None:
    """A checkpoint is the run's own, and so is the folder that it lies in."""
    run = puzzle_run(tmp_path, 2, 3)
    (tmp_path / "mine" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "train" / "best.safetensors").touch()
    (run.path / "checkpoints").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="'checkpoints' is a link"):
        evaluate.main([str(run.path)])
