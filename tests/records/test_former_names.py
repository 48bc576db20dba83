"""Run folders of earlier versions open under the names that things have now."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import yaml

from expkit.records.former_names import MODULES, with_present_fields
from expkit.records.run.reader import Run

FORMER = {
    "dataset": {"_target_": "expkit.data.digits.Digits"},
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
    layers = run.config["model"]["layers"]
    assert layers == [{"_target_": "expkit.data.datasets.digits.Digits"}]
    training = run.config["procedure"]["train"]
    assert training == {
        "_target_": "expkit.runner.stages.training.Training",
        "max_epochs": 3,
    }
    assert run.recorded_config == FORMER
    assert (tmp_path / "config.yaml").read_text() == text


def test_every_present_name_exists() -> None:
    """A former name leads to a module that is there."""
    for module in MODULES.values():
        import_module(module)


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
