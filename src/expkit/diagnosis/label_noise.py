"""A share of the labels is wrong: as often where the answer is clear as where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.census import above_chance, census_of, deviation
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.predictions import ClassPredictions


@dataclass(frozen=True, kw_only=True)
class LabelNoise(Rule):
    """Labels that depart from what all else says of their sample.

    In data that is merely hard, a clear answer is right: classes that overlap do so somewhere.
    Wrong labels are spread evenly. So three things must meet: who answers knows the classes, its
    clearest answers depart from the labels, and nearly as often as the rest.
    """

    least_share: Annotated[float, Gt(0)] = 0.04  # of wrong labels, less its uncertainty
    # Clearest answers' errors to all. Overlapping classes of equal spread
    # reach 0.3 to 0.6, and cherries by their pixels 0.2.
    least_flatness: Annotated[float, Gt(0), Le(1)] = 0.7
    least_agreement: Annotated[float, Gt(0), Le(1)] = 0.8  # of two halves of the neighbours
    least_knowledge: Annotated[float, Ge(0), Le(1)] = 0.4  # of the way from chance to all right
    least_recall: Annotated[float, Ge(0), Le(1)] = 0.35  # of the worst class, or one is given up
    least_count: Annotated[int, Ge(1)] = 40  # clearest answers

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if evidence.facts.num_classes is None:
            return
        found = (
            self._by_neighbours(evidence)
            or self._by_epochs(evidence)
            or self._by_predictions(evidence)
        )
        if found:
            yield found

    def _by_neighbours(self, evidence: Evidence) -> Finding | None:
        told = census_of(evidence).get("neighbours", {})
        train = told.get("train", {})
        if "num_clearest" not in train or train["agreement"] < self.least_agreement:
            return None
        chance = 1 / (evidence.facts.num_classes or 1)
        if above_chance(train["balanced_accuracy"], chance) < self.least_knowledge:
            return None
        clear, rest, count = (
            train["departing_where_clearest"],
            train["departing"],
            train["num_clearest"],
        )
        if train["least_recall"] < self.least_recall or not self._is_noise(clear, rest, count):
            return None
        figures = {
            "departing_where_clearest": clear,
            "departing": rest,
            "num_clearest": count,
            "agreement_of_halves": train["agreement"],
            "suspects": list(told.get("suspects", [])),
        }
        return _finding("train", clear, figures, evidence, "their nearest neighbours agree on")

    def _by_epochs(self, evidence: Evidence) -> Finding | None:
        """The first looks know the classes, and have not yet learnt the wrong labels by heart.

        How many are wrong is told best by whoever knows most.
        """
        for stage in evidence.trainings:
            found = sorted(self._doubts(evidence, stage), key=lambda each: each[0])
            if found:
                first = min(epoch for _, epoch, _ in found)
                return replace(found[-1][2], stage=stage, epoch=first)
        return None

    def _doubts(self, evidence: Evidence, stage: str) -> Iterator[tuple[float, int, Finding]]:
        """Accuracy, epoch and finding for each look at a split that shows wrong labels."""
        lines = {each["epoch"]: each for each in evidence.epochs(stage)}
        for look in evidence.of_kind("epoch", stage):
            for split, confident in look.get("confident_error", {}).items():
                accuracy = lines.get(look["epoch"], {}).get(f"{split}/accuracy")
                if accuracy is None or not confident:
                    continue
                found = self._judge(evidence, split, accuracy, confident)
                if found:
                    yield accuracy, look["epoch"], found

    def _by_predictions(self, evidence: Evidence) -> Finding | None:
        for split, given in evidence.predictions.items():
            if split == "train" or not isinstance(given, ClassPredictions):
                continue  # training samples may be learnt by heart by then
            quarter = len(given.targets) // 4
            surest = given.probabilities.max(1).argsort()[::-1][:quarter]
            wrong = given.predictions != given.targets
            if not quarter:
                continue
            confident = {"share": float(wrong[surest].mean()), "count": quarter}
            found = self._judge(evidence, split, 1 - float(wrong.mean()), confident)
            if found:
                return found
        return None

    def _judge(
        self, evidence: Evidence, split: str, accuracy: float, confident: Mapping[str, Any]
    ) -> Finding | None:
        majority = evidence.facts.majority_accuracy(split)
        if majority is None or above_chance(accuracy, majority) < self.least_knowledge:
            return None
        share, count = confident["share"], confident["count"]
        if not self._is_noise(share, 1 - accuracy, count):
            return None
        figures = {"confident_error": share, "error": 1 - accuracy, "num_confident": count}
        return _finding(split, share, figures, evidence, "the net is surest of")

    def _is_noise(self, clear: float, rest: float, count: int) -> bool:
        spread = deviation(clear, count)
        is_sure = clear - 2 * spread > self.least_share
        return count >= self.least_count and is_sure and clear > self.least_flatness * rest


def _finding(
    split: str, share: float, figures: Mapping[str, Any], evidence: Evidence, who: str
) -> Finding:
    can_smooth = not evidence.config["loss"].get("label_smoothing", 1)
    return Finding(
        severity="warning",
        sentence=f"about {share:.0%} of the labels of {split} look wrong: so many depart from what "
        f"{who}, as often as elsewhere",
        evidence=figures,
        cause="labels were given by mistake, or joined to other samples' pictures, for a share of "
        "the samples",
        remedies=[["loss.label_smoothing=0.1"]] if can_smooth else [],
        command="look at the suspects beside their labels" if figures.get("suspects") else "",
    )
