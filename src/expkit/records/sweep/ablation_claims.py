"""Claims of an ablation: bounds of each change's difference to the recipe, stated beforehand."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from expkit.errors import UserError, nearest_of

EVERY = "every"  # stands for each change that has no claim of its own


@dataclass(frozen=True)
class Claim:
    """`default_init: "> -0.01"`: the change costs less than 0.01 of the objective."""

    change: str
    relation: str  # > or <
    bound: float


def parse_claims(claims: Mapping[str, object], changes: Collection[str]) -> list[Claim]:
    """A claim for each change that one is stated of; refused where no change could meet it."""
    if claims and EVERY in changes:
        raise UserError(
            f"'{EVERY}' is no name of a change: claims of all changes stand under it",
            where=f"ablation.changes.{EVERY}",
            fix="give the change another name",
        )
    for name in claims:
        if name != EVERY and name not in changes:
            raise UserError(
                f"the ablation has no change '{name}'",
                where=f"ablation.claims.{name}",
                nearest=nearest_of(name, [*changes, EVERY]),
                allowed=f"{', '.join(changes)}, or {EVERY} for all of them",
            )
    stated = {name: claims[name] for name in changes if name in claims}
    if EVERY in claims:
        stated = {name: stated.get(name, claims[EVERY]) for name in changes}
    return [_parse(name, condition) for name, condition in stated.items()]


def _parse(name: str, condition: object) -> Claim:
    match = re.fullmatch(r"\s*([<>])\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*", str(condition))
    try:
        bound = float(match[2]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise UserError(
            f"the claim '{condition}' cannot be read",
            where=f"ablation.claims.{name}",
            allowed="> or < and a number, which is the change's difference to the recipe in the "
            "sweep's objective: '> -0.01' of an accuracy costs less than a point",
        )
    return Claim(name, match[1], bound)
