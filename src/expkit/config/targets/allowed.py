"""The code that can play each part of a config: the list that everything named there is held to.

For each part these are the targets that ship in its folder of conf/, and classes of the libraries
that derive from what such a part is: never a function that merely lies in a known package, since
packages also hold functions that read, write and unpickle files.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from expkit.config.paths import builtin_conf, content_of


@dataclass(frozen=True)
class Family:
    """The classes of a package that derive from one, or the models that torchvision registers."""

    package: str
    ancestor: str = ""

    def __str__(self) -> str:
        if not self.ancestor:
            return f"models that {self.package} registers"
        return f"{self.ancestor.rpartition('.')[2]}s of {self.package}"

    def may_be_named(self, module: str, names: Sequence[str]) -> bool:
        """Tell whether words could mean one of these: a module of theirs, and one name in it."""
        face = self.package.partition(".modules")[0]  # torch.nn is that of torch.nn.modules
        return len(names) == 1 and _is_within(module, face)

    def holds(self, found: object) -> bool:
        """Tell whether this very object is one of these, wherever it was found."""
        if not _is_within(str(getattr(found, "__module__", "")), self.package):
            return False
        if not self.ancestor:
            return _is_registered(found)
        module, _, name = self.ancestor.rpartition(".")
        return isinstance(found, type) and issubclass(found, getattr(import_module(module), name))


def _is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _is_registered(found: object) -> bool:
    registry = import_module("torchvision.models")
    return any(registry.get_model_builder(name) is found for name in registry.list_models())


MODULE = "torch.nn.modules.module.Module"
OPTIMIZER = "torch.optim.optimizer.Optimizer"
LAYERS = Family("torch.nn.modules", MODULE)
TRANSFORMS = Family("kornia.augmentation", MODULE)
FAMILIES: Mapping[str, Sequence[Family]] = {
    "model": (
        LAYERS,
        Family("torchvision.models"),
    ),
    "loss": (Family("torch.nn.modules.loss", MODULE),),
    "optimizer": (Family("torch.optim", OPTIMIZER), Family("pytorch_optimizer", OPTIMIZER)),
    "schedule": (Family("torch.optim.lr_scheduler", "torch.optim.lr_scheduler.LRScheduler"),),
    "transform": (TRANSFORMS, LAYERS),
}
# the folders of conf/ whose targets can play a part, by its name, where they are not one of that
GROUPS: Mapping[str, Sequence[str]] = {
    "procedure": ("stage", "procedure"),
    "component": ("model", "loss", "optimizer", "schedule", "transform", "augment"),
    "hydra.launcher": (),
}
# what Hydra's launchers for clusters hand the jobs to
ENGINES = frozenset(
    {"expkit.sweeps.launchers.ray.RayLauncher", "expkit.sweeps.launchers.slurm.SlurmLauncher"}
)
# what no YAML offers to be chosen, as a command of expkit writes it into a config by itself
WRITTEN: Mapping[str, frozenset[str]] = {
    "model": frozenset({"expkit.models.ensemble.Ensemble", "expkit.models.exported.ExportedModel"}),
    "procedure": frozenset({"expkit.runner.stages.combination.Combination"}),
}
TARGET_LINE = re.compile(r"^[\s-]*_target_:\s*['\"]?([\w.]+)", re.MULTILINE)


# a training stage may have these of its own
OF_A_STAGE = re.compile(r"procedure\.[^.]+\.(optimizer|schedule|loss)")


def role_of(key: str) -> str:
    """The part that a config's key stands for, such as `optimizer` or `procedure`."""
    if (own := OF_A_STAGE.fullmatch(key)) is not None:
        return own[1]
    return key if key in GROUPS else re.split(r"[./\[]", key)[0]


def role_at(path: Sequence[str]) -> str:
    """Return the role of the part at a path of keys, which may be one within a part."""
    role, *below = path
    if OF_A_STAGE.fullmatch(".".join(path)):
        return path[-1]
    return role_within(role) if below[1 if role == "procedure" else 0 :] else role


def role_within(role: str, key: str = "") -> str:
    """Return the role of a part within a part: a transform, or a layer, loss, optimizer of it."""
    if OF_A_STAGE.fullmatch(key):
        return role_of(key)
    return "transform" if role in ("augment", "transform") else "component"


def families_of(role: str) -> Sequence[Family]:
    if role == "component":
        return tuple(dict.fromkeys(each for family in FAMILIES.values() for each in family))
    return FAMILIES.get(role, ())


@functools.cache
def shipped_targets(role: str) -> frozenset[str]:
    """The targets that expkit's own YAMLs name for a role, to which a YAML added there adds.

    With them those that expkit writes into a config by itself.
    """
    if role == "hydra.launcher":
        return ENGINES
    groups = GROUPS.get(role, (role,))
    files = [path for group in groups for path in _files_of(group)]
    named = (target for path in files for target in TARGET_LINE.findall(path.read_text("utf-8")))
    return WRITTEN.get(role, frozenset()) | frozenset(named)


def is_as_shipped(node: Mapping[str, object], role: str) -> bool:
    """Tell whether a part is a choice of conf/, or one with other values of the same types.

    Such a part is sound, and need not be looked at in a library that takes seconds to load.
    """
    return any(
        node.keys() == shipped.keys()
        and node["_target_"] == shipped["_target_"]
        and all(_are_alike(value, shipped[key]) for key, value in node.items())
        for shipped in _shipped_parts(role)
    )


@functools.cache
def _shipped_parts(role: str) -> tuple[Mapping[str, object], ...]:
    files = [path for group in GROUPS.get(role, (role,)) for path in _files_of(group)]
    return tuple(part for path in files if "_target_" in (part := content_of(path)))


def _files_of(group: str) -> list[Path]:
    return sorted((builtin_conf() / group).glob("*.yaml"))


def _are_alike(value: object, shipped: object) -> bool:
    """Tell whether a value is of a shipped one's type; lists are as long, of alike values."""
    if isinstance(shipped, list):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(shipped)
            and all(map(_are_alike, value, shipped))
        )
    if isinstance(shipped, bool) or not _is_number(shipped):
        return value == shipped if isinstance(shipped, str) else type(value) is type(shipped)
    is_whole = isinstance(shipped, int)
    return type(value) is int or (type(value) is float and not is_whole)


def _is_number(value: object) -> bool:
    """Tell whether YAML means a number; `1e-8` without a point is a text to its older rules."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def is_expkits(target: str, role: str) -> bool:
    """Tell whether a target is a part of expkit's own, which is looked at before torch loads."""
    return target.startswith("expkit.") and target in shipped_targets(role)


def describe_role(role: str) -> str:
    """List what can play a part, as an error tells it."""
    shipped = sorted(target for target in shipped_targets(role) if target.startswith("expkit."))
    return ", ".join([*shipped, *map(str, families_of(role)), "classes of your own modules"])
