"""A config that is used holds no interpolation: checked values are the values that are built."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from expkit.config.compose import change_parts
from expkit.config.instantiate import build_part
from expkit.config.multirun.recorded_overrides import may_run_code
from expkit.config.targets.check import check_part
from expkit.errors import UserError

RUN_CODE = "${oc.create:{_target_:pandas.read_pickle,filepath_or_buffer:x}}"


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "expkit.data.datasets.image_folder.ImageFolder", "root": RUN_CODE},
        {"_target_": "expkit.data.datasets.image_folder.ImageFolder", "root": "a${oc.env:HOME}"},
        {"_target_": "expkit.data.datasets.image_folder.ImageFolder", "${oc.env:HOME}": 1},
        {"_target_": "expkit.data.datasets.image_folder.ImageFolder", "size": [1, "${seed}"]},
        {
            "_target_": "expkit.data.datasets.image_folder.ImageFolder",
            "more": {"deep": [{"a": "${x}"}]},
        },
    ],
)
def test_interpolations_are_refused_at_each_way_in(
    node: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking, building and changing a recorded part refuse it, and resolve nothing of it."""
    monkeypatch.setenv("HOME", "a secret")
    for use in (
        lambda: check_part(node, "dataset"),
        lambda: build_part(node, "dataset"),
        lambda: change_parts({"dataset": node}, ["dataset.limit=3"]),
    ):
        with pytest.raises(UserError, match="no plain value") as caught:
            use()
        assert "a secret" not in caught.value.screen()


@pytest.mark.parametrize(
    ("word", "is_refused"),
    [
        ("dataset.split_seed=${seed}", False),  # another key's value: a sweep over seeds says so
        ("name='run_${model.width}'", False),
        ("name=${oc.env:HOME}", True),
        ("dataset.root=${oc.create:{_target_:os.system}}", True),
        ("name='${oc.decode:${oc.env:HOME}}'", True),
        ("+model=${oc.env:HOME}", True),
    ],
)
def test_words_of_a_recorded_sweep_ask_no_resolver(word: str, is_refused: bool) -> None:
    """Resuming a stranger's sweep composes its words again, which must not read the environment."""
    assert may_run_code(word) is is_refused
