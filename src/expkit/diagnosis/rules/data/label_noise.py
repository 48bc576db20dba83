"""A fraction of the labels is wrong: as often where the prediction is clear as where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.recorded_profile import above_chance, deviation, profile_of
from expkit.diagnosis.rule import Rule
from expkit.metrics.predictions import ClassPredictions


class ConfidentErrors(NamedTuple):
    """The errors, in one epoch, of a net that knows the classes."""

    epoch: int | None
    confident: float  # fraction of its most confident predictions that depart from the labels
    error: float  # of all predictions
    num_confident: int


@dataclass(frozen=True, kw_only=True)
class LabelNoise(Rule):
    """Labels that depart from what all else says of their sample.

    In data that is merely hard, a clear answer is right: classes that overlap do so somewhere.
    Wrong labels are spread evenly. So three things must meet: who predicts knows the classes, its
    most confident predictions depart from the labels, and nearly as often as the rest.
    """

    least_fraction: Annotated[float, Gt(0)] = 0.04
    deviations: Annotated[float, Gt(0)] = 2.0
    # Overlapping classes of equal std reach 0.3 to 0.6, and cherries by their pixels 0.2.
    least_flatness: Annotated[float, Gt(0), Le(1)] = 0.7
    # The more classes, the less likely a net is sure and wrong. Measured at 20 % wrong labels:
    # 0.66 of ten classes, 0.72 of four; of cherries, without any, 0.6.
    least_flatness_of_2: Annotated[float, Gt(0), Le(1)] = 0.8
    least_flatness_of_5: Annotated[float, Gt(0), Le(1)] = 0.7
    least_flatness_of_many: Annotated[float, Gt(0), Le(1)] = 0.6
    least_flatness_at_once: Annotated[float, Gt(0), Le(1)] = 0.8
    least_agreement: Annotated[float, Gt(0), Le(1)] = 0.8
    least_gain: Annotated[float, Gt(0)] = 0.15
    gain_deviations: Annotated[float, Gt(0)] = 5.0
    least_knowledge: Annotated[float, Ge(0), Le(1)] = 0.4
    least_recall: Annotated[float, Ge(0), Le(1)] = 0.35  # or a class is given up
    least_count: Annotated[int, Ge(1)] = 40
    min_probe_epochs: Annotated[int, Ge(1)] = 3

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if evidence.metadata.num_classes is None or self._has_conflicting_twins(evidence):
            return
        found = (
            self._by_neighbours(evidence)
            or self._by_epochs(evidence)
            or self._by_predictions(evidence)
        )
        if found:
            yield found

    def _has_conflicting_twins(self, evidence: Evidence) -> bool:
        """Tell whether training images that stand twice under two labels are reason enough."""
        profile = profile_of(evidence)
        count = profile.get("duplicates", {}).get("conflicting", {}).get("count", 0)
        return (
            bool(count)
            and count >= self.least_fraction * evidence.metadata.splits["train"].num_samples
        )

    def _is_refuted(self, evidence: Evidence, split: str, fraction: float) -> bool:
        """Tell whether the nearest images agree with more labels than so much noise would let."""
        score = profile_of(evidence).get("neighbours", {}).get(split)
        return score is not None and 1 - score["accuracy"] < fraction / 2

    def _by_neighbours(self, evidence: Evidence) -> Finding | None:
        neighbours = profile_of(evidence).get("neighbours", {})
        train = neighbours.get("train", {})
        if "num_clearest" not in train:
            return None
        is_agreed = train["agreement"] >= self.least_agreement
        if not is_agreed and not self._hold_elsewhere(evidence, neighbours):
            return None
        chance = 1 / (evidence.metadata.num_classes or 1)
        if above_chance(train["balanced_accuracy"], chance) < self.least_knowledge:
            return None
        clear, rest, count = (
            train["departing_where_clearest"],
            train["departing"],
            train["num_clearest"],
        )
        if train["least_recall"] < self.least_recall or not self._is_noise(clear, rest, count):
            return None
        suspects = list(neighbours.get("suspects", []))
        return self.finding(
            "by_neighbours",
            {
                "departing_where_clearest": clear,
                "departing": rest,
                "num_clearest": count,
                "agreement_of_halves": train["agreement"],
                "suspects": suspects,
            },
            parts={"smoothing": _can_smooth(evidence), "look": bool(suspects)},
        )

    def _hold_elsewhere(self, evidence: Evidence, neighbours: Mapping[str, Any]) -> bool:
        """Tell whether the votes are right for held-out samples far more often than for train's.

        Many wrong labels make halves disagree, as hard images do; but those are as hard in every
        split. Copies of training images would make a split easy.
        """
        split, train = evidence.monitored, neighbours["train"]
        if (
            split == "train"
            or split not in neighbours
            or profile_of(evidence)["duplicates"]["across"]["count"]
        ):
            return False
        score = neighbours[split]
        gain = score["balanced_accuracy"] - train["balanced_accuracy"]
        errors = [
            deviation(each["balanced_accuracy"], each["num_samples"]) for each in (score, train)
        ]
        return bool(gain > max(self.least_gain, self.gain_deviations * math.hypot(*errors)))

    def _by_epochs(self, evidence: Evidence) -> Finding | None:
        """The finding of several epochs that know the classes, and no wrong labels by heart yet.

        A net of two classes that relies on one trait is as often wrong where it is sure, for a
        while: of cherries 14 % of the most confident against 23 % of all.
        """
        for stage in evidence.trainings:
            least = self._least_flatness(evidence.metadata_of(stage).num_classes or 2)
            for split in ("train", evidence.monitored):
                if split == "train" and _is_held_back(evidence, stage):
                    continue  # of images that are mixed or changed, or by half a net
                epochs = self._knowing_epochs(evidence, stage, split)
                if split == "train":  # later ones know wrong labels by heart
                    epochs = epochs[: self.min_probe_epochs]
                if len(epochs) < self.min_probe_epochs:
                    continue
                fraction = median(each.confident for each in epochs)
                is_flat = median(each.confident / each.error for each in epochs) > least
                is_noise = is_flat and self._is_noise(fraction, fraction, epochs[-1].num_confident)
                if is_noise and not self._is_refuted(evidence, split, fraction):
                    rest = median(each.error for each in epochs)
                    found = ConfidentErrors(
                        epochs[-1].epoch, fraction, rest, epochs[-1].num_confident
                    )
                    return self._by_net(evidence, split, found, stage)
        return None

    def _least_flatness(self, num_classes: int) -> float:
        if num_classes <= 2:
            return self.least_flatness_of_2
        return self.least_flatness_of_5 if num_classes <= 5 else self.least_flatness_of_many

    def _knowing_epochs(self, evidence: Evidence, stage: str, split: str) -> list[ConfidentErrors]:
        """The epochs that know the classes, and are not right on all samples."""
        lines = {each["epoch"]: each for each in evidence.epochs(stage)}
        majority = evidence.metadata_of(stage).majority_accuracy(split) or 0.0
        found = []
        for signal in evidence.of_kind("epoch", stage):
            epoch, confident = signal["epoch"], signal.get("confident_error", {}).get(split)
            accuracy = lines.get(epoch, {}).get(f"{split}/accuracy")
            if not confident or accuracy is None or accuracy == 1:
                continue
            if above_chance(accuracy, majority) >= self.least_knowledge:
                found.append(
                    ConfidentErrors(epoch, confident["fraction"], 1 - accuracy, confident["count"])
                )
        return found

    def _by_predictions(self, evidence: Evidence) -> Finding | None:
        """The finding of the held-out predictions of one epoch, where there are three classes."""
        for split, given in evidence.predictions.items():
            majority = evidence.metadata.majority_accuracy(split)
            if split == "train" or not isinstance(given, ClassPredictions) or majority is None:
                continue  # training samples may be learnt by heart by then
            quarter = len(given.targets) // 4
            wrong = given.predictions != given.targets
            if not quarter or len(given.class_names) < 3:
                continue
            confident = given.probabilities.max(1).argsort()[::-1][:quarter]
            fraction, error = float(wrong[confident].mean()), float(wrong.mean())
            if (
                above_chance(1 - error, majority) >= self.least_knowledge
                and fraction > self.least_flatness_at_once * error
                and self._is_noise(fraction, fraction, quarter)
                and not self._is_refuted(evidence, split, fraction)
            ):
                return self._by_net(
                    evidence, split, ConfidentErrors(None, fraction, error, quarter)
                )
        return None

    def _by_net(
        self, evidence: Evidence, split: str, found: ConfidentErrors, stage: str = ""
    ) -> Finding:
        return self.finding(
            "by_net",
            {
                "confident_error": found.confident,
                "error": found.error,
                "num_confident": found.num_confident,
            },
            stage=stage,
            epoch=found.epoch,
            parts={"smoothing": _can_smooth(evidence)},
            split=split,
        )

    def _is_noise(self, clear: float, rest: float, count: int) -> bool:
        is_sure = clear - self.deviations * deviation(clear, count) > self.least_fraction
        return count >= self.least_count and is_sure and clear > self.least_flatness * rest


def _is_held_back(evidence: Evidence, stage: str) -> bool:
    """Tell whether training figures are of other images, or of a net that is not all there."""
    augment, settings = evidence.config["augment"], evidence.stage_config(stage)
    return bool(
        augment.get("transforms")
        or augment.get("mixup_alpha")
        or augment.get("cutmix_alpha")
        or settings.get("balanced_sampling")
        or any("drop" in str(key) and value for key, value in evidence.config["model"].items())
    )


def _can_smooth(evidence: Evidence) -> bool:
    return not evidence.config["loss"].get("label_smoothing", 1)
