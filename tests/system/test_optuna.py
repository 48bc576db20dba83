"""`hydra/sweeper=optuna` as its user meets it."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from running_expkit import TINY_GATES, Expkit

from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import Job

HAS_OPTUNA = find_spec("optuna") is not None
needs_optuna = pytest.mark.skipif(
    not HAS_OPTUNA, reason='Optuna is not installed: pip install "expkit[optuna]"'
)
SEARCH = (
    *("train", "-m", "hydra/sweeper=optuna", *TINY_GATES, "procedure=full"),
    *("optimizer.lr=tag(log,interval(1e-4,1e-1))", "launcher.jobs=2"),
)


def jobs_of(folder: Path) -> list[Job]:
    (path,) = folder.glob("outputs/*_sweep")
    return Sweep(path).jobs


def test_without_optuna_it_is_said_how_to_install_it(
    run_here: Expkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one screen, and no folder is left."""
    monkeypatch.setattr("expkit.config.compose.find_spec", lambda name: None)
    done = run_here(*SEARCH)
    assert done.code == 2
    assert "'optuna' is not installed" in done.err
    assert 'pip install "expkit[optuna]"' in done.err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
@needs_optuna
def test_trials_are_jobs_and_the_best_is_named(expkit: Expkit, tmp_path: Path) -> None:
    """Each with a rate of its own; nothing but the sweep's folder is left, and Optuna is quiet."""
    done = expkit(*SEARCH, "procedure.train.max_epochs=3", "hydra.sweeper.n_trials=3")
    assert done.code == 0, done.err
    jobs = jobs_of(tmp_path)
    rates = [job.config["optimizer"]["lr"] for job in jobs]
    assert len(set(rates)) == 3
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert [job.status for job in jobs] == ["finished"] * 3
    assert "best     trial" in done.out
    assert "again    expkit train optimizer.lr=" in done.out
    assert "[I " not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert not list(tmp_path.rglob("multirun.yaml"))


@pytest.mark.slow
@needs_optuna
def test_bad_trials_are_stopped_early(expkit: Expkit, tmp_path: Path) -> None:
    """A rate of 1e-9 learns nothing, and need not be watched for 3,000 epochs to know it."""
    done = expkit(
        *SEARCH,
        "optimizer.lr=1e-2,1e-9",
        "hydra/sweeper/sampler=grid",
        *("procedure.train.max_epochs=3000", "procedure.train.stop_at={loss: '< 0.05'}"),
        *("sweep.objective=train/log_loss", "hydra.sweeper.n_jobs=1"),
        *("hydra.sweeper.pruner.n_startup_trials=1", "hydra.sweeper.pruner.n_warmup_steps=3"),
    )
    assert done.code in (0, 1), done.err
    by_rate = {job.config["optimizer"]["lr"]: job for job in jobs_of(tmp_path)}
    assert by_rate[1e-2].status == "finished"
    assert by_rate[1e-9].status == "pruned"
    run = by_rate[1e-9].run
    assert run is not None
    assert 3 <= len(run.history) < 3000
    assert "(1 pruned)" in done.out


@pytest.mark.slow
@needs_optuna
def test_a_failed_trial_is_not_the_end_of_the_study(expkit: Expkit, tmp_path: Path) -> None:
    """A metric that no run has is no figure; the search goes on to its last trial and says so."""
    done = expkit(
        *SEARCH,
        *("procedure.train.max_epochs=2", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1"),
        "sweep.objective=val/accuracy",
    )
    assert done.code == 0, done.err
    assert len(jobs_of(tmp_path)) == 2
    assert "no trial of 2 has a figure for val/accuracy" in done.out


@pytest.mark.slow
@needs_optuna
def test_a_resumed_search_knows_its_trials(expkit: Expkit, tmp_path: Path) -> None:
    """What is done stays, what failed runs again with its values, and what is missing is new."""
    words = ("procedure.train.max_epochs=2", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=3")
    done = expkit(*SEARCH, *words, "hydra.sweeper.sampler.seed=1")
    assert done.code == 0, done.err
    (sweep,) = tmp_path.glob("outputs/*_sweep")
    done_job, failed, forgotten = Sweep(sweep).jobs
    plan = (sweep / "plan.jsonl").read_text().splitlines()
    (sweep / "plan.jsonl").write_text("\n".join(plan[:2]) + "\n")
    (sweep / "jobs" / f"{forgotten.id}.jsonl").unlink()
    assert failed.run is not None
    shutil.rmtree(failed.run.path)
    event = {"event": "ended", "at": 0, "status": "raised", "reason": "x", "exit_code": 1}
    (sweep / "jobs" / f"{failed.id}.jsonl").write_text(json.dumps(event) + "\n")

    done = expkit("resume", str(sweep))
    assert done.code == 0, done.err
    assert "ExperimentalWarning" not in done.err
    first, second, third = Sweep(sweep).jobs
    assert first.events == done_job.events
    assert second.id == failed.id
    assert second.status == "finished"
    assert third.id != forgotten.id
    assert third.status == "finished"


@pytest.mark.slow
@needs_optuna
@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("optimizer.lr=0.1", "nothing is searched"),
        ("hydra.sweeper.direction=up", "a search has one direction"),
        ("optimizer.lrr=interval(0,1)", "lrr"),
        ("model.dropout=interval(0.0,2.0)", "model.dropout cannot be 2.0"),
        ("sweep.objective=held_out/acuracy", "nearest  held_out/accuracy"),
        ("sweep.objective=test/accuracy", "sweep.objective=accuracy"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    word: str, what: str, expkit: Expkit, tmp_path: Path
) -> None:
    """On one screen, and no folder is left."""
    words = [each for each in SEARCH if not each.startswith("optimizer.lr=")]
    done = expkit(*words, word)
    assert done.code == 2
    assert what in done.err
    assert not (tmp_path / "outputs").exists()


@needs_optuna
@pytest.mark.parametrize(
    ("gpus", "device", "jobs", "expected"),
    [("0,1", "auto", "auto", 2), ("0,1", "cuda", 1, 1), ("", "cpu", "auto", 3), ("", "cpu", 5, 5)],
)
def test_a_batch_is_what_runs_side_by_side(
    gpus: str, device: str, jobs: int | str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By GPUs where jobs take them, else by cores, on every system that tells of its cores."""
    from omegaconf import OmegaConf

    from hydra_plugins.expkit._search import num_at_once

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    config = {
        "device": {"name": device, "threads": None},
        "launcher": {"jobs": jobs, "jobs_per_device": 1},
        "hydra": {"sweeper": {"n_trials": 20}},
    }
    assert num_at_once(OmegaConf.create(config)) == expected


@pytest.mark.slow
@needs_optuna
def test_a_grid_tries_every_combination_in_the_order_of_the_words(
    expkit: Expkit, tmp_path: Path
) -> None:
    """Each once, however many trials were asked for."""
    words = [each for each in SEARCH if not each.startswith("optimizer.lr=")]
    values = ("optimizer.lr=1e-2,1e-3", "seed=2,1", "hydra/sweeper/sampler=grid")
    done = expkit(*words, *values, "procedure.train.max_epochs=1", "hydra.sweeper.n_jobs=4")
    assert done.code == 0, done.err
    tried = [(job.config["optimizer"]["lr"], job.config["seed"]) for job in jobs_of(tmp_path)]
    assert tried == [(1e-2, 2), (1e-2, 1), (1e-3, 2), (1e-3, 1)]
