"""`expkit train -m +ablation=...` as its user meets it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from running_expkit import TINY, Expkit

from expkit.commands import train
from expkit.config.multirun.hydra_task import Outcome
from expkit.config.run_request import Request
from expkit.records.sweep.ablation_claims import parse_claims
from expkit.records.sweep.folder import Sweep

ABLATION = """# @package _global_
# What the repairs are worth
defaults:
  - override /experiment: puzzle_deep_head_repaired
  - _self_

ablation:
  changes:
    default_init: {model.init: default}
    small_head: {model.hidden: [8]}
  claims: {small_head: "< 0", every: "> -0.01"}
  seeds: [0, 1]
"""
WORDS = ("train", "-m", "+ablation=mine", *TINY, "procedure=full", "launcher.jobs=1")


def write_ablation(folder: Path) -> None:
    (folder / "conf" / "ablation").mkdir(parents=True)
    (folder / "conf" / "ablation" / "mine.yaml").write_text(ABLATION)


@pytest.mark.slow
def test_the_recipe_and_each_change_alone_run_over_the_seeds(
    run_here: Expkit, tmp_path: Path
) -> None:
    """Each job knows its change; its run has the change's value, and can be repeated alone."""
    write_ablation(tmp_path)
    done = run_here(
        *WORDS, "~ablation.changes.small_head", "+ablation.changes.x={model.norm: batch}"
    )
    assert done.code in (0, 1), done.err  # the recipe has criteria
    (path,) = tmp_path.glob("outputs/*_sweep")
    jobs = Sweep(path).jobs
    told = [
        (job.change, job.config["seed"], job.config["model"]["init"], job.config["model"]["norm"])
        for job in jobs
    ]
    assert told == [
        (None, 0, "kaiming", "none"),
        ("default_init", 0, "default", "none"),
        ("x", 0, "kaiming", "batch"),
        (None, 1, "kaiming", "none"),
        ("default_init", 1, "default", "none"),
        ("x", 1, "kaiming", "batch"),
    ]
    assert {job.status for job in jobs} == {"finished"}
    assert Sweep(path).metadata["claims"] == {"small_head": "< 0", "every": "> -0.01"}
    page = (path / "sweep.md").read_text()
    assert "## The hypothesis" in page
    assert "| small_head | hurts | - | - | not decided |" in page
    assert jobs[1].run is not None
    assert jobs[1].run.overrides[-1] == "model.init=default"
    assert not any("ablation.change=" in word for word in jobs[1].run.overrides)
    assert "ablation" not in jobs[1].run.config


@pytest.mark.slow
def test_a_change_that_cannot_be_is_refused_once_and_named(
    run_here: Expkit, tmp_path: Path
) -> None:
    """Before the first job, and no folder is left."""
    write_ablation(tmp_path)
    done = run_here(*WORDS, "+ablation.changes.x={model.widht: 3}")
    assert done.code == 2
    assert done.err.count("expkit:") == 1
    assert "there is no key 'model.widht'" in done.err
    assert "the ablation's change 'x'" in done.err
    done = run_here(*WORDS, "+ablation.changes.x={model.init: kaiming}")
    assert done.code == 2
    assert "the change 'x' changes nothing of the recipe" in done.err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.broad(1)
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("+ablation.claims.smal_head='> 0'", "nearest  small_head"),
        ("ablation.claims.every='about 0'", "the claim 'about 0' cannot be read"),
        ("ablation.claims=3", "ablation.claims"),
    ],
)
def test_a_claim_that_judges_nothing_is_refused(
    run_here: Expkit, tmp_path: Path, word: str, said: str
) -> None:
    """One screen before the first job, and no folder is left."""
    write_ablation(tmp_path)
    done = run_here(*WORDS, word)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_without_a_sweep_the_recipe_itself_runs(run_here: Expkit, tmp_path: Path) -> None:
    """The word is a way to name the recipe, too."""
    write_ablation(tmp_path)
    done = run_here("train", "+ablation=mine", *TINY, "procedure=full")
    assert done.code == 0, done.err
    (run,) = tmp_path.glob("outputs/2*")
    assert run.name.endswith("_puzzle_deep_head_repaired")


@pytest.mark.broad(1)
@pytest.mark.parametrize("name", ["puzzle_repairs", "scan_line"])
def test_the_ablations_that_ship_compose(
    name: str, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job of theirs is right, though none is run here."""
    planned: list[Request] = []

    def keep(requests: Sequence[Request]) -> list[Outcome]:
        planned.extend(requests)
        return [Outcome(0, None)] * len(requests)

    monkeypatch.setattr(train, "run_jobs", keep)
    done = run_here("train", "-m", f"+ablation={name}")
    assert done.code == 0, done.err
    changes = {request.change for request in planned}
    assert None in changes
    assert len(planned) == 3 * len(changes)
    ablation = planned[0].ablation
    claims = parse_claims(ablation["claims"], ablation["changes"])
    assert len(claims) == len(changes) - 1
