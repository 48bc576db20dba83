"""The words beside the name of a run that is resumed: its cache folder, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expkit.commands import resume
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.runner import resume as resuming


@pytest.fixture
def cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run of a config that names a cache folder, and what it would go on with."""
    path = tmp_path / "outputs" / "20260101_000000_mine"
    path.mkdir(parents=True)
    (path / "environment.json").write_text("{}")
    (path / "config.yaml").write_text(
        "procedure: {train: {}}\ndataset: {root: here, cache_dir: recorded}\n"
    )
    monkeypatch.chdir(tmp_path)
    taken: dict[str, Any] = {}

    def reopen(run: Run, config: Any, *others: object) -> Any:
        taken.update(config["dataset"])
        raise KeyboardInterrupt

    monkeypatch.setattr(resuming, "reopen", reopen)
    return taken


def go_on(*words: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        resume.main(["20260101_000000_mine", *words])


def test_a_recorded_cache_folder_is_named_and_not_used(
    cut_off: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing proves that a run is one's own: the way to use the folder is said, and works."""
    go_on()
    assert cut_off == {"root": "here", "cache_dir": None}
    advice = capsys.readouterr().out.partition("expkit resume ")[2].split()
    assert advice == ["20260101_000000_mine", "dataset.cache_dir=recorded"]
    resume_words = advice[1:]
    go_on(*resume_words)
    assert cut_off["cache_dir"] == "recorded"
    assert "note" not in capsys.readouterr().out


def test_another_cache_folder_is_the_users_to_say(cut_off: dict[str, Any]) -> None:
    go_on("dataset.cache_dir=/there")
    assert cut_off["cache_dir"] == "/there"


@pytest.mark.usefixtures("cut_off")
@pytest.mark.parametrize(
    "words", [["seed=3"], ["dataset.cache_dir="], ["dataset.cache_dir=a", "b"]]
)
def test_whatever_else_is_said_is_refused(words: list[str]) -> None:
    """Its numbers would be of no one config."""
    with pytest.raises(UserError, match="resumed with the config"):
        resume.main(["20260101_000000_mine", *words])
