"""The code that can play each part of a config: the list that everything named there is held to.

For each part these are the targets that ship in its folder of conf/, and classes of the libraries
that derive from what such a part is: never a function that merely lies in a known package, since
packages also hold functions that read, write and unpickle files. All is told from source.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expkit.config.paths import builtin_conf
from expkit.config.targets.resolver import Class, Found, Function
from expkit.config.targets.signatures import decorators_of, lineage


@dataclass(frozen=True)
class Family:
    """The classes of a package that derive from one; of functions those with its decorator."""

    package: str
    ancestor: str = ""
    decorator: str = ""

    def __str__(self) -> str:
        if self.decorator:
            return f"models that {self.package} registers"
        return f"{self.ancestor.rpartition('.')[2]}s of {self.package}"

    def holds(self, found: Found) -> bool:
        if isinstance(found, Function):
            is_model = found.owner is None and self.decorator in decorators_of(found.node)
            return bool(self.decorator) and is_model and self._is_inside(found)
        if not isinstance(found, Class) or not self.ancestor or not self._is_inside(found):
            return False
        return any(
            each is not None and f"{each.module.name}.{each.node.name}" == self.ancestor
            for each in lineage(found)
        )

    def _is_inside(self, found: Class | Function) -> bool:
        return f"{found.module.name}.".startswith(f"{self.package}.")


MODULE = "torch.nn.modules.module.Module"
OPTIMIZER = "torch.optim.optimizer.Optimizer"
LAYERS = Family("torch.nn.modules", MODULE)
TRANSFORMS = Family("kornia.augmentation", MODULE)
FAMILIES: Mapping[str, Sequence[Family]] = {
    "model": (
        LAYERS,
        Family("torchvision.models", decorator="register_model"),
    ),
    "loss": (Family("torch.nn.modules.loss", MODULE),),
    "optimizer": (Family("torch.optim", OPTIMIZER), Family("pytorch_optimizer", OPTIMIZER)),
    "schedule": (Family("torch.optim.lr_scheduler", "torch.optim.lr_scheduler.LRScheduler"),),
    "transform": (TRANSFORMS, LAYERS),
}
# the folders of conf/ whose targets can play a part, by its name, where they are not one of that
GROUPS: Mapping[str, Sequence[str]] = {
    "procedure": ("stage", "procedure"),
    "hydra.launcher": (),
}
# what Hydra's launchers for clusters hand the jobs to
ENGINES = frozenset(
    {"expkit.sweeps.launchers.ray.RayLauncher", "expkit.sweeps.launchers.slurm.SlurmLauncher"}
)
TARGET_LINE = re.compile(r"^[\s-]*_target_:\s*['\"]?([\w.]+)", re.MULTILINE)


def role_of(key: str) -> str:
    """The part that a config's key stands for, such as `optimizer` or `procedure`."""
    return key if key in GROUPS else re.split(r"[./\[]", key)[0]


def role_within(role: str) -> str:
    """Return the role of a part within a part: a transform, or a layer, loss or optimizer of it."""
    return "transform" if role in ("augment", "transform") else "component"


def can_play(role: str, target: str, found: Found) -> bool:
    """Tell whether a target, and what it leads to, is on the list of a role."""
    return target in shipped_targets(role) or any(each.holds(found) for each in families_of(role))


def families_of(role: str) -> Sequence[Family]:
    if role == "component":
        return tuple(dict.fromkeys(each for family in FAMILIES.values() for each in family))
    return FAMILIES.get(role, ())


@functools.cache
def shipped_targets(role: str) -> frozenset[str]:
    """The targets that expkit's own YAMLs name for a role: a YAML added there adds to the list."""
    if role == "hydra.launcher":
        return ENGINES
    groups = GROUPS.get(role, (role,))
    if role == "component":
        groups = ("model", "loss", "optimizer", "schedule", "transform")
    files = [path for group in groups for path in (builtin_conf() / group).glob("*.yaml")]
    return frozenset(
        target for path in files for target in TARGET_LINE.findall(path.read_text("utf-8"))
    )


def describe_role(role: str) -> str:
    """List what can play a part, as an error tells it."""
    shipped = sorted(target for target in shipped_targets(role) if target.startswith("expkit."))
    return ", ".join([*shipped, *map(str, families_of(role)), "classes of your own modules"])
