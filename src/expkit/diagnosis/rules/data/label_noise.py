"""A fraction of the labels is wrong: as often where the prediction is clear as where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.sampling import above_chance, deviation, profile_of
from expkit.metrics.percentages import percent
from expkit.metrics.predictions import ClassPredictions

# By the number of classes, at most: the more there are, the less likely a net is sure and wrong.
# Measured at 20 % wrong labels: 0.66 of ten classes, 0.72 of four; of cherries, without any, 0.6.
NET_FLATNESS = ((2, 0.8), (5, 0.7), (math.inf, 0.6))
ANSWER_FLATNESS = 0.8  # of one look alone


@dataclass(frozen=True, kw_only=True)
class LabelNoise(Rule):
    """Labels that depart from what all else says of their sample.

    In data that is merely hard, a clear answer is right: classes that overlap do so somewhere.
    Wrong labels are spread evenly. So three things must meet: who predicts knows the classes, its
    most confident predictions depart from the labels, and nearly as often as the rest.
    """

    least_fraction: Annotated[float, Gt(0)] = 0.04  # of wrong labels, less its uncertainty
    # Most confident predictions' errors to all. Overlapping classes of equal spread
    # reach 0.3 to 0.6, and cherries by their pixels 0.2.
    least_flatness: Annotated[float, Gt(0), Le(1)] = 0.7
    least_agreement: Annotated[float, Gt(0), Le(1)] = 0.8  # of two halves of the neighbours
    least_gain: Annotated[float, Gt(0)] = 0.15  # of votes held out, where halves agree less
    least_knowledge: Annotated[float, Ge(0), Le(1)] = 0.4  # of the way from chance to all right
    least_recall: Annotated[float, Ge(0), Le(1)] = 0.35  # of the worst class, or one is given up
    least_count: Annotated[int, Ge(1)] = 40  # most confident predictions
    min_probe_epochs: Annotated[int, Ge(1)] = 3  # of a net that knows the classes

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if evidence.metadata.num_classes is None or self._is_told_by_twins(evidence):
            return
        found = (
            self._by_neighbours(evidence)
            or self._by_epochs(evidence)
            or self._by_predictions(evidence)
        )
        if found:
            yield found

    def _is_told_by_twins(self, evidence: Evidence) -> bool:
        """Tell whether training images that stand twice under two labels are reason enough."""
        profile = profile_of(evidence)
        count = profile.get("duplicates", {}).get("conflicting", {}).get("count", 0)
        return (
            bool(count)
            and count >= self.least_fraction * evidence.metadata.splits["train"].num_samples
        )

    def _is_refuted(self, evidence: Evidence, split: str, fraction: float) -> bool:
        """Whether the nearest images agree with more labels than so many wrong ones would let."""
        told = profile_of(evidence).get("neighbours", {}).get(split)
        return told is not None and 1 - told["accuracy"] < fraction / 2

    def _by_neighbours(self, evidence: Evidence) -> Finding | None:
        told = profile_of(evidence).get("neighbours", {})
        train = told.get("train", {})
        if "num_clearest" not in train:
            return None
        if train["agreement"] < self.least_agreement and not self._hold_elsewhere(evidence, told):
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
        figures = {
            "departing_where_clearest": clear,
            "departing": rest,
            "num_clearest": count,
            "agreement_of_halves": train["agreement"],
            "suspects": list(told.get("suspects", [])),
        }
        return _finding("train", clear, figures, evidence, "their nearest neighbours agree on")

    def _hold_elsewhere(self, evidence: Evidence, told: Mapping[str, Any]) -> bool:
        """Whether the votes are right for held-out samples, far more often than for train's own.

        Many wrong labels make halves disagree, as hard images do; but those are as hard in every
        split. Copies of training images would make a split easy.
        """
        split, train = evidence.monitored, told["train"]
        if (
            split == "train"
            or split not in told
            or profile_of(evidence)["duplicates"]["across"]["count"]
        ):
            return False
        score = told[split]
        gain = score["balanced_accuracy"] - train["balanced_accuracy"]
        errors = [
            deviation(each["balanced_accuracy"], each["num_samples"]) for each in (score, train)
        ]
        return bool(gain > max(self.least_gain, 5 * math.hypot(*errors)))

    def _by_epochs(self, evidence: Evidence) -> Finding | None:
        """Several looks that know the classes, and have not yet learnt wrong labels by heart.

        A net of two classes that relies on one trait is as often wrong where it is sure, for a
        while: of cherries 14 % of the surest against 23 % of all.
        """
        for stage in evidence.trainings:
            classes = evidence.metadata_of(stage).num_classes or 2
            flatness = next(bound for most, bound in NET_FLATNESS if classes <= most)
            for split in ("train", evidence.monitored):
                if split == "train" and _is_held_back(evidence, stage):
                    continue  # of images that are mixed or changed, or by half a net
                probe_epochs = self._knowing_probe_epochs(evidence, stage, split)
                if split == "train":
                    probe_epochs = probe_epochs[
                        : self.min_probe_epochs
                    ]  # later ones know wrong labels by heart
                if len(probe_epochs) < self.min_probe_epochs:
                    continue
                fraction = median(clear for _, clear, _, _ in probe_epochs)
                count, rest = probe_epochs[-1][3], median(error for _, _, error, _ in probe_epochs)
                is_flat = median(clear / error for _, clear, error, _ in probe_epochs) > flatness
                is_noise = is_flat and self._is_noise(fraction, fraction, count)
                if is_noise and not self._is_refuted(evidence, split, fraction):
                    figures = {"confident_error": fraction, "error": rest, "num_confident": count}
                    found = _finding(
                        split, fraction, figures, evidence, "the net is most confident of"
                    )
                    return replace(found, stage=stage, epoch=probe_epochs[-1][0])
        return None

    def _knowing_probe_epochs(
        self, evidence: Evidence, stage: str, split: str
    ) -> list[tuple[int, float, float, int]]:
        """Epoch, error of the most confident predictions, of all, and how many were sure."""
        lines = {each["epoch"]: each for each in evidence.epochs(stage)}
        majority = evidence.metadata_of(stage).majority_accuracy(split) or 0.0
        probe_epochs = []
        for probe_epoch in evidence.of_kind("epoch", stage):
            confident = probe_epoch.get("confident_error", {}).get(split)
            accuracy = lines.get(probe_epoch["epoch"], {}).get(f"{split}/accuracy")
            if not confident or accuracy is None or accuracy == 1:
                continue
            if above_chance(accuracy, majority) >= self.least_knowledge:
                probe_epochs.append(
                    (probe_epoch["epoch"], confident["fraction"], 1 - accuracy, confident["count"])
                )
        return probe_epochs

    def _by_predictions(self, evidence: Evidence) -> Finding | None:
        """One look at held-out predictions alone: of two classes it would not do."""
        for split, given in evidence.predictions.items():
            majority = evidence.metadata.majority_accuracy(split)
            if split == "train" or not isinstance(given, ClassPredictions) or majority is None:
                continue  # training samples may be learnt by heart by then
            quarter = len(given.targets) // 4
            wrong = given.predictions != given.targets
            if not quarter or len(given.class_names) < 3:
                continue
            surest = given.probabilities.max(1).argsort()[::-1][:quarter]
            fraction, error = float(wrong[surest].mean()), float(wrong.mean())
            knows = above_chance(1 - error, majority) >= self.least_knowledge
            if self._is_refuted(evidence, split, fraction):
                continue
            if (
                knows
                and fraction > ANSWER_FLATNESS * error
                and self._is_noise(fraction, fraction, quarter)
            ):
                figures = {"confident_error": fraction, "error": error, "num_confident": quarter}
                return _finding(split, fraction, figures, evidence, "the net is most confident of")
        return None

    def _is_noise(self, clear: float, rest: float, count: int) -> bool:
        is_sure = clear - 2 * deviation(clear, count) > self.least_fraction
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


def _finding(
    split: str, fraction: float, figures: Mapping[str, Any], evidence: Evidence, who: str
) -> Finding:
    can_smooth = not evidence.config["loss"].get("label_smoothing", 1)
    return Finding(
        severity="warning",
        sentence=f"about {percent(fraction, 0)} of the labels of {split} look wrong: so many "
        f"depart from what {who}, as often as elsewhere",
        evidence=figures,
        cause="labels were given by mistake, or joined to other samples' images, for a share of "
        "the samples",
        remedies=[["loss.label_smoothing=0.1"]] if can_smooth else [],
        command="look at the suspects beside their labels" if figures.get("suspects") else "",
    )
