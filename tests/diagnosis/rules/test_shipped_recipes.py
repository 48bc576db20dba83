"""Every rule beside real records of everything that ships: none may fail on any of it.

The recipes are trained as they are but for their size: a few small images, three epochs, and
timm's nets for tests in place of the large ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from running_expkit import Expkit, only_run

from expkit.config.paths import builtin_conf, list_choices
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import FAILED, ask, load_rules
from expkit.records.run.reader import Run

pytestmark = pytest.mark.slow

RECIPES = sorted(list_choices("experiment", [builtin_conf()]))
PROCEDURES = sorted(list_choices("procedure", [builtin_conf()]))
ABLATIONS = sorted(list_choices("ablation", [builtin_conf()]).items())
PHASES = ("warmup", "sam", "ranger", "sgd")
TRAINS = {
    "two_stage": ("binary", "three_way"),
    "frozen_then_full": ("head", "full"),
    "overfit": (),
    "phased": PHASES,
    "simclr": ("pretrain",),
    "simclr_then_full": ("pretrain", "train"),
    "simclr_then_phased": ("pretrain", *PHASES),
}
SHORT_WARMUP = "procedure.warmup.schedule.warmup_epochs=1"
# a gate that must pass would take most of the time; `overfit` has them both
NO_GATES = ("~procedure.overfit_1", "~procedure.overfit_10")
QUICK = "procedure.preflight.max_seconds=0.2"
# built like the large ones: their layers have the same names
TINY_NETS = {
    "resnet": "test_resnet",
    "convnext": "test_convnext3",
    "dinov2": "test_vit",
    "efficientnet": "test_efficientnet",
    "mobilenet": "test_efficientnet",
}


@pytest.fixture(scope="module")
def pits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of the cherry recipes' two classes in train and val."""
    root, rng = tmp_path_factory.mktemp("pits"), np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 8)):
        for label, name in enumerate(("cherry_clean", "cherry_pit")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 120, (16, 16, 3), np.uint8) + 100 * label
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root


def trained(run_here: Expkit, folder: Path, *words: str) -> Run:
    done = run_here("train", *words, "device.threads=1")
    assert done.code in (0, 1), done.out + done.err
    assert FAILED not in done.out, done.out  # while it ran
    return Run(only_run(folder))


def failed_rules(run: Run) -> list[str]:
    """Every rule is asked, also one that the config leaves out or that another one explains."""
    evidence = Evidence.of(run)
    found = (each for name, rule in load_rules().items() for each in ask(name, rule, evidence))
    return [str(each.evidence) for each in found if each.rule == FAILED]


def made_small(recipe: str, pits: Path) -> list[str]:
    """The words that make a recipe as small as it can be and still be itself."""
    stages: tuple[str, ...] = ("train",)
    if recipe.endswith("two_stage"):
        stages = TRAINS["two_stage"]
    if recipe == "logo_vit_plan":
        stages = TRAINS["simclr_then_phased"]
    sizes = ("max_epochs=3", "batch_size=12")
    words = [f"procedure.{name}.{size}" for name in stages for size in sizes]
    if recipe not in ("scan_line_baseline", "logo_efficientnet"):
        words += [*NO_GATES, QUICK]
    if recipe.startswith("puzzle"):
        return [*words, "dataset.rows=3", "dataset.columns=4", "dataset.piece_size=16"]
    if recipe.startswith("scan_line"):
        words += ["schedule.warmup_epochs=1", "dataset.num_samples=80", "dataset.size=16"]
        return [*words, "model.width=16", "model.heads=2", "model.feed_forward=32"]
    if recipe.startswith("logo"):
        words += ["dataset.num_per_class=10", "dataset.size=32"]
        words += [SHORT_WARMUP] if recipe == "logo_vit_plan" else []
        words += ["schedule.warmup_epochs=1"] if recipe != "logo_efficientnet" else []
        tiny = [f"model.name={net}" for part, net in TINY_NETS.items() if part in recipe]
        return [*words, *tiny]
    assert recipe.startswith("cherry"), f"say here how {recipe} is made small"
    size = 32 if "convnext" in recipe else "null"  # it halves its images five times
    words += [f"dataset.root={pits}", f"dataset.size={size}"]
    tiny = [f"model.name={net}" for part, net in TINY_NETS.items() if part in recipe]
    return [*words, *tiny, *(["model.pretrained=false"] if tiny else [])]


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_rule_fails_on_a_recipe(
    recipe: str, run_here: Expkit, tmp_path: Path, pits: Path
) -> None:
    """Neither while it trains nor over its records."""
    run = trained(run_here, tmp_path, f"experiment={recipe}", *made_small(recipe, pits))
    assert run.history
    assert failed_rules(run) == []


@pytest.mark.parametrize("name", PROCEDURES)
def test_no_rule_fails_on_a_procedure(name: str, run_here: Expkit, tmp_path: Path) -> None:
    """Nor on the run that evaluates its weights, which has the labels of a stage and no stage."""
    stages = TRAINS.get(name, ("train",))
    words = [f"procedure={name}", *(f"procedure.{each}.max_epochs=3" for each in stages)]
    words += NO_GATES if name not in ("overfit", "full", "simclr") else []
    words += [QUICK] if name not in ("overfit", "full") else []
    words += [SHORT_WARMUP] if "warmup" in stages else []
    words += ["procedure.collect.num_folds=2"] if name == "two_stage" else []
    digits = ("dataset=digits", "dataset.limit=12", "criteria=none", "model.norm=batch")
    run = trained(run_here, tmp_path, *digits, *words)
    assert failed_rules(run) == []
    if name == "two_stage":
        assert run.labels is not None
        assert run_here("evaluate", run.name, "--name", "again").code == 0
        (again,) = run.path.parent.glob("*_again")
        assert failed_rules(Run(again)) == []


@pytest.mark.parametrize(
    "words",
    [
        ("dataset.target=position", "loss=mse", "criteria=regression"),
        ("dataset.target=rotation", "loss=focal", "augment=mixup"),
        ("procedure.train.balanced_sampling=true", "procedure.train.ema_decay=0.5"),
    ],
    ids=lambda words: words[0],
)
def test_no_rule_fails_on_other_targets_and_draws(
    words: tuple[str, ...], run_here: Expkit, tmp_path: Path
) -> None:
    """Numbers have no classes, and drawn samples are no split."""
    puzzle = ("dataset.rows=3", "dataset.columns=4", "dataset.piece_size=16")
    small = (*puzzle, *NO_GATES, QUICK, "procedure.train.max_epochs=3", "criteria=none")
    assert failed_rules(trained(run_here, tmp_path, *small, *words)) == []


@pytest.mark.parametrize(("name", "path"), ABLATIONS)
def test_an_ablation_starts_from_a_recipe_that_is_asked(name: str, path: Path) -> None:
    """So that the rules are asked of it above."""
    defaults = yaml.safe_load(path.read_text())["defaults"]
    (base,) = [each["override /experiment"] for each in defaults if isinstance(each, dict)]
    assert base in RECIPES
