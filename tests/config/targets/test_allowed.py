"""Whose code a config may name for a part: by the part's role, and never by a package alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expkit.config.paths import builtin_conf
from expkit.config.targets.allowed import TARGET_LINE, is_as_shipped
from expkit.config.targets.check import check_part
from expkit.errors import UserError

# functions and classes of known packages that read, write, unpickle, download or run
DANGEROUS = (
    "timm.models.load_state_dict",
    "timm.models.load_checkpoint",
    "timm.create_model",
    "timm.utils.model_ema.ModelEma",
    "torch.load",
    "torch.save",
    "torch.hub.load",
    "torch.jit.load",
    "torch.export.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.nn.Module.load_state_dict",
    "torch.nn.modules.module.Module.register_module",
    "torchvision.io.read_image",
    "torchvision.models.get_model",
    "kornia.io.load_image",
    "pytorch_optimizer.load_optimizer",
    "expkit.records.files.append_line",
    "expkit.records.files.write_aside",
    "expkit.records.run.writer.RunFolder.create",
    "expkit.cli.dispatch",
    "expkit.sweeps.launchers.pool.ForkedCalls",
    "expkit.config.instantiate.build_part",
    "expkit.training.checkpoint.load_weights",
    "hydra_plugins.expkit.slurm.SlurmLauncher",
)
PARTS = ("dataset", "augment", "model", "loss", "optimizer", "schedule", "device")


@pytest.mark.parametrize("target", DANGEROUS)
@pytest.mark.parametrize("key", [*PARTS, "procedure.train", "launcher", "diagnosis/mine"])
def test_no_role_is_played_by_a_function_of_a_known_package(target: str, key: str) -> None:
    """What reads, writes or runs is refused for every part, and within a part."""
    for node, at in (
        ({"_target_": target, "_partial_": True}, key),
        ({"_target_": "torch.nn.Sequential", "_args_": [{"_target_": target}]}, "model"),
    ):
        with pytest.raises(UserError) as caught:
            check_part(node, at)
        assert "cannot be" in caught.value.what or "outside" in caught.value.what


@pytest.mark.parametrize(
    ("target", "roles"),
    [
        ("torch.optim.Adam", {"optimizer"}),
        ("pytorch_optimizer.Lion", {"optimizer"}),
        ("torch.nn.CrossEntropyLoss", {"loss", "model"}),
        ("torch.nn.Linear", {"model"}),
        ("torch.optim.lr_scheduler.StepLR", {"schedule"}),
        ("expkit.models.conv.ConvNet", {"model"}),
        ("expkit.data.datasets.digits.Digits", {"dataset"}),
        ("expkit.runner.stages.training.Training", {"procedure.train"}),
        ("expkit.sweeps.launchers.local.LocalLauncher", {"launcher"}),
    ],
)
def test_a_class_plays_the_roles_that_it_is_made_for(target: str, roles: set[str]) -> None:
    """The right package is not enough: a layer is no dataset, and an optimizer no model."""
    accepted = set()
    for key in (*PARTS, "procedure.train", "launcher"):
        try:
            check_part({"_target_": target, "_partial_": True}, key)
        except UserError:
            continue
        accepted.add(key)
    assert accepted == roles


def test_a_miscast_target_is_answered_with_what_can_play_the_part() -> None:
    """The screen lists what the part can be, from the YAMLs that ship."""
    with pytest.raises(UserError) as caught:
        check_part({"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}, "dataset")
    assert caught.value.what.startswith("dataset cannot be torch.nn.Linear")
    assert "expkit.data.datasets.image_folder.ImageFolder" in str(caught.value.details["allowed"])


def test_every_target_that_ships_can_play_its_part() -> None:
    """A YAML of conf/ is the list itself: what it names is accepted in its own group."""
    groups = {"stage": "procedure.train", "transform": "transform", "launcher": "launcher"}
    checked = 0
    for path in builtin_conf().rglob("*.yaml"):
        group = path.parent.relative_to(builtin_conf()).as_posix()
        for target in TARGET_LINE.findall(path.read_text("utf-8")):
            if group in (*PARTS, *groups, "diagnosis"):
                check_part({"_target_": target, "_partial_": True}, groups.get(group, group))
                checked += 1
    assert checked > 90


ADAM = {
    "_target_": "torch.optim.Adam",
    "_partial_": True,
    "lr": 0.001,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "weight_decay": 0.0,
    "fused": True,
}


@pytest.mark.parametrize(
    ("change", "is_sound"),
    [
        ({}, True),
        ({"lr": 1, "betas": [0.5, 0.9], "fused": False}, True),
        ({"lr": "fast"}, False),
        ({"betas": [0.9]}, False),
        ({"betas": [0.9, True]}, False),
        ({"fused": None}, False),
        ({"amsgrad": True}, False),
        ({"_target_": "torch.optim.SGD"}, False),
        ({"_target_": "os.system"}, False),
    ],
)
def test_a_choice_with_other_values_of_its_types_need_not_be_looked_at(
    change: dict[str, object], is_sound: bool
) -> None:
    """Adam as it ships is sound without loading torch; another key or type wants a look."""
    assert is_as_shipped({**ADAM, **change}, "optimizer") == is_sound


def test_a_job_of_shipped_choices_is_checked_without_torch(tmp_path: Path) -> None:
    """So a sweep of them begins with no seconds spent in the process that only waits for jobs."""
    program = (
        "import sys\n"
        "from hydra import compose, initialize_config_dir\n"
        "from omegaconf import OmegaConf\n"
        "from expkit.config.paths import builtin_conf\n"
        "from expkit.config.validation import check_config, check_others\n"
        "with initialize_config_dir(str(builtin_conf()), version_base='1.3'):\n"
        "    config = compose('config', ['optimizer.lr=0.1', 'augment=light', 'name=x'])\n"
        "plain = {k: v for k, v in config.items() if k not in ('launcher', 'sweep')}\n"
        "plain = OmegaConf.to_container(OmegaConf.create(plain), resolve=True)\n"
        "check_others(check_config(plain))\n"
        "print('torch' in sys.modules, 'kornia' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "False False\n", done.stderr
