"""Classes that a split lacks, that are too rare, or of which there are too few samples."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.commands import SEEDS, train_again
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, counted
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.sampling import above_chance, held_out_names, listed
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions

# figures that a class which is never predicted pulls down, however rare it is
FAIR_FIGURES = ("balanced_accuracy", "macro_", "auroc", "average_precision", "[")


@dataclass(frozen=True, kw_only=True)
class MissingClasses(Rule):
    """A class that stands in one split and not in another."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        names = evidence.metadata.class_names
        train = evidence.metadata.splits["train"].class_counts
        if names is None or train is None:
            return
        if evidence.metadata.trained_by is not None:
            yield from _absent(evidence, evidence.metadata.trained_by.run)
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
                yield _missing(evidence, split, unlearnable, unjudged)
                return


def _absent(evidence: Evidence, run: str) -> Iterator[Finding]:
    """Other data may lack classes of the model: its figures are over those that are there."""
    split, names = evidence.metadata.judged_split, evidence.metadata.class_names or ()
    counts = evidence.metadata.splits[split].class_counts or ()
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        yield Finding(
            severity="info",
            sentence=f"{split} has no sample of {listed(absent)}: the figures are over "
            f"{len(names) - len(absent)} of the {len(names)} classes of {run}",
            evidence={"absent": absent, "num_samples": sum(counts)},
            cause="the data has not all classes; the model may still predict those",
            command="compare with figures over the same classes only",
        )


def _missing(
    evidence: Evidence, split: str, unlearnable: list[str], unjudged: list[str]
) -> Finding:
    told = []
    if unlearnable:
        told.append(f"train has no sample of {listed(unlearnable)}, which {split} asks for")
    if unjudged:
        told.append(f"{split} has no sample of {listed(unjudged)}, which train has")
    num_samples = evidence.metadata.splits[split].num_samples
    # a split smaller than the list of classes cannot have them all
    is_small = not unlearnable and num_samples < 2 * len(evidence.metadata.class_names or ())
    return Finding(
        severity="info" if is_small else "warning",
        sentence="; ".join(told),
        evidence={
            "missing_in_train": unlearnable,
            f"missing_in_{split}": unjudged,
            "num_samples": num_samples,
        },
        cause="the splits were not drawn by class, or a folder is missing or misspelt",
        command="draw the splits anew by class (one pool of samples, dataset.val_fraction=0.15)",
    )


@dataclass(frozen=True, kw_only=True)
class ClassImbalance(Rule):
    """Rare classes that neither the loss, nor the sampling, nor the verdict takes care of."""

    # At ten to one a net that never predicts the rare class of two is right in 91 %.
    least_ratio: Annotated[float, Gt(1)] = 10.0  # largest to smallest class
    least_fairness: Annotated[float, Gt(0)] = 0.8  # rare classes' recall to the rest's: then fine

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
        has_weights = "class_weights" in evidence.config["loss"]
        yield Finding(
            severity="warning",
            sentence=f"the largest class has {max(present) / min(present):.0f} times the training "
            f"samples of the smallest ({max(present)} to {min(present)}), and nothing treats it",
            evidence={
                "largest": max(present),
                "smallest": min(present),
                "rare_classes": rare[:20],
                "majority_accuracy": max(present) / sum(present),
            },
            cause="plain cross-entropy on such class fractions may give up the rare classes, and "
            "plain "
            "accuracy does not show it",
            remedies=[
                *([["loss.class_weights=balanced"]] if has_weights else []),
                *([[f"procedure.{s}.balanced_sampling=true"] for s in _unbalanced(evidence)][:1]),
            ],
        )

    def _is_learnt(self, evidence: Evidence, counts: Sequence[int]) -> bool:
        """Whether the predictions after training show that the rare classes were not given up."""
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
    loss = evidence.config["loss"]
    is_weighted = bool(loss.get("class_weights")) or str(loss.get("_target_", "")).endswith("Focal")
    is_fair = any(part in name for name in evidence.config["criteria"] for part in FAIR_FIGURES)
    return is_weighted or is_fair or not _unbalanced(evidence)


@dataclass(frozen=True, kw_only=True)
class TooFewSamples(Rule):
    """Too few samples to learn a class from, or to tell two results apart."""

    least_per_class: Annotated[int, Ge(1)] = 10  # training samples
    # Of fewer of most classes no net of its own draws what a class has in common.
    hopeless_per_class: Annotated[int, Ge(1)] = 5
    # 1.96 / (2 sqrt(n + 1.96^2)): ten points either way at 92 samples
    # Where training ended well, few were enough; before it ends nobody knows.
    most_known: Annotated[float, Gt(0)] = 0.7  # of the way from the majority to all right
    least_gap: Annotated[float, Gt(0)] = 0.2  # of accuracy, from train to held out
    most_uncertain: Annotated[float, Gt(0)] = (
        0.1  # half of the 95 % interval of an accuracy of 50 %
    )

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        metadata = evidence.metadata
        counts = metadata.splits["train"].class_counts
        held_out = metadata.splits[metadata.judged_split].num_samples
        if counts is None or metadata.judged_split == "train":
            return
        is_trained = evidence.config.get("evaluates") is None
        few = [n for n in counts if 0 < n < self.least_per_class] if is_trained else []
        low, high = wilson(held_out / 2, held_out) or (0.0, 1.0)
        half_width = (high - low) / 2
        told = []
        if few:
            have = "has" if len(few) == 1 else "have"
            told.append(
                f"{counted(len(few), 'class', 'classes')} {have} fewer than "
                f"{self.least_per_class} samples to train on"
            )
        if half_width > self.most_uncertain:
            told.append(
                f"an accuracy on {counted(held_out, 'held-out sample')} is uncertain by up to "
                f"{100 * half_width:.0f} points either way"
            )
        if told:
            yield Finding(
                severity="warning" if self._is_hopeless(evidence, counts) else "info",
                sentence="; ".join(told),
                evidence={
                    "num_small_classes": len(few),
                    "smallest_class": min((each for each in counts if each), default=0),
                    "num_held_out": held_out,
                    "half_interval": half_width,
                },
                cause="the data is small: differences below that are no evidence",
                command=_ways_to_more(evidence),
            )

    def _is_hopeless(self, evidence: Evidence, counts: Sequence[int]) -> bool:
        """Whether a typical class has a handful, and weights are not brought from elsewhere."""
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


def _ways_to_more(evidence: Evidence) -> str:
    """The folds that judge each sample once, where this data and this run allow them."""
    dataset = evidence.config["dataset"]
    if evidence.config.get("evaluates") is not None:
        return "evaluate on more samples; a difference that is smaller than this is no evidence"
    if dataset.get("fold") is not None:
        return "judge all folds together: train each, and expkit show SWEEP"
    counts = [
        evidence.metadata.splits[name].class_counts or ()
        for name in ("train", "val")
        if name in evidence.metadata.splits
    ]
    fewest = min((sum(each) for each in zip(*counts, strict=False) if sum(each)), default=0)
    num_folds = min(fewest, int(dataset.get("num_folds") or 0))
    if "fold" not in dataset or num_folds < 2:
        seeds = train_again(evidence.overrides, SEEDS, is_sweep=True)
        return f"gather more samples, or train over several seeds: {seeds}"
    folds = [f"dataset.fold={','.join(map(str, range(num_folds)))}"]
    if num_folds != dataset["num_folds"]:
        folds.append(f"dataset.num_folds={num_folds}")
    command = train_again(evidence.overrides, folds, is_sweep=True)
    return f"judge each sample once, by folds: {command}"
