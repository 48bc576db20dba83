"""The views of a contrastive pre-training: augmentations that must be there, and must differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from expkit.errors import UserError
from expkit.runner.components import Parts
from expkit.training.augmentation import AugmentationSource

RESERVED = frozenset(dir(nn.ModuleDict))  # a head is one of its members


def check_views(heads: Mapping[str, Any], key: str, parts: Parts) -> None:
    """Refuse a head without views of its own, by its name."""
    for name, built in heads.items():
        where = f"{key}.heads.{name}"
        if not name.isidentifier() or name in RESERVED:
            raise UserError(
                f"a head cannot be called '{name}'",
                where=where,
                allowed="letters, digits and _, and no method of a mapping",
            )
        if not all(hasattr(built, each) for each in ("is_identity", "mixes", "check")):
            raise UserError(
                f"the head '{name}' is no augmentation",
                where=f"{where}={built!s:.60}",
                allowed="a choice of the group augment, which makes the head's views",
                fix=f"'+augment@{where}=simclr'   (expkit list augment)",
            )
        _check_head(name, built, where, parts, is_alone=len(heads) == 1)


def _check_head(
    name: str, views: AugmentationSource, where: str, parts: Parts, *, is_alone: bool
) -> None:
    if views.mixes:
        raise UserError(
            "mixed images are views of two images at once",
            where=f"{where}.mixup_alpha, {where}.cutmix_alpha",
            fix=f"{where}.mixup_alpha=0 {where}.cutmix_alpha=0",
        )
    if views.is_identity:
        raise UserError(
            f"the two views of head '{name}' would be equal: there is nothing to learn",
            where=f"{where}.transforms={{}}",
            fix=f"augment@{where}=simclr   (expkit list augment)",
        )
    try:
        views.check(parts.metadata.image_shape)
    except UserError as error:
        details = error.details
        fix = (details["do"] or "").replace("augment.", f"{where}.")
        if len(getattr(views, "transforms", ())) == 1:  # without it the views would be equal
            fix = f"augment@{where}=simclr" if is_alone else f"leave the head out: '~{where}'"
        raise UserError(
            error.what.replace("augment.transforms.", f"{where}.transforms."),
            where=(details["where"] or "").replace("augment.", f"{where}."),
            allowed=details["allowed"],
            fix=fix,
        ) from error
