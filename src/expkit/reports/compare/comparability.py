"""Reasons not to compare two runs' figures, and reasons to doubt the comparison."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expkit.reports.runs.recipes import Recipe

PACKAGES = ("expkit", "torch")
# settings of datasets that change what is made of an image, and not which image it is
PREPARATION = {
    *("size", "resize", "crop_fraction", "interpolation", "channels", "piece_size", "normalize"),
    *("memory_fraction", "cache_dir", "sealed"),
}


@dataclass(frozen=True)
class Objection:
    """A reason against a comparison."""

    text: str
    forbids: bool


def objections(ours: Recipe, theirs: Recipe, split: str) -> list[Objection]:
    """Against holding ours to theirs on a split; empty: on what each is judged by."""
    return [*_on_samples(ours, theirs, split), *_on_code(ours, theirs)]


def _on_samples(ours: Recipe, theirs: Recipe, split: str) -> Iterator[Objection]:
    mine, other = (split or group.first.judged_split for group in (ours, theirs))
    if mine != other:
        kinds = "training against held-out figures" if "train" in (mine, other) else "other samples"
        yield Objection(f"measured on {mine}, the baseline on {other}: {kinds}", forbids=True)
    elif _is_unknown(ours, mine) or _is_unknown(theirs, mine):
        text = f"nobody recorded whether {mine} has the baseline's samples: a loop was watched"
        yield Objection(text, forbids=True)
    elif not _prints(ours, mine) or not _prints(theirs, mine):
        yield Objection(f"not both have a split {mine}", forbids=True)
    elif _differ(ours, theirs, mine):
        changes = _preparation(ours, theirs)
        if changes:
            yield Objection(f"the same samples, prepared otherwise: {changes}", forbids=False)
        else:
            text = f"other data in {mine} than the baseline's: the fingerprints differ"
            yield Objection(text, forbids=True)
    elif mine != "train" and _differ(ours, theirs, "train") and not _preparation(ours, theirs):
        yield Objection("trained on other samples than the baseline", forbids=False)


def _preparation(ours: Recipe, theirs: Recipe) -> str:
    """Explain other fingerprints by a resolution or a crop; empty where these explain none."""
    mine, other = (
        {key: value for key, value in group.first.config.items() if key.startswith("dataset.")}
        for group in (ours, theirs)
    )
    keys = [key for key in {**other, **mine} if mine.get(key) != other.get(key)]
    counts = [group.first.num_samples for group in (ours, theirs)]
    if counts[0] != counts[1] or not {key.split(".")[1] for key in keys} <= PREPARATION:
        return ""
    return ", ".join(f"{key} {other.get(key)} -> {mine.get(key)}" for key in keys)


def _is_unknown(group: Recipe, split: str) -> bool:
    """Tell whether a split was there whose bytes nobody has seen all of."""
    return any(each.fingerprints.get(split, "") is None for each in group.draws)


def _prints(group: Recipe, split: str) -> dict[Hashable, str]:
    """Group runs by seed and fold, which may decide which samples a split has."""
    found = ((member.draw, member.fingerprints.get(split)) for member in group.draws)
    return {draw: print_ for draw, print_ in found if print_ is not None}


def _differ(ours: Recipe, theirs: Recipe, split: str) -> bool:
    """Tell whether a draw that both have was of other samples; without one, any of them."""
    mine, other = _prints(ours, split), _prints(theirs, split)
    common = mine.keys() & other.keys()
    if not common:
        return set(mine.values()) != set(other.values())
    return any(mine[draw] != other[draw] for draw in common)


def _on_code(ours: Recipe, theirs: Recipe) -> Iterator[Objection]:
    """Compare the code of all seeds: also those of one recipe may be of several commits."""
    mine, other = ([member.code for member in group.draws] for group in (ours, theirs))
    changes = [
        f"{package} {change}"
        for package in PACKAGES
        if (
            change := _change(
                [[_version(code, package) for code in side] for side in (other, mine)]
            )
        )
    ]
    commits = [
        [str(code.get("commit") or "unknown")[:9] for code in side] for side in (other, mine)
    ]
    if change := _change(commits):
        changes.append(f"commit {change}")
    if changes:
        text = f"other code version than the baseline's: {', '.join(changes)}"
        yield Objection(text, forbids=False)
    elif any(code.get("dirty") for code in (*mine, *other)):
        text = f"maybe other code than the baseline's: not all was committed, upon {commits[0][0]}"
        yield Objection(text, forbids=False)


def _change(sides: Sequence[Sequence[str]]) -> str:
    """`2.1 -> 2.2`, or `2.1 and 2.2 on both sides`; empty where there is but one."""
    there, here = (" and ".join(sorted(set(side))) for side in sides)
    if there != here:
        return f"{there} -> {here}"
    return f"{here} on both sides" if len(set(sides[0])) > 1 else ""


def _version(code: Mapping[str, Any], package: str) -> str:
    return str((code.get("versions") or {}).get(package, "unknown"))
