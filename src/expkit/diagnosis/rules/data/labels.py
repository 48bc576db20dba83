"""Labels that have nothing to do with their images."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.sampling import above_chance, deviation, profile_of
from expkit.metrics.percentages import percent
from expkit.records.files import Record


def unrelated_accuracy(
    evidence: Evidence, stage: str, split: str, epoch: Record | None
) -> float | None:
    """Return what these predictions would score if they had nothing to do with the labels.

    By the shares of the predictions where they were recorded; else the majority's share, where the
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


def judged_epochs(
    evidence: Evidence, stage: str, split: str
) -> Iterator[tuple[int, float, float, float]]:
    """Epoch, training accuracy, the split's accuracy, and what unrelated predictions score."""
    signals = {each["epoch"]: each for each in evidence.of_kind("epoch", stage)}
    for line in evidence.epochs(stage):
        accuracy = line.get(f"{split}/accuracy")
        unrelated = unrelated_accuracy(evidence, stage, split, signals.get(line["epoch"]))
        if accuracy is not None and unrelated is not None:
            yield line["epoch"], line["train/accuracy"], accuracy, unrelated


def neighbours_know(told: Mapping[str, Any], split: str, deviations: float = 4) -> bool | None:
    """Tell whether the votes of neighbours beat chance; None where they were not asked."""
    if split not in told:
        return None
    score = told[split]
    std = deviation(score["unrelated"], score["num_samples"])
    return bool(score["accuracy"] > score["unrelated"] + deviations * std)


def classes_show(told: Mapping[str, Any], split: str) -> bool:
    """Tell whether images of a class look alike in a split, though train's labels do not say so.

    Votes of unrelated labels fall alike for images that lie together: another numbering of
    them, fitted on one half of the split, is right on the other. Hard images gain nothing by it.
    """
    if neighbours_know(told, "train", 2) is not False or split not in told:
        return False
    score = told[split]
    chance = max(score["unrelated"], score["majority"])
    std = deviation(chance, score["num_samples"])
    return bool(score.get("renumbered_accuracy", 0) > chance + 5 * std)


def _moves(evidence: Evidence, stage: str) -> bool:
    """Whether the last look saw weights change by a usual share a step: no rate is to blame."""
    probe_epochs = evidence.probe_epochs(stage)
    ratios = (
        [each["update_ratio"] for each in probe_epochs[-1]["parameters"]] if probe_epochs else []
    )
    known = [each for each in ratios if each is not None]
    return bool(known) and 1e-4 < statistics.median(known) < 0.1


def _passed_gates(evidence: Evidence) -> bool:
    results = [evidence.result(gate) for gate in evidence.gates]
    return all(each is not None and each.passed for each in results)


@dataclass(frozen=True, kw_only=True)
class LabelsUnrelated(Rule):
    """The training samples are learnt by heart, and nothing of it holds for others."""

    # As much as held-out samples are shown not to know; slow nets learn by heart slowly.
    learnt: Annotated[float, Gt(0), Le(1)] = 0.15  # of the way from the majority to all right
    # The held-out accuracy may at most lie so far above chance, its uncertainty included: of two
    # classes that takes 180 samples, of ten 25.
    most_above_chance: Annotated[float, Gt(0)] = 0.15
    least_epochs: Annotated[int, Ge(1)] = 3  # of which this is so
    patience: Annotated[int, Ge(1)] = 8  # epochs, where nothing is learnt

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        split = evidence.monitored
        if evidence.metadata.num_classes is None or split == "train":
            return
        if split in evidence.metadata.layouts:
            return  # the cells of another image: no relation is expected
        told = profile_of(evidence).get("neighbours", {})
        if neighbours_know(told, split):
            return  # pixels do tell the class, so labels are no cause
        for stage in evidence.trainings:
            found = self._look(evidence, stage, split, told) or self._look_at_none(
                evidence, stage, told
            )
            if found:
                yield found
                return

    def _look(
        self, evidence: Evidence, stage: str, split: str, told: Mapping[str, Any]
    ) -> Finding | None:
        majority = evidence.metadata_of(stage).majority_accuracy("train") or 0.0
        epochs = list(judged_epochs(evidence, stage, split))
        least = self._least_learnt(evidence, majority, told, len(epochs))
        learnt = [e for e in epochs if above_chance(e[1], majority) >= least]
        if len(learnt) < self.least_epochs or learnt[-1] != epochs[-1]:
            return None
        count = evidence.metadata.splits[split].num_samples
        accuracy = statistics.fmean(each[2] for each in learnt)
        chance = statistics.fmean(each[3] for each in learnt)
        std = deviation(chance, count)
        hopeless = above_chance(accuracy + 2 * std, chance) < self.most_above_chance
        is_at_chance = abs(accuracy - chance) <= 2 * std  # far below is knowledge, too
        # by chance, some shuffled labels are right for most of a class
        is_far_behind = classes_show(told, split) and learnt[-1][1] > 2 * (accuracy + 2 * std)
        if not (is_at_chance and hopeless) and not is_far_behind:
            return None
        return self._finding(stage, split, learnt, (accuracy, chance, std, count), told)

    def _least_learnt(
        self, evidence: Evidence, majority: float, told: Mapping[str, Any], num_epochs: int
    ) -> float:
        """Where the nearest images know nothing either, whatever chance does not learn."""
        if neighbours_know(told, "train") is not False or num_epochs < self.patience:
            return self.learnt
        count = evidence.metadata.splits["train"].num_samples
        sure = above_chance(majority + 4 * deviation(majority, count), majority)
        return min(self.learnt, sure)

    def _look_at_none(
        self, evidence: Evidence, stage: str, told: Mapping[str, Any]
    ) -> Finding | None:
        """Nothing is learnt, though weights move as they should, and neighbours know no more."""
        epochs = list(judged_epochs(evidence, stage, "train"))[-self.least_epochs :]
        if (
            len(evidence.epochs(stage)) < self.patience
            or neighbours_know(told, "train") is not False
        ):
            return None
        if not _moves(evidence, stage) or not _passed_gates(evidence):
            return None
        count = evidence.metadata.splits["train"].num_samples
        if any(each[1] > each[3] + 3 * deviation(each[3], count) for each in epochs):
            return None
        epoch, accuracy, _, chance = epochs[-1]
        return Finding(
            severity="warning",
            sentence=f"after {epoch} epochs training accuracy is what unrelated predictions score "
            f"({percent(accuracy, 1)}, chance {percent(chance, 1)}), and the nearest images "
            f"know no more",
            evidence={
                "train/accuracy": accuracy,
                "chance": chance,
                "num_samples": count,
                "neighbours/accuracy": told["train"]["accuracy"],
                "neighbours/chance": told["train"]["unrelated"],
            },
            cause="the labels do not belong to their images, or the images do not show them",
            command="look at a few training samples beside their labels",
            stage=stage,
            epoch=epoch,
        )

    def _finding(
        self,
        stage: str,
        split: str,
        learnt: Sequence[tuple[int, float, float, float]],
        level: tuple[float, float, float, int],
        told: Mapping[str, Any],
    ) -> Finding:
        accuracy, chance, std, count = level
        epoch, train_accuracy = learnt[-1][:2]
        at_chance = neighbours_know(told, "train") is False
        evidence = {
            "train/accuracy": train_accuracy,
            f"{split}/accuracy": accuracy,
            "chance": chance,
            "chance_std": std,
            "num_samples": count,
            "num_epochs": len(learnt),
        }
        if "train" in told:
            evidence["neighbours/accuracy"] = told["train"]["accuracy"]
        return Finding(
            severity="fatal" if at_chance else "warning",
            sentence=f"training accuracy is {percent(train_accuracy, 1)}, but {split} stays at "
            f"what unrelated predictions score: {percent(accuracy, 1)} of {count} samples, chance "
            f"{percent(chance, 1)}",
            evidence=evidence,
            cause="the labels do not belong to their images (shuffled, or joined in another "
            "order), or the images do not show what the labels say: the net learns by heart",
            command=f"look at a few samples of train and {split} beside their labels",
            stage=stage,
            epoch=epoch,
        )
