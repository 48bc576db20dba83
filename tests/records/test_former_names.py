"""Run folders of earlier versions open under the names that things have now."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import yaml

from expkit.diagnosis.examine import load_rules
from expkit.records.former_names import MODULES, RULES, with_present_fields
from expkit.records.run.reader import Run

FORMER = {
    "dataset": {"_target_": "expkit.data.digits.Digits", "normalise": "none"},
    "augment": {"_target_": "my.augment.Flip", "normalise": True},
    "diagnosis": {"ignore": ["constant_pictures", "dead_units"]},
    "model": {"_target_": "my.net.Net", "layers": [{"_target_": "expkit.data.digits.Digits"}]},
    "procedure": {"train": {"_target_": "expkit.procedures.training.Training", "max_epochs": 3}},
}


def test_targets_of_an_earlier_version_have_their_present_names(tmp_path: Path) -> None:
    """Also deep within a part; what is not expkit's keeps its name, and the file is left alone."""
    text = yaml.safe_dump(FORMER)
    (tmp_path / "config.yaml").write_text(text)
    run = Run(tmp_path)
    assert run.config["dataset"]["_target_"] == "expkit.data.datasets.digits.Digits"
    assert run.config["model"]["_target_"] == "my.net.Net"
    assert run.config["dataset"]["normalize"] == "none"
    assert run.config["augment"] == {"_target_": "my.augment.Flip", "normalise": True}
    assert run.config["diagnosis"] == {"ignore": ["constant_images", "dead_units"]}
    layers = run.config["model"]["layers"]
    assert layers == [{"_target_": "expkit.data.datasets.digits.Digits"}]
    training = run.config["procedure"]["train"]
    assert training == {
        "_target_": "expkit.runner.stages.training.Training",
        "max_epochs": 3,
    }
    assert run.recorded_config == FORMER
    assert (tmp_path / "config.yaml").read_text() == text


def test_overrides_of_an_earlier_version_have_the_keys_of_today(tmp_path: Path) -> None:
    """A part of one's own keeps the keys that it has."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(FORMER))
    words = ["dataset.normalise=none", "augment.normalise=true", "name=dataset.normalise", "seed=1"]
    (tmp_path / "overrides.yaml").write_text(yaml.safe_dump(words))
    assert Run(tmp_path).overrides == ["dataset.normalize=none", *words[1:]]


def test_every_present_name_exists() -> None:
    """A former name leads to a module, or to a rule of diagnosis, that is there."""
    for module in MODULES.values():
        import_module(module)
    assert set(RULES.values()) <= load_rules().keys()


def test_fields_of_an_earlier_version_have_their_present_names() -> None:
    """At any depth; what is no field keeps its name, and so do values."""
    former = {
        "kind": "dataset",
        "splits": {"val": {"constant_pictures": {"count": 1, "names": ["picture"]}}},
        "layouts": [{"picture": "pictures/train.jpg", "cells": [1, 0]}],
    }
    assert with_present_fields(former) == {
        "kind": "dataset",
        "splits": {"val": {"constant_images": {"count": 1, "names": ["picture"]}}},
        "layouts": [{"image": "pictures/train.jpg", "cells": [1, 0]}],
    }
    sweep = {"kind": "rates", "rates": [0.1, 0.2], "stage": "preflight"}
    lr_range_test = {"kind": "lr_range_test", "lrs": [0.1, 0.2], "stage": "preflight"}
    assert with_present_fields(sweep) == lr_range_test
