"""Rules that sort images into classes by their measured properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.data.sorting.properties import OF_FILES, PROPERTIES
from expkit.data.store.samples import UNWRITABLE
from expkit.errors import UserError, nearest_of
from expkit.metrics.criteria import RELATIONS
from expkit.sanitize import MAX_NAME_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.sorting.properties import Property
    from expkit.data.sorting.raw_images import RawImages

CONDITION = re.compile(r"\s*(>=|<=|>|<)\s*([-+0-9.eE_]+)\s*")
SHAPE = """classes: {CLASS: {PROPERTY: "> NUMBER", ...}, ...}
properties: {NAME: module.function, ...} where you add some"""


@dataclass(frozen=True)
class Condition:
    """One property of one class, held against a bound."""

    name: str
    relation: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:g}"


@dataclass(frozen=True)
class Rules:
    """The conditions of each class, all of which an image of it meets; own properties by target."""

    classes: Mapping[str, Sequence[Condition]]
    targets: Mapping[str, str]


@dataclass(frozen=True)
class Sorted:
    """The class of each image, by index, -1 where it is unsure; a score 0 to 1, and a reason."""

    class_names: Sequence[str]
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    reasons: Sequence[str]


def parse_rules(content: Any, where: str) -> Rules:
    """Read the rules from plain data, as a YAML has it."""
    if not isinstance(content, Mapping) or not isinstance(content.get("classes"), Mapping):
        raise UserError("these are no rules", where=where, allowed=SHAPE)
    unknown = sorted({str(key) for key in content} - {"classes", "properties"})
    if unknown:
        raise UserError(
            f"rules have no '{unknown[0]}'",
            where=where,
            nearest=nearest_of(unknown[0], ("classes", "properties")),
            allowed=SHAPE,
        )
    targets = content.get("properties") or {}
    if not isinstance(targets, Mapping) or not all(isinstance(t, str) for t in targets.values()):
        raise UserError(
            "properties is no mapping of names to functions", where=where, allowed=SHAPE
        )
    known = [*PROPERTIES, *OF_FILES, *map(str, targets)]
    classes = {
        _class_name(name, where): [
            _parse_condition(str(each), text, known, f"{where}: classes.{name}")
            for each, texts in _mapping(conditions, name, where).items()
            for text in (texts if isinstance(texts, list) else [texts])
        ]
        for name, conditions in content["classes"].items()
    }
    if len(classes) < 2:
        raise UserError("rules for fewer than two classes sort nothing", where=where, allowed=SHAPE)
    return Rules(classes, {str(name): target for name, target in targets.items()})


def sort_by_rules(
    raw: RawImages, rules: Rules, own: Mapping[str, Property], min_score: float
) -> Sorted:
    """Give each image the one class whose conditions it meets, and no class where that is unsure.

    The score is how far the nearest bound is, in interquartile ranges of its property: 0 at the
    bound, 1/2 where it is one away, towards 1. Where several classes fit, the leader must lead by
    `min_score`.
    """
    values = _measure(raw, rules, own)
    names = list(rules.classes)
    margins = np.empty((len(raw), len(names)))
    worst = np.empty((len(raw), len(names)), np.int64)
    for place, conditions in enumerate(rules.classes.values()):
        each = np.stack([_margin(values[c.name], c) for c in conditions], axis=1)
        worst[:, place] = each.argmin(1)
        margins[:, place] = each.min(1)
    best = margins.argmax(1)
    classes = np.full(len(raw), -1, np.int64)
    scores, reasons = np.zeros(len(raw)), []
    for row in range(len(raw)):
        name, margin = names[best[row]], margins[row, best[row]]
        condition = rules.classes[name][worst[row, best[row]]]
        told = f"{condition.name} {values[condition.name][row]:.3g}"
        fitting = [names[place] for place in np.argsort(-margins[row]) if margins[row, place] >= 0]
        second = np.sort(margins[row])[-2]
        scores[row] = _score(margin) if len(fitting) < 2 else _score(margin) - _score(second)
        if not fitting:
            wanted = f"{condition.relation} {condition.bound:g}"
            reasons.append(f"fits no class; nearest {name}: {told} is not {wanted}")
        elif scores[row] < min_score:
            also = f" and {fitting[1]}" if len(fitting) > 1 else ""
            reasons.append(f"unsure: fits {name}{also}, {told} beside {condition.bound:g}")
        else:
            classes[row] = best[row]
            reasons.append(f"{told} {condition.relation} {condition.bound:g}")
    return Sorted(names, classes, scores, reasons)


def _measure(
    raw: RawImages, rules: Rules, own: Mapping[str, Property]
) -> dict[str, npt.NDArray[np.float64]]:
    """The values of every property that a condition asks for."""
    asked = {each.name for conditions in rules.classes.values() for each in conditions}
    return {
        name: raw.of_file(name)
        if name in OF_FILES and name not in own
        else measure_property(raw, name, own.get(name) or PROPERTIES[name])
        for name in sorted(asked)
    }


def measure_property(
    raw: RawImages, name: str, measure: Callable[[Any], Any]
) -> npt.NDArray[np.float64]:
    """A number of each image, by a function that may be the user's."""
    try:
        values = np.concatenate([np.asarray(measure(c), np.float64).ravel() for c in raw.chunks()])
    except Exception as error:
        if name in PROPERTIES and measure is PROPERTIES[name]:
            raise
        raise UserError(
            f"the property '{name}' cannot be measured: {type(error).__name__}: {error}",
            where=f"properties.{name}",
            allowed="a function of images N x 128 x 128 x 3 in uint8 that returns N numbers",
        ) from error
    if len(values) != len(raw) or not np.isfinite(values).all():
        what = (
            f"{len(values)} numbers" if len(values) != len(raw) else "numbers that are not finite"
        )
        raise UserError(
            f"the property '{name}' returns {what} for {len(raw)} images",
            where=f"properties.{name}",
            allowed="a function of images N x 128 x 128 x 3 in uint8 that returns N numbers",
        )
    return values


def _margin(values: npt.NDArray[np.float64], condition: Condition) -> npt.NDArray[np.float64]:
    """How far each value is on the right side of the bound; below 0 where the condition fails."""
    low, high = np.percentile(values, [25, 75])
    scale = (high - low) or float(np.ptp(values)) or 1.0
    sign = 1 if condition.relation in (">", ">=") else -1
    margin: npt.NDArray[np.float64] = sign * (values - condition.bound) / scale
    fails = ~RELATIONS[condition.relation](values, condition.bound)  # type: ignore[arg-type]
    return np.where(fails, np.minimum(margin, -1e-12), margin)


def _score(margin: float) -> float:
    inside = max(0.0, float(margin))  # in this order, -0.0 is 0.0
    return inside / (1 + inside)


def _class_name(name: object, where: str) -> str:
    text = str(name)
    if (
        not text
        or UNWRITABLE.search(text)
        or len(text.encode()) > MAX_NAME_BYTES
        or text != text.strip()
        or "/" in text
        or text.startswith((".", "=", "+", "-", "@"))
    ):
        raise UserError(
            f"no class can be called {text!a}",
            where=where,
            allowed="a name that a folder may have: no slash, no dot or sign before it, at most "
            f"{MAX_NAME_BYTES} bytes",
        )
    return text


def _mapping(conditions: Any, name: object, where: str) -> Mapping[Any, Any]:
    if not isinstance(conditions, Mapping) or not conditions or [] in conditions.values():
        raise UserError(f"the class '{name}' has no conditions", where=where, allowed=SHAPE)
    return conditions


def _parse_condition(name: str, text: object, known: Sequence[str], where: str) -> Condition:
    if name not in known:
        raise UserError(
            f"there is no property '{name}'",
            where=where,
            nearest=nearest_of(name, known),
            allowed=", ".join(known),
            fix=f"or add your own: properties: {{{name}: my_module.{name}}}",
        )
    found = CONDITION.fullmatch(str(text))
    try:
        assert found is not None
        return Condition(name, found[1], float(found[2]))
    except (AssertionError, ValueError):
        raise UserError(
            f"'{text}' is no condition",
            where=f"{where}.{name}",
            allowed='">", ">=", "<" or "<=" and a number, in quotes: "> 0.5"; or a list of such',
        ) from None
