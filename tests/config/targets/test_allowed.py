"""Whose code a config may name for a part: by the part's role, and never by a package alone."""

from __future__ import annotations

import pytest

from expkit.config.paths import builtin_conf
from expkit.config.targets.allowed import TARGET_LINE
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
