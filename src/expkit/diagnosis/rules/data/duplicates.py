"""Images that stand twice: across splits, under two labels, or within the training samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.recorded_profile import profile_of, splits_of
from expkit.diagnosis.rule import Rule


def _duplicates(evidence: Evidence) -> Mapping[str, Any]:
    """The profile's duplicates; none where all training images are one (`constant_images`)."""
    train = splits_of(evidence).get("train", {})
    found: Mapping[str, Any] = profile_of(evidence).get("duplicates", {})
    return found if train.get("num_distinct", 0) > 1 else {}


@dataclass(frozen=True, kw_only=True)
class DuplicatesAcrossSplits(Rule):
    """Held-out images that the model is trained on: their predictions are no test."""

    # Below, the predictions that near copies leak move an accuracy by less than anybody compares.
    least_fraction: Annotated[float, Ge(0)] = 0.003

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        duplicates = _duplicates(evidence)
        across = duplicates.get("across", {})
        if not across.get("count"):
            return
        splits = splits_of(evidence)
        held_out = sum(each["num_compared"] for name, each in splits.items() if name != "train")
        within = duplicates.get("near_within", {})
        expected = expected_near(within, held_out)
        if across["exact"]:
            yield self._identical(evidence, across, is_near_a_leak=across["near"] > expected)
        elif across["near"] > expected:
            yield self._near_copies(across, held_out)
        else:
            yield self._merely_alike(across, within, math.floor(expected))

    def _identical(
        self, evidence: Evidence, across: Mapping[str, Any], *, is_near_a_leak: bool
    ) -> Finding:
        """The finding of identical images, however few: what is known by heart is no prediction."""
        near = across["near"]
        pairs = [pair for pair in across["pairs"] if pair[4] == 1]
        conflicting = across.get("conflicting", {"count": 0, "pairs": []})
        with_train = any("train" in (pair[0], pair[2]) for pair in pairs)
        figures: dict[str, Any] = {"identical": across["exact"]}
        if near:
            figures["near copies"] = near
        if conflicting["count"]:
            figures["under another label"] = _with_labels(evidence, conflicting)
        return self.finding(
            "identical_to_training" if with_train else "identical_held_out",
            {**figures, "images": _files(across)},
            parts={"another_label": conflicting["count"] > 0, "near_copies": is_near_a_leak},
            splits=_places(pairs),
            num_conflicting=conflicting["count"],
            num_near=near,
        )

    def _near_copies(self, across: Mapping[str, Any], held_out: int) -> Finding:
        fraction = across["near"] / held_out
        return self.finding(
            "near_copies",
            {
                "near copies": across["near"],
                "fraction of the held-out images": fraction,
                "images": _files(across),
                "likeness": [pair[4] for pair in across["pairs"]],
            },
            severity="warning" if across["near"] >= self.least_fraction * held_out else "info",
            splits=_places(across["pairs"]),
        )

    def _merely_alike(
        self, across: Mapping[str, Any], within: Mapping[str, Any], expected: int
    ) -> Finding:
        """The finding of as many near copies as train has of itself: likeness, and no leak."""
        return self.finding(
            "merely_alike",
            {
                "near copies": across["near"],
                "no sign of a leak up to": expected,
                "training images compared": within.get("asked", 0),
                "of them nearly the same as another": within.get("count", 0),
                "images": _files(across),
            },
        )


def expected_near(within: Mapping[str, Any], num_samples: int) -> float:
    """Near copies to expect of samples that are as near to train as train is to itself.

    Twice the fraction, as half of a split has half of the twins, and three standard deviations;
    one that nothing tells from chance is always expected.
    """
    fraction = float(within.get("count", 0) / max(within.get("asked", 0), 1))
    mean = 2 * num_samples * fraction
    return mean + 3 * math.sqrt(mean) + 1


def _places(pairs: Iterable[tuple[str, str, str, str, float]]) -> str:
    return listed(dict.fromkeys(f"{ours} and {theirs}" for ours, _, theirs, _, _ in pairs), 5)


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
        conflicting = _duplicates(evidence).get("conflicting", {})
        if not conflicting.get("count"):
            return
        classes = evidence.metadata.class_names or ()
        groups = [
            " = ".join(f"{name} ({classes[label]})" for name, label in group)
            for group in conflicting["groups"]
        ]
        fraction = conflicting["count"] / splits_of(evidence)["train"]["num_compared"]
        yield self.finding(
            "two_labels",
            {"count": conflicting["count"], "fraction": fraction, "images": groups},
        )


@dataclass(frozen=True, kw_only=True)
class RepeatedImages(Rule):
    """Training images that stand several times: they weigh as often, and hide a small set."""

    least_fraction: Annotated[float, Ge(0)] = 0.005
    # A typical image stands four times: the set is a small one that looks large.
    most_distinct: Annotated[float, Ge(0), Le(1)] = 0.25

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        within = _duplicates(evidence).get("within", {}).get("train", {})
        if not within.get("count"):
            return
        train = splits_of(evidence)["train"]
        fraction = within["count"] / train["num_compared"]
        most = train.get("most_repeated", {"count": 2, "names": within["groups"][0]})
        if fraction < self.least_fraction:
            return
        is_small = train["num_distinct"] <= self.most_distinct * train["num_compared"]
        yield self.finding(
            "small_set" if is_small else "some",
            {
                "count": within["count"],
                "fraction": fraction,
                "num_distinct": train["num_distinct"],
                "images": [" = ".join(group) for group in within["groups"][:20]],
            },
            num_images=train["num_looked_at"],
            name=most["names"][0],
            times=most["count"],
        )
