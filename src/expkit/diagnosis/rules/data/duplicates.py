"""Images that stand twice: across splits, under two labels, or within the training samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.sampling import listed, profile_of, splits_of


def _duplicates(evidence: Evidence) -> Mapping[str, Any]:
    """The profile's; none where all training images are one: that is `constant_pictures`."""
    train = splits_of(evidence).get("train", {})
    found: Mapping[str, Any] = profile_of(evidence).get("duplicates", {})
    return found if train.get("num_distinct", 0) > 1 else {}


@dataclass(frozen=True, kw_only=True)
class DuplicatesAcrossSplits(Rule):
    """Held-out images that the model is trained on: their predictions are no test."""

    # Below, the predictions that near copies leak move an accuracy by less than anybody compares.
    least_fraction: Annotated[float, Ge(0)] = 0.003  # of the held-out images

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        told = _duplicates(evidence)
        across = told.get("across", {})
        if not across.get("count"):
            return
        splits = splits_of(evidence)
        held_out = sum(each["num_compared"] for name, each in splits.items() if name != "train")
        within = told.get("near_within", {})
        expected = expected_near(within, held_out)
        if across["exact"]:
            yield _identical(evidence, across, is_near_a_leak=across["near"] > expected)
        elif across["near"] > expected:
            is_much = across["near"] >= self.least_fraction * held_out
            yield _near_copies(across, held_out, "warning" if is_much else "info")
        else:
            yield _merely_alike(across, within, expected)


def expected_near(within: Mapping[str, Any], num_samples: int) -> float:
    """Near copies to expect of samples that are as near to train as train is to itself.

    Twice the share, as half of a split has half of the twins, and three standard deviations; one
    that nothing tells from chance is always expected.
    """
    fraction = float(within.get("count", 0) / max(within.get("asked", 0), 1))
    mean = 2 * num_samples * fraction
    return mean + 3 * math.sqrt(mean) + 1


def _identical(evidence: Evidence, across: Mapping[str, Any], *, is_near_a_leak: bool) -> Finding:
    """One is enough: what is known of it by heart is no answer to a question."""
    count, near = across["exact"], across["near"]
    pairs = [pair for pair in across["pairs"] if pair[4] == 1]
    where = listed(dict.fromkeys(f"{ours} and {theirs}" for ours, _, theirs, _, _ in pairs))
    others = across.get("conflicting", {"count": 0, "pairs": []})
    labels = f", {others['count']} of them under another label" if others["count"] else ""
    copies = f"; {_images(near)} more {_are(near)} nearly the same" if is_near_a_leak else ""
    with_train = any("train" in (pair[0], pair[2]) for pair in pairs)
    return Finding(
        severity="warning",
        sentence=f"{_images(count)} {_are(count)}, pixel for pixel, in both {where}"
        f"{labels}{copies}",
        evidence={
            "identical": count,
            **({"near copies": near} if near else {}),
            **({"under another label": _with_labels(evidence, others)} if labels else {}),
            "images": _files(across),
        },
        cause="the same file was put into two splits, or the samples were split after images "
        "had been copied; "
        + (
            "what the model has learnt by heart counts as if it were known"
            if with_train
            else "the epoch is chosen on images that the result is measured on"
        ),
        command="take the listed images out of one of the splits",
    )


def _near_copies(across: Mapping[str, Any], held_out: int, severity: Severity) -> Finding:
    near = across["near"]
    where = listed(
        dict.fromkeys(f"{ours} and {theirs}" for ours, _, theirs, _, _ in across["pairs"])
    )
    return Finding(
        severity=severity,
        sentence=f"{_images(near)} {_are(near)} in both {where} as near copies: encoded anew, "
        "brighter, or moved by a pixel",
        evidence={
            "near copies": near,
            "fraction of the held-out images": near / held_out,
            "images": _files(across),
            "likeness": [pair[4] for pair in across["pairs"]],
        },
        cause="the samples were split after images had been copied, or the same source was "
        "used twice; what the model learnt by heart counts as if it were known",
        command="take the listed images out of one of the splits",
    )


def _merely_alike(across: Mapping[str, Any], within: Mapping[str, Any], expected: float) -> Finding:
    """The finding of as many near copies as train has of itself: likeness, and no leak."""
    near, asked, own = across["near"], within.get("asked", 0), within.get("count", 0)
    return Finding(
        severity="info",
        sentence=f"{near} held-out {'image is' if near == 1 else 'images are'} nearly the same "
        f"as a training image; of {asked} training images that were compared with the others "
        f"{own} {'is' if own == 1 else 'are'}, too, so that up to {math.floor(expected)} would be "
        "no sign of a leak",
        evidence={
            "near copies": near,
            "no sign of a leak up to": math.floor(expected),
            "training images compared": asked,
            "of them nearly the same as another": own,
            "images": _files(across),
        },
        cause="the images are much alike, or each source was saved several times (frames, "
        "augmented copies) before the samples were split",
        command="look at a few of the listed pairs; copies of one source belong into one split",
    )


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _files(across: Mapping[str, Any]) -> list[str]:
    return [f"{a}/{name} = {b}/{other}" for a, name, b, other, _ in across["pairs"]]


def _with_labels(evidence: Evidence, conflicting: Mapping[str, Any]) -> list[str]:
    classes = evidence.metadata.class_names or ()
    return [
        " = ".join(f"{split}/{name} ({classes[label]})" for split, name, label in pair)
        for pair in conflicting["pairs"]
    ]


@dataclass(frozen=True, kw_only=True)
class ConflictingDuplicates(Rule):
    """One training image under two labels: at least one of them is wrong."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        told = _duplicates(evidence).get("conflicting", {})
        if not told.get("count"):
            return
        classes = evidence.metadata.class_names or ()
        groups = [
            " = ".join(f"{name} ({classes[label]})" for name, label in group)
            for group in told["groups"]
        ]
        fraction = told["count"] / splits_of(evidence)["train"]["num_compared"]
        yield Finding(
            severity="warning",
            sentence=f"{told['count']} training samples have a twin with equal pixels and another "
            "label",
            evidence={"count": told["count"], "fraction": fraction, "images": groups},
            cause="an image was filed twice: no model can be right on both",
            command="decide on one label for each of the listed images",
        )


@dataclass(frozen=True, kw_only=True)
class RepeatedImages(Rule):
    """Training images that stand several times: they weigh as often, and hide a small set."""

    least_fraction: Annotated[float, Ge(0)] = 0.005  # of the training images
    # A typical image stands four times: the set is a small one that probe epochs large.
    most_distinct: Annotated[float, Ge(0), Le(1)] = 0.25  # of the images, to be a warning

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        within = _duplicates(evidence).get("within", {}).get("train", {})
        if not within.get("count"):
            return
        seen = splits_of(evidence)["train"]
        fraction = within["count"] / seen["num_compared"]
        most = seen.get("most_repeated", {"count": 2, "names": within["groups"][0]})
        if fraction < self.least_fraction:
            return
        is_small = seen["num_distinct"] <= self.most_distinct * seen["num_compared"]
        of_so_few = f"; only {seen['num_distinct']} are distinct" if is_small else ""
        yield Finding(
            severity="warning" if is_small else "info",
            sentence=f"{within['count']} of {seen['num_looked_at']} training images "
            f"{'repeats' if within['count'] == 1 else 'repeat'} another one, {most['names'][0]} "
            f"{most['count']} times{of_so_few}",
            evidence={
                "count": within["count"],
                "fraction": fraction,
                "num_distinct": seen["num_distinct"],
                "images": [" = ".join(group) for group in within["groups"][:20]],
            },
            cause="images were copied or drawn with replacement before the samples were split",
            command="keep one of each, unless they are repeated on purpose",
        )
