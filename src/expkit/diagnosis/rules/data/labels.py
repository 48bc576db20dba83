"""Labels that have nothing to do with their images."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.recorded_profile import above_chance, deviation, profile_of
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


class JudgedEpoch(NamedTuple):
    """The accuracies of one epoch, beside that of unrelated predictions."""

    epoch: int
    train: float
    accuracy: float  # of the split that is judged
    unrelated: float


def unrelated_accuracy(
    evidence: Evidence, stage: str, split: str, epoch: Record | None
) -> float | None:
    """The accuracy that these predictions would have if they had nothing to do with the labels.

    By the fractions of the predictions where they were recorded; else the majority's, where the
    classes are so even that it makes no difference.
    """
    counts = evidence.metadata_of(stage).splits[split].class_counts
    if not counts:
        return None
    total = sum(counts)
    fractions = (epoch or {}).get("predicted", {}).get(split, {}).get("fractions")
    if fractions:
        return float(sum(s * c for s, c in zip(fractions, counts, strict=True))) / total
    majority = max(counts) / total
    return majority if majority * len(counts) < 1.5 else None


def judged_epochs(evidence: Evidence, stage: str, split: str) -> Iterator[JudgedEpoch]:
    """The epochs of a stage with an accuracy of the split and a chance to hold it against."""
    signals = {each["epoch"]: each for each in evidence.of_kind("epoch", stage)}
    for line in evidence.epochs(stage):
        accuracy = line.get(f"{split}/accuracy")
        unrelated = unrelated_accuracy(evidence, stage, split, signals.get(line["epoch"]))
        if accuracy is not None and unrelated is not None:
            yield JudgedEpoch(line["epoch"], line["train/accuracy"], accuracy, unrelated)


def _passed_gates(evidence: Evidence) -> bool:
    results = [evidence.result(gate) for gate in evidence.gates]
    return all(each is not None and each.passed for each in results)


@dataclass(frozen=True, kw_only=True)
class LabelsUnrelated(Rule):
    """The training samples are learnt by heart, and nothing of it holds for others."""

    # As much as held-out samples are shown not to know; slow nets learn by heart slowly.
    learnt: Annotated[float, Gt(0), Le(1)] = 0.15
    # Of two classes that takes 180 samples, of ten 25.
    most_above_chance: Annotated[float, Gt(0)] = 0.15
    least_epochs: Annotated[int, Ge(1)] = 3
    patience: Annotated[int, Ge(1)] = 8
    deviations: Annotated[float, Gt(0)] = 4.0
    deviations_of_none: Annotated[float, Gt(0)] = 2.0
    deviations_of_clusters: Annotated[float, Gt(0)] = 5.0
    deviations_of_train: Annotated[float, Gt(0)] = 3.0
    least_update: Annotated[float, Gt(0)] = 1e-4
    most_update: Annotated[float, Gt(0)] = 0.1

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        split = evidence.monitored
        if evidence.metadata.num_classes is None or split == "train":
            return
        if split in evidence.metadata.layouts:
            return  # the cells of another image: no relation is expected
        neighbours = profile_of(evidence).get("neighbours", {})
        if self._know(neighbours, split):
            return  # pixels do tell the class, so labels are no cause
        for stage in evidence.trainings:
            found = self._learnt_by_heart(
                evidence, stage, split, neighbours
            ) or self._nothing_learnt(evidence, stage, neighbours)
            if found:
                yield found
                return

    def _learnt_by_heart(
        self, evidence: Evidence, stage: str, split: str, neighbours: Mapping[str, Any]
    ) -> Finding | None:
        majority = evidence.metadata_of(stage).majority_accuracy("train") or 0.0
        epochs = list(judged_epochs(evidence, stage, split))
        least = self._least_learnt(evidence, majority, neighbours, len(epochs))
        learnt = [each for each in epochs if above_chance(each.train, majority) >= least]
        if len(learnt) < self.least_epochs or learnt[-1] != epochs[-1]:
            return None
        count = evidence.metadata.splits[split].num_samples
        accuracy = statistics.fmean(each.accuracy for each in learnt)
        chance = statistics.fmean(each.unrelated for each in learnt)
        std = deviation(chance, count)
        uncertainty = self.deviations_of_none * std
        hopeless = above_chance(accuracy + uncertainty, chance) < self.most_above_chance
        is_at_chance = abs(accuracy - chance) <= uncertainty  # far below is knowledge, too
        # by chance, some shuffled labels are right for most of a class
        is_far_behind = learnt[-1].train > 2 * (accuracy + uncertainty)
        if not (is_at_chance and hopeless) and not (
            is_far_behind and self._classes_show(neighbours, split)
        ):
            return None
        figures = {
            "train/accuracy": learnt[-1].train,
            f"{split}/accuracy": accuracy,
            "chance": chance,
            "chance_std": std,
            "num_samples": count,
            "num_epochs": len(learnt),
        }
        if "train" in neighbours:
            figures["neighbours/accuracy"] = neighbours["train"]["accuracy"]
        return self.finding(
            "learnt_by_heart",
            figures,
            severity="fatal" if self._know(neighbours, "train") is False else "warning",
            stage=stage,
            epoch=learnt[-1].epoch,
            split=split,
            accuracy=accuracy,
        )

    def _least_learnt(
        self, evidence: Evidence, majority: float, neighbours: Mapping[str, Any], num_epochs: int
    ) -> float:
        """The least that counts as learnt: little where the nearest images know nothing either."""
        if self._know(neighbours, "train") is not False or num_epochs < self.patience:
            return self.learnt
        count = evidence.metadata.splits["train"].num_samples
        sure = above_chance(majority + self.deviations * deviation(majority, count), majority)
        return min(self.learnt, sure)

    def _nothing_learnt(
        self, evidence: Evidence, stage: str, neighbours: Mapping[str, Any]
    ) -> Finding | None:
        """The finding of nothing learnt, though weights move, and neighbours know no more."""
        epochs = list(judged_epochs(evidence, stage, "train"))[-self.least_epochs :]
        if (
            len(evidence.epochs(stage)) < self.patience
            or self._know(neighbours, "train") is not False
        ):
            return None
        if not self._moves(evidence, stage) or not _passed_gates(evidence):
            return None
        count = evidence.metadata.splits["train"].num_samples
        if any(
            each.train
            > each.unrelated + self.deviations_of_train * deviation(each.unrelated, count)
            for each in epochs
        ):
            return None
        last = epochs[-1]
        return self.finding(
            "nothing_learnt",
            {
                "train/accuracy": last.train,
                "chance": last.unrelated,
                "num_samples": count,
                "neighbours/accuracy": neighbours["train"]["accuracy"],
                "neighbours/chance": neighbours["train"]["unrelated"],
            },
            stage=stage,
            epoch=last.epoch,
        )

    def _moves(self, evidence: Evidence, stage: str) -> bool:
        """Tell whether steps lately changed weights by a usual fraction: no lr is to blame."""
        probed = evidence.probe_epochs(stage)
        ratios = [each["update_ratio"] for each in probed[-1]["parameters"]] if probed else []
        known = [each for each in ratios if each is not None]
        return bool(known) and self.least_update < statistics.median(known) < self.most_update

    def _know(
        self, neighbours: Mapping[str, Any], split: str, deviations: float | None = None
    ) -> bool | None:
        """Tell whether the votes of neighbours beat chance; None where they were not asked."""
        if split not in neighbours:
            return None
        score = neighbours[split]
        margin = (deviations or self.deviations) * deviation(
            score["unrelated"], score["num_samples"]
        )
        return bool(score["accuracy"] > score["unrelated"] + margin)

    def _classes_show(self, neighbours: Mapping[str, Any], split: str) -> bool:
        """Tell whether images of a class look alike in a split, though train's labels hide it.

        Votes of unrelated labels fall alike for images that lie together: another numbering of
        them, fitted on one half of the split, is right on the other. Hard images gain nothing by
        it.
        """
        knows = self._know(neighbours, "train", self.deviations_of_none)
        if knows is not False or split not in neighbours:
            return False
        score = neighbours[split]
        chance = max(score["unrelated"], score["majority"])
        margin = self.deviations_of_clusters * deviation(chance, score["num_samples"])
        return bool(score.get("renumbered_accuracy", 0) > chance + margin)
