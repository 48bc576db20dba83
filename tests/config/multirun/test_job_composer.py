"""Jobs composed in bulk are what Hydra would have composed one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from expkit.config.compose import prepare_hydra
from expkit.config.multirun.job_composer import JobComposer
from expkit.config.paths import builtin_conf

WORDS = (
    *("seed=1", "seed=2", "optimizer.lr=0.1", "optimizer.lr=${seed}", "+optimizer.amsgrad=true"),
    *("model=deep_head", "model.widths=[4,8]", "model=resnet18", "optimizer=sgd", "~schedule"),
    *("~procedure.overfit_1", "+stage@procedure.more=evaluate", "experiment=puzzle_deep_head"),
    *("augment=light", "'name=\"a b\"'", "++model.depth=3", "dataset={rows: 2}", "criteria=none"),
    *("diagnosis.ignore=[]", "hydra.job.env_set={A: b}", "trust=[a,b]", "launcher.jobs=2"),
)


@pytest.fixture
def master() -> Iterator[DictConfig]:
    """As Hydra hands it to a launcher."""
    prepare_hydra()
    setup_globals()
    with initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = ["hydra.sweep.dir=somewhere"]
        yield loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN)


@pytest.mark.slow
def test_any_words_compose_to_what_hydra_makes_of_them(master: DictConfig) -> None:
    """Hydra's own node included, its overrides and names; what one refuses, the other does."""
    draw = random.Random(0)
    loader = GlobalHydra.instance().config_loader()
    composer = JobComposer(loader, master)
    num_composed = 0
    for _ in range(25):
        words = draw.sample(WORDS, draw.randint(0, 4))
        try:
            expected = loader.load_sweep_config(master, words)
        except Exception as error:
            with pytest.raises(type(error)):
                composer.compose(words)
            continue
        num_composed += 1
        found = composer.compose(words)
        assert OmegaConf.to_container(found) == OmegaConf.to_container(expected), words
        assert found.__dict__["_metadata"].flags == expected.__dict__["_metadata"].flags
    assert num_composed > 10


def test_a_job_does_not_change_the_next(master: DictConfig) -> None:
    """Each has a copy of what they share."""
    composer = JobComposer(GlobalHydra.instance().config_loader(), master)
    assert composer.compose(["seed=5"]).seed == 5
    assert composer.compose([]).seed == 0
