"""A split whose classes are numbered otherwise than those of the training samples."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.recorded_profile import above_chance, deviation, held_out_names, profile_of
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.data.labels import judged_epochs
from expkit.metrics.predictions import ClassPredictions


@dataclass(frozen=True, kw_only=True)
class ClassMapDiffers(Rule):
    """A split numbers its classes otherwise than the training samples do."""

    least_gain: Annotated[float, Gt(0)] = 0.08
    deviations: Annotated[float, Gt(0)] = 4.0
    deviations_below: Annotated[float, Gt(0)] = 5.0
    least_knowledge: Annotated[float, Gt(0)] = 0.2
    least_fraction: Annotated[float, Gt(0.5), Le(1)] = 0.6
    least_samples: Annotated[int, Ge(1)] = 10

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if evidence.metadata.class_names is None:
            return
        for split in held_out_names(evidence):
            found = (
                self._by_neighbours(evidence, split)
                or self._by_predictions(evidence, split)
                or self._by_accuracy(evidence, split)
            )
            if found:
                yield found
                return

    def _by_neighbours(self, evidence: Evidence, split: str) -> Finding | None:
        neighbours = profile_of(evidence).get("neighbours", {})
        score, train = neighbours.get(split, {}), neighbours.get("train", {})
        if not score.get("moved") or "recalls" not in score:
            return None
        chance = 1 / len(score["recalls"])
        if above_chance(train["balanced_accuracy"], chance) < self.least_knowledge:
            return None  # of shuffled labels one prevails in a cluster by luck, and so moves it
        before, after = score["accuracy"], score["renumbered_accuracy"]
        std = deviation(before, score["num_samples"]) + deviation(after, score["num_samples"])
        moved = score["moved"]  # predicted class, and the label that it stands for
        ours = statistics.fmean(score["recalls"][label] or 0 for _, label in moved)
        theirs = statistics.fmean(train["recalls"][label] or 0 for _, label in moved)
        if after - before < max(self.least_gain, self.deviations * std / 2) or ours > theirs / 2:
            return None
        return self._renumbered(
            evidence,
            split,
            moved,
            {"neighbours/accuracy": before, "neighbours/renumbered_accuracy": after},
        )

    def _by_predictions(self, evidence: Evidence, split: str) -> Finding | None:
        """The finding of classes that a net, right on train, nearly always takes for others."""
        ours, train = (evidence.predictions.get(name) for name in (split, "train"))
        if not isinstance(ours, ClassPredictions) or not isinstance(train, ClassPredictions):
            return None
        moved = {}
        for label in range(len(ours.class_names)):
            members = ours.targets == label
            known = train.targets == label
            if members.sum() < self.least_samples or not known.any():
                continue
            predictions = ours.predictions[members].tolist()
            ((favourite, count),) = Counter(predictions).most_common(1)
            is_learnt = (train.predictions[known] == label).mean() >= self.least_fraction
            if favourite != label and count / len(predictions) >= self.least_fraction and is_learnt:
                moved[label] = favourite
        # numbered otherwise: a collapse onto one class, or mistakes, are no permutation
        moved = {label: to for label, to in moved.items() if to in moved}
        if len(moved) < 2 or len(set(moved.values())) < len(moved):
            return None
        right = float((ours.predictions == ours.targets).mean())
        figures = {f"{split}/accuracy": right, "num_moved": len(moved)}
        pairs = [[to, label] for label, to in moved.items()]
        return self._renumbered(evidence, split, pairs, figures)

    def _by_accuracy(self, evidence: Evidence, split: str) -> Finding | None:
        """The finding of an accuracy far below chance, which takes knowledge of other numbers."""
        for stage in evidence.trainings:
            count = evidence.metadata.splits[split].num_samples
            majority = evidence.metadata_of(stage).majority_accuracy("train") or 0.0
            epochs = list(judged_epochs(evidence, stage, split))
            below = [
                each
                for each in epochs[-2:]
                if above_chance(each.train, majority) > self.least_knowledge
                and each.accuracy < each.unrelated / 2
                and each.accuracy
                < each.unrelated - self.deviations_below * deviation(each.unrelated, count)
            ]
            if len(below) == 2:
                epoch, train, accuracy, chance = below[-1]
                figures = {"train/accuracy": train, f"{split}/accuracy": accuracy, "chance": chance}
                return self._renumbered(evidence, split, [], figures, stage, epoch)
        return None

    def _renumbered(
        self,
        evidence: Evidence,
        split: str,
        moved: Sequence[Sequence[int]],
        figures: Mapping[str, float],
        stage: str = "",
        epoch: int | None = None,
    ) -> Finding:
        names = evidence.metadata.class_names or ()
        pairs = [f"{names[predicted]} is labelled {names[label]}" for predicted, label in moved]
        return self.finding(
            "renumbered" if pairs else "far_below_chance",
            {**figures, **({"moved": pairs} if pairs else {})},
            stage=stage,
            epoch=epoch,
            split=split,
            pairs=listed(pairs),
        )
