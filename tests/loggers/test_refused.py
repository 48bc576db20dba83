"""Loggers that would fail are refused at the start, on one screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.loggers import destination
from expkit.loggers.chosen import check_loggers, known_loggers
from expkit.loggers.mlflow import MlflowLogger, _name
from expkit.loggers.wandb import WandbLogger


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb", "trackio"])
def test_a_logger_without_its_package_names_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "find_spec", lambda _: None)
    with pytest.raises(UserError) as caught:
        check_loggers({name: known_loggers()[name]})
    assert caught.value.details["do"] == f'pip install "expkit[{name}]"'


def test_a_folder_of_its_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wandb makes one in the working directory."""
    (tmp_path / "ledgerlike").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MlflowLogger, "package", "ledgerlike")
    with pytest.raises(UserError):
        destination.require_package(MlflowLogger(), "mlflow")


@pytest.mark.parametrize(
    "uri", ["./mlruns", "file:///tmp/mlruns", "http://me:secret@host", "sqlite:////dev/null/a.db"]
)
def test_a_store_that_cannot_be_is_refused(uri: str) -> None:
    """A folder, a password that would be written down, a place that cannot be made."""
    with pytest.raises(UserError) as caught:
        MlflowLogger(uri).check("logger.mlflow")
    assert "secret" not in caught.value.screen()


def test_wandb_wants_a_login_only_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an environment variable or ~/.netrc; WANDB_MODE=offline needs none."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="not logged in"):
        WandbLogger().check("logger.wandb")
    WandbLogger(mode="offline").check("logger.wandb")
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password 0123")
    WandbLogger().check("logger.wandb")
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_MODE", "offline")
    WandbLogger().check("logger.wandb")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(UserError, match="keeps nothing"):
        WandbLogger().check("logger.wandb")


def test_names_are_such_as_mlflow_takes() -> None:
    """No other characters than its own, no path that leads out, and no longer than it allows."""
    assert _name("train/loss") == "train/loss"
    assert _name("../../x") == "_/_/x"
    assert _name("a\nb|c") == "a_b_c"
    assert len(_name("x" * 900)) == 250
