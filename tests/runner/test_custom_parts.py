"""Parts of a user's own in the roles that they can play, and the screen for those that cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from running_expkit import Expkit
from torch import nn

from expkit.augment.pipeline import Augmentation
from expkit.data.datasets.torch_dataset import OwnDataset
from expkit.errors import UserError
from expkit.optim.torch_schedule import TorchSchedule
from expkit.runner.components import make_model
from expkit.runner.custom_parts import (
    WANTED,
    as_augmentation,
    as_dataset,
    as_schedule,
    refuse_listed_weights,
    require,
    wrong_part,
)

NODE = {"_target_": "mine.Part"}


class Inverted(nn.Module):
    """White becomes black."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 1 - images


def test_a_list_of_samples_is_a_dataset_and_a_source_stays_one() -> None:
    """Whatever can be indexed is read; what reads by itself is asked to."""
    own = as_dataset([(1, 2)], NODE)
    assert isinstance(own, OwnDataset)
    assert as_dataset(own, NODE) is own


def test_a_module_is_an_augmentation_that_keeps_the_range() -> None:
    """It is tried on made-up images as every transform is."""
    augmentation = as_augmentation(Inverted(), NODE)
    assert isinstance(augmentation, Augmentation)
    assert as_augmentation(augmentation, NODE) is augmentation
    augmentation.check((3, 4, 4))
    images = torch.rand(2, 3, 4, 4)
    assert torch.allclose(augmentation(images), 1 - images)
    with pytest.raises(UserError, match="augment cannot augment these images") as caught:
        as_augmentation(nn.Flatten(), NODE).check((3, 4, 4))
    assert caught.value.details["where"] == "augment (Flatten)"
    assert caught.value.details["do"] == "expkit train ... augment=none"


def test_a_scheduler_of_torch_is_a_schedule() -> None:
    """As a partial of its class, which `_partial_: true` makes of it."""
    schedule = as_schedule(torch.optim.lr_scheduler.ConstantLR, NODE, 0.1)
    assert isinstance(schedule, TorchSchedule)
    assert schedule.scale(0.5, 3) == pytest.approx(1 / 3)  # ConstantLR's own factor


@pytest.mark.parametrize(
    ("key", "take"),
    [
        ("dataset", lambda built: as_dataset(built, NODE)),
        ("augment", lambda built: as_augmentation(built, NODE)),
        ("schedule", lambda built: as_schedule(built, NODE, 0.1)),
        ("device", lambda built: require(built, "device", NODE, "open")),
        ("procedure.mine", lambda built: require(built, "procedure.mine", NODE, "check", "run")),
    ],
)
def test_what_cannot_play_a_part_is_refused_with_what_is_wanted(key: str, take: Any) -> None:
    """One screen, where an attribute of expkit's own classes was missed in a traceback."""
    with pytest.raises(UserError, match=f"{key} cannot be a int") as caught:
        take(3)
    assert caught.value.details["where"] == f"{key}._target_=mine.Part"
    assert caught.value.details["allowed"] == WANTED[key.partition(".")[0]]


def test_every_screen_of_a_wrong_part_is_one_screen() -> None:
    """The words of each role fit."""
    for key in WANTED:
        assert len(wrong_part(key, 3, NODE).screen().splitlines()) <= 10


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    """What is built and cannot be called, and what answers with something else."""
    for target, kind in (("builtins.object", "object"), ("builtins.dict", "dict")):
        node = {"_target_": target, **({"_partial_": True} if kind == "dict" else {})}
        with pytest.raises(UserError, match=f"model cannot be a {kind}"):
            make_model(node, ["builtins"], image_shape=(3, 4, 4), num_outputs=2)


def test_weights_in_a_yaml_are_for_expkits_own_loss() -> None:
    """Torch wants a tensor, and failed at `cannot assign 'list' object to buffer`."""
    with pytest.raises(UserError) as caught:
        refuse_listed_weights({"_target_": "torch.nn.CrossEntropyLoss", "weight": [1, 2]})
    assert "'loss.class_weights=[1,2]'" in str(caught.value.details["do"])


def test_a_known_class_in_a_wrong_role_is_refused_before_torch(tmp_path: Path) -> None:
    """The list of what can play a part needs no import."""
    (tmp_path / "conf/dataset").mkdir(parents=True)
    (tmp_path / "conf/dataset/odd.yaml").write_text(
        "_target_: torch.nn.Linear\nin_features: 2\nout_features: 3\n"
    )
    code = (
        "import sys; from expkit.cli import dispatch; code = dispatch(['train', 'dataset=odd']);"
        "print('torch' in sys.modules); sys.exit(code)"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (2, "False")
    assert done.stderr.startswith("expkit: dataset cannot be torch.nn.Linear")


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt", "GeneratorExit"])
def test_a_module_that_ends_python_when_imported_is_a_fault_of_the_module(
    raised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_here: Expkit
) -> None:
    """It was taken for Ctrl-C, or for a fault of expkit's; the screen names the file."""
    (tmp_path / f"ends_{raised[:4]}.py").write_text(f"raise {raised}\n")
    done = run_here("train", "dataset=digits", f"model._target_=ends_{raised[:4]}.Net")
    assert done.code == 2
    assert "ends Python" in done.err
    assert f"ends_{raised[:4]}.py:1" in done.err


def test_a_model_that_cannot_be_built_says_why_and_not_that_images_do_not_fit(
    tmp_path: Path, run_here: Expkit
) -> None:
    """The build error was followed by advice on the size of images."""
    (tmp_path / "unbuilt.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, image_shape, num_outputs):\n"
        "        raise RuntimeError('no such backbone')\n"
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    yaml = "# mine\n_target_: unbuilt.Net\n_partial_: true\n"
    (tmp_path / "conf" / "model" / "unbuilt.yaml").write_text(yaml)
    done = run_here("train", "dataset=digits", "model=unbuilt")
    assert done.code == 2
    assert "no such backbone" in done.err
    assert "cannot take images" not in done.err
