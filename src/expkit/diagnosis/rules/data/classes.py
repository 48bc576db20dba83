"""Classes that a split lacks, that are too rare, or of which there are too few samples."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.next_command import SEEDS, train_again
from expkit.diagnosis.recorded_profile import above_chance, held_out_names
from expkit.diagnosis.rule import Rule
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions

# figures that a class which is never predicted pulls down, however rare it is
FAIR_FIGURES = ("balanced_accuracy", "macro_", "auroc", "average_precision", "[")


@dataclass(frozen=True, kw_only=True)
class MissingClasses(Rule):
    """A class that stands in one split and not in another."""

    least_per_class: Annotated[int, Ge(1)] = 2

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        names = evidence.metadata.class_names
        train = evidence.metadata.splits["train"].class_counts
        if names is None or train is None:
            return
        if evidence.metadata.trained_by is not None:
            yield from self._absent(evidence, evidence.metadata.trained_by.run)
            return
        allowed = {str(each) for each in evidence.config["dataset"].get("allow_missing") or ()}
        for split in held_out_names(evidence):
            counts = evidence.metadata.splits[split].class_counts
            if counts is None:
                continue
            pairs = [
                (name, ours, theirs)
                for name, ours, theirs in zip(names, train, counts, strict=True)
                if name not in allowed
            ]
            unlearnable = [name for name, ours, theirs in pairs if theirs and not ours]
            unjudged = [name for name, ours, theirs in pairs if ours and not theirs]
            if unlearnable or unjudged:
                yield self._missing(evidence, split, unlearnable, unjudged)
                return

    def _absent(self, evidence: Evidence, run: str) -> Iterator[Finding]:
        """The finding of classes that an evaluation lacks: its figures are over the others."""
        split, names = evidence.metadata.judged_split, evidence.metadata.class_names or ()
        counts = evidence.metadata.splits[split].class_counts or ()
        absent = [name for name, count in zip(names, counts, strict=True) if not count]
        if absent:
            yield self.finding(
                "absent",
                {"absent": absent, "num_samples": sum(counts)},
                split=split,
                classes=listed(absent, 5),
                num_present=len(names) - len(absent),
                num_classes=len(names),
                run=run,
            )

    def _missing(
        self, evidence: Evidence, split: str, unlearnable: list[str], unjudged: list[str]
    ) -> Finding:
        num_samples = evidence.metadata.splits[split].num_samples
        # a split smaller than the list of classes cannot have them all
        num_classes = len(evidence.metadata.class_names or ())
        is_small = not unlearnable and num_samples < self.least_per_class * num_classes
        alone = "unlearnable" if unlearnable else "unjudged"
        return self.finding(
            "unlearnable_and_unjudged" if unlearnable and unjudged else alone,
            {
                "missing_in_train": unlearnable,
                f"missing_in_{split}": unjudged,
                "num_samples": num_samples,
            },
            severity="info" if is_small else "warning",
            split=split,
            unlearnable=listed(unlearnable, 5),
            unjudged=listed(unjudged, 5),
        )


@dataclass(frozen=True, kw_only=True)
class ClassImbalance(Rule):
    """Rare classes that neither the loss, nor the sampling, nor the verdict takes care of."""

    # At ten to one a net that never predicts the rare class of two is right in 91 %.
    least_ratio: Annotated[float, Gt(1)] = 10.0
    least_fairness: Annotated[float, Gt(0)] = 0.8

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        counts = evidence.metadata.splits["train"].class_counts
        present = [count for count in counts or () if count]
        if len(present) < 2 or max(present) < self.least_ratio * min(present):
            return
        if _is_treated(evidence) or self._is_learnt(evidence, counts or ()):
            return
        names = evidence.metadata.class_names or ()
        rare = [
            name
            for name, count in zip(names, counts or (), strict=True)
            if count and max(present) >= self.least_ratio * count
        ]
        unbalanced = _unbalanced(evidence)[:1]
        yield self.finding(
            "untreated",
            {
                "largest": max(present),
                "smallest": min(present),
                "rare_classes": rare[:20],
                "majority_accuracy": max(present) / sum(present),
            },
            parts={
                "class_weights": "class_weights" in evidence.config["loss"],
                "balanced_sampling": bool(unbalanced),
            },
            ratio=max(present) / min(present),
            training="".join(unbalanced),
        )

    def _is_learnt(self, evidence: Evidence, counts: Sequence[int]) -> bool:
        """Tell whether predictions after training show that the rare classes were not given up."""
        given = evidence.predictions.get(evidence.metadata.judged_split)
        if not isinstance(given, ClassPredictions):
            return False
        right = given.predictions == given.targets
        present = [
            each for each, count in enumerate(counts) if count and (given.targets == each).any()
        ]
        recalls = {each: float(right[given.targets == each].mean()) for each in present}
        rare = [r for each, r in recalls.items() if max(counts) >= self.least_ratio * counts[each]]
        rest = [r for each, r in recalls.items() if max(counts) < self.least_ratio * counts[each]]
        if not rare or not rest:
            return False
        return statistics.fmean(rare) >= self.least_fairness * statistics.fmean(rest)


def _unbalanced(evidence: Evidence) -> list[str]:
    """The training stages of the procedure that draw samples as they come."""
    stages = evidence.config["procedure"].items()
    return [
        name
        for name, stage in stages
        if str(stage["_target_"]).endswith(".Training") and not stage.get("balanced_sampling")
    ]


def _is_treated(evidence: Evidence) -> bool:
    stages = [str(name) for name in evidence.config["procedure"]]
    losses = [evidence.of_stage(name).config["loss"] for name in stages] or [{}]
    is_weighted = any(
        bool(loss.get("class_weights")) or str(loss.get("_target_", "")).endswith("Focal")
        for loss in losses
    )
    is_fair = any(part in name for name in evidence.config["criteria"] for part in FAIR_FIGURES)
    return is_weighted or is_fair or not _unbalanced(evidence)


@dataclass(frozen=True, kw_only=True)
class TooFewSamples(Rule):
    """Too few samples to learn a class from, or to tell two results apart."""

    least_per_class: Annotated[int, Ge(1)] = 10
    # Of fewer of most classes no net of its own draws what a class has in common.
    hopeless_per_class: Annotated[int, Ge(1)] = 5
    # Where training ended well, few were enough; before it ends nobody knows.
    most_known: Annotated[float, Gt(0)] = 0.7
    least_gap: Annotated[float, Gt(0)] = 0.2
    # 1.96 / (2 sqrt(n + 1.96^2)): ten points either way at 92 samples
    most_uncertain: Annotated[float, Gt(0)] = 0.1

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        metadata = evidence.metadata
        counts = metadata.splits["train"].class_counts
        held_out = metadata.splits[metadata.judged_split].num_samples
        if counts is None or metadata.judged_split == "train":
            return
        few = [n for n in counts if 0 < n < self.least_per_class] if evidence.trains else []
        low, high = wilson(held_out / 2, held_out) or (0.0, 1.0)
        half_width = (high - low) / 2
        is_uncertain = half_width > self.most_uncertain
        if not few and not is_uncertain:
            return
        alone = "few_to_learn" if few else "few_to_judge"
        way, command = _way_to_more(evidence)
        yield self.finding(
            "few_to_learn_and_to_judge" if few and is_uncertain else alone,
            {
                "num_small_classes": len(few),
                "smallest_class": min((each for each in counts if each), default=0),
                "num_held_out": held_out,
                "half_interval": half_width,
            },
            severity="warning" if self._is_hopeless(evidence, counts) else "info",
            parts={way: True},
            least_per_class=self.least_per_class,
            half_width_points=100 * half_width,
            train_again=command,
        )

    def _is_hopeless(self, evidence: Evidence, counts: Sequence[int]) -> bool:
        """Tell whether a typical class has a handful, and weights come from nowhere else."""
        present = [count for count in counts if count]
        is_pretrained = bool(evidence.config["model"].get("pretrained"))
        if is_pretrained or evidence.metadata.judged_split in evidence.metadata.layouts:
            return False
        return statistics.median(present) < self.hopeless_per_class and self._went_badly(evidence)

    def _went_badly(self, evidence: Evidence) -> bool:
        """Tell whether training ended, and what was learnt of train holds for few others."""
        split = evidence.monitored
        if not evidence.trainings or split == "train":
            return False
        stage = evidence.trainings[-1]
        lines = [each for each in evidence.epochs(stage) if f"{split}/accuracy" in each]
        if not lines or evidence.result(stage) is None or not evidence.has_plain_accuracy(stage):
            return False
        majority = evidence.metadata_of(stage).majority_accuracy(split) or 0.0
        best = max(lines, key=lambda each: float(each[f"{split}/accuracy"]))[f"{split}/accuracy"]
        gap = max(float(each["train/accuracy"]) for each in lines) - best
        return above_chance(best, majority) < self.most_known and gap >= self.least_gap


def _way_to_more(evidence: Evidence) -> tuple[str, str]:
    """The way to a surer figure that this data and this run allow, and its command."""
    dataset = evidence.config["dataset"]
    if not evidence.trains:
        return "evaluate_more", ""
    if dataset.get("fold") is not None:
        return "all_folds", ""
    counts = [
        evidence.metadata.splits[name].class_counts or ()
        for name in ("train", "val")
        if name in evidence.metadata.splits
    ]
    fewest = min((sum(each) for each in zip(*counts, strict=False) if sum(each)), default=0)
    num_folds = min(fewest, int(dataset.get("num_folds") or 0))
    if "fold" not in dataset or num_folds < 2:
        return "several_seeds", train_again(evidence.overrides, SEEDS, is_sweep=True)
    folds = [f"dataset.fold={','.join(map(str, range(num_folds)))}"]
    if num_folds != dataset["num_folds"]:
        folds.append(f"dataset.num_folds={num_folds}")
    return "by_folds", train_again(evidence.overrides, folds, is_sweep=True)
