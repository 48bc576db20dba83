"""Where a run was made: versions, command, cluster job, and the state of the code around it."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from pathlib import Path

import pytest
import torch

from expkit.records.run.environment import describe_environment, describe_git


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in no repository, where git reads nobody's settings."""
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    folder = tmp_path / "code"
    folder.mkdir()
    return folder


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=N", "-c", "user.email=n@n", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *author, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(alone: Path) -> Path:
    """One file in one commit."""
    git(alone, "init", "-q")
    (alone / "model.py").write_text("width = 1\n")
    git(alone, "add", ".")
    git(alone, "commit", "-qm", "first")
    return alone


def test_clean_repository(repository: Path) -> None:
    """The whole hash of the commit, from a folder within it too."""
    commit = git(repository, "rev-parse", "HEAD")
    assert len(commit) == 40
    (repository / "inner").mkdir()
    for folder in (repository, repository / "inner"):
        assert describe_git(folder) == {"commit": commit, "dirty": False}


@pytest.mark.parametrize("change", ["edited", "staged", "untracked", "deleted"])
def test_dirty_repository(repository: Path, change: str) -> None:
    """Any change since the commit means that the commit does not say what ran."""
    if change == "untracked":
        (repository / "new.py").touch()
    elif change == "deleted":
        (repository / "model.py").unlink()
    else:
        (repository / "model.py").write_text("width = 2\n")
    if change == "staged":
        git(repository, "add", ".")
    described = describe_git(repository)
    assert described == {"commit": git(repository, "rev-parse", "HEAD"), "dirty": True}


def test_ignored_files_are_no_change(repository: Path) -> None:
    """Runs themselves lie in outputs/, which a project's .gitignore names."""
    (repository / ".gitignore").write_text("outputs/\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "second")
    (repository / "outputs").mkdir()
    (repository / "outputs" / "run").touch()
    described = describe_git(repository)
    assert described is not None
    assert not described["dirty"]


def test_no_repository(alone: Path) -> None:
    """Code that is in no repository has no commit."""
    assert describe_git(alone) is None


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git still runs."""
    monkeypatch.setenv("PATH", "")
    assert describe_git(repository) is None


def test_slow_git_is_not_waited_for(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository on a hanging disk does not hang the run."""

    def hang(*args: object, timeout: float, **options: object) -> None:
        assert timeout <= 10
        raise subprocess.TimeoutExpired("git", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert describe_git(repository) is None


def test_environment_tells_all_that_a_reader_needs(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command, device, versions, time with its zone and code; and it is plain JSON."""
    monkeypatch.chdir(repository)
    for variable in ("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_NODELIST"):
        monkeypatch.delenv(variable, raising=False)
    described = describe_environment(["expkit", "train", "seed=1"], "cpu (asked for)", "abc")
    assert json.loads(json.dumps(described)) == described
    assert described["command"] == ["expkit", "train", "seed=1"]
    assert described["device"] == "cpu (asked for)"
    assert described["config_hash"] == "abc"
    assert described["versions"]["python"] == platform.python_version()
    assert described["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert datetime.datetime.fromisoformat(described["started"]).tzinfo is not None
    assert described["git"] == describe_git(repository)
    assert "slurm" not in described


def test_cluster_job_is_recorded(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM's own names for the job, and no other variable, which might be a secret."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    described = describe_environment([], "cpu", "abc")
    assert described["slurm"]["SLURM_JOB_ID"] == "77"
    assert "hidden" not in json.dumps(described)


def test_repository_without_a_commit(tmp_path: Path) -> None:
    """`git init` alone has no commit, and its hash is not '(initial)'."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert describe_git(tmp_path) == {"commit": None, "dirty": False}
