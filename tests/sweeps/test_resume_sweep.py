"""Which words of a recorded sweep are taken for the user's own when it is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.files import write_json
from expkit.records.sweep.folder import Sweep
from expkit.sweeps.resume_sweep import _harmless, resume_sweep

SWEEP = Sweep(Path("outputs/a_sweep"))


@pytest.mark.parametrize(
    "word",
    [
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=20", "hydra.sweeper.sampler.seed=-1e3"),
        *("hydra/sweeper/sampler=random", "hydra.sweeper.direction=minimize"),
        *("hydra/launcher=submitit_slurm", "hydra/launcher='ray'", "hydra/launcher=joblib"),
        *("hydra.launcher.partition=gpu", "hydra.launcher.account='my group'"),
        *("hydra.launcher.gres='gpu:a100:1'", "hydra.launcher.mem_per_cpu=4G"),
        *("hydra.launcher.timeout_min=60", "hydra.launcher.stderr_to_stdout=true"),
        *("hydra.launcher.exclude='node[1-4]'", "hydra.launcher.setup=null"),
        *("output_dir=../elsewhere", "dataset.root=/data/set", "+transform@augment.transforms.x=y"),
        *("model=small,'large'", "seed=range(0,8)", "~criteria", "+ablation=puzzle_repairs"),
    ],
)
def test_what_names_no_code_needs_no_word_of_trust(word: str) -> None:
    """A choice that is shipped, a number, and what an engine is asked for build nothing."""
    assert list(_harmless([word], SWEEP, [])) == ["-m", word]


@pytest.mark.parametrize(
    "word",
    [
        *("--config-dir=/tmp/evil", "-cd", "--config-path=/tmp/evil", "--info"),
        *("hydra.sweeper.pruner._target_=os.system", "+hydra.launcher._target_=os.system"),
        *("hydra.sweeper.n_trials={_target_: os.system}", "hydra.sweeper.storage=1e5.db"),
        *("hydra.searchpath=[/tmp/evil]", "hydra/job_logging=evil"),
        *("hydra/launcher=../../../../tmp/evil", "hydra/launcher='/tmp/evil'"),
        *("hydra/launcher=evil", "hydra/launcher=basic,evil", "hydra/sweeper=[expkit,evil]"),
        *("hydra/launcher@hydra.sweeper=basic", "hydra/sweeper/sampler=../evil"),
        *("+model@hydra.launcher=small", "+@hydra.launcher=evil", "+@_global_=evil"),
        *("+__pycache__=../../tmp/evil", "+model=/tmp/evil", "model=small,'../../evil'"),
        *("hydra.launcher.setup=[evil]", "hydra.launcher.additional_parameters={wrap: evil}"),
        *("+hydra.launcher.python=evil", "hydra.launcher.ray.init.address='ray://evil:1'"),
        *("hydra.launcher.account='a\nevil'", "hydra.launcher.partition='$(evil)'"),
        *("hydra.launcher.partition={_target_: evil}", "hydra.launcher.submitit_folder=x"),
        *("hydra.job.env_set.PATH=evil", "what is no word"),
    ],
)
def test_what_could_name_code_needs_the_users_word(word: str) -> None:
    """Whoever began the sweep may be a stranger, and each of these is a door."""
    with pytest.raises(UserError, match="could run code"):
        list(_harmless([word], SWEEP, []))
    assert list(_harmless([word], SWEEP, ["hydra"])) == ["-m", word]


@pytest.mark.parametrize(
    "word",
    [
        "trust=[os]",
        "+trust=[os]",
        "++trust.0=os",
        "~trust",
        "hydra.sweep.dir=/evil",
        "hydra.mode=MULTIRUN",
    ],
)
def test_whom_a_stranger_trusts_is_not_passed_on(word: str) -> None:
    """The words that are the user's to say are left out, whatever else is trusted."""
    assert list(_harmless(["--multirun", word, "seed=1"], SWEEP, ["hydra"])) == ["-m", "seed=1"]


@pytest.mark.parametrize("failed", [True, False])
def test_a_search_chooses_its_trials_itself(failed: bool, tmp_path: Path) -> None:
    """Trials were planned that then did not run: told as failed, and still waiting."""
    write_json(tmp_path / "sweep.json", {"command": ["expkit", "train", "hydra/sweeper=optuna"]})
    with pytest.raises(UserError, match="is the search's to choose"):
        resume_sweep(Sweep(tmp_path), [], failed=failed, missing=not failed)
