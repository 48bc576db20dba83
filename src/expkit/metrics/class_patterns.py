"""A criterion of several classes, `recall[*]` or `recall[cherry_*]`: the worst of them decides."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from expkit.metrics.classification import ClassFigures

WILDCARDS = re.compile(r"[*?]")


def matching_classes(pattern: str, class_names: Sequence[str]) -> list[str]:
    """Return the class of this very name, else those that a pattern of `*` and `?` means."""
    if pattern in class_names:
        return [pattern]
    if not WILDCARDS.search(pattern):
        return []
    parts = {"*": ".*", "?": "."}
    glob = re.compile("".join(parts.get(letter, re.escape(letter)) for letter in pattern), re.S)
    return [name for name in class_names if glob.fullmatch(name)]


def is_pattern(pattern: str | None, class_names: Sequence[str]) -> bool:
    """Tell whether it stands for several classes, and is not itself the name of one."""
    return pattern is not None and pattern not in class_names and bool(WILDCARDS.search(pattern))


def judged_classes(pattern: str, classes: Sequence[ClassFigures]) -> list[ClassFigures]:
    """Return the classes that a pattern judges: of those it means, all that have samples.

    A class without samples has no recall. One that is never predicted has no precision, and is
    judged: a number that there is not meets nothing.
    """
    names = set(matching_classes(pattern, [each.name for each in classes]))
    return [each for each in classes if each.name in names and each.count > 0]


def worst_class(
    metric: str, classes: Sequence[ClassFigures], *, higher_is_better: bool
) -> ClassFigures | None:
    """Return the class by which a criterion of all of them stands or falls; None of none.

    Among equals it is the one with the fewest samples, about which the least is known.
    """

    def badness(figures: ClassFigures) -> tuple[bool, float, int]:
        value = getattr(figures, metric)
        is_known = math.isfinite(value)
        signed = value if higher_is_better else -value
        return is_known, signed if is_known else 0.0, figures.count

    return min(classes, key=badness, default=None)
