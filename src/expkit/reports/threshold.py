"""Choosing a class's cut-offs on one half of the held-out samples, and confirming on the other."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from typing import Any

from expkit.errors import UserError, nearest_of
from expkit.records.predictions import ClassPredictions
from expkit.records.run import Run
from expkit.records.thresholds import Threshold
from expkit.reports.cutoffs import (
    Half,
    choose_high,
    choose_low,
    curve_of,
    describe,
    split_halves,
)
from expkit.reports.wording import percent


@dataclass(frozen=True)
class Wish:
    """What a user asks of a class; of recall and precision at least one."""

    class_name: str
    recall: float | None
    precision: float | None
    split: str | None = None  # None: the judged one
    seed: int = 0


def choose_threshold(run: Run, wish: Wish) -> Threshold:
    """The cut-offs with their evidence; a bound that was not asked for is that which was.

    `low` is the highest cut-off that keeps the recall, `high` the lowest with the precision;
    where that is the lower of the two, it does for both and leaves no maybe.
    """
    answers = _held_out_answers(run, wish)
    chooser, confirmer = split_halves(answers, wish.class_name, wish.seed)
    recall, precision = _bounds(wish)
    low = choose_low(chooser, recall)
    if low is None and wish.recall is not None:
        raise _unreachable_recall(run, wish, chooser, recall)
    high = choose_high(chooser, precision)
    if high is None and wish.precision is not None:
        raise _unreachable_precision(run, wish, chooser, wish.precision)
    # without a low one nothing is surely another class, which nobody asked for then
    low = min(0.0 if low is None else low, 1.0 if high is None else high)
    evidence = {
        "chosen_on": describe(chooser, low, high),
        "confirmed_on": describe(confirmer, low, high),
    }
    return Threshold(
        class_name=wish.class_name,
        class_names=list(answers.class_names),
        low=low,
        high=high,
        asked_recall=recall,
        asked_precision=precision,
        split=answers.split,
        seed=wish.seed,
        is_confirmed=_is_confirmed(evidence["confirmed_on"], wish),
        evidence=evidence,
    )


def _held_out_answers(run: Run, wish: Wish) -> ClassPredictions:
    facts = run.dataset
    split = wish.split or facts.judged_split
    if split == "train":
        raise UserError(
            "a cut-off cannot be chosen on training samples: the model is surer of what it learnt "
            "by heart than of anything it will meet",
            where="--split train" if wish.split else f"{run.name} has no held-out split",
            allowed=", ".join(name for name in facts.splits if name != "train") or None,
        )
    if split not in facts.splits:
        held_out = [name for name in facts.splits if name != "train"]
        raise UserError(
            f"the run has no split '{split}'",
            where=f"--split {split}",
            nearest=nearest_of(split, held_out),
            allowed=", ".join(held_out),
        )
    if facts.class_names is None:
        raise UserError(
            f"'{run.name}' predicts numbers: only classes have cut-offs", where=str(run.path)
        )
    if wish.class_name not in facts.class_names:
        raise UserError(
            f"the run has no class '{wish.class_name}'",
            where=f"--class {wish.class_name}",
            nearest=nearest_of(wish.class_name, facts.class_names),
            allowed=", ".join(facts.class_names[:30]),
        )
    answers = run.predictions.get(split)
    if not isinstance(answers, ClassPredictions):
        raise UserError(
            f"'{run.name}' recorded no predictions on {split}: it was not evaluated",
            where=str(run.path),
        )
    _refuse_too_few(answers, wish.class_name)
    return answers


def _refuse_too_few(answers: ClassPredictions, class_name: str) -> None:
    import numpy as np

    number = list(answers.class_names).index(class_name)
    belongs, scores = answers.targets == number, answers.probabilities[:, number]
    if min(belongs.sum(), (~belongs).sum()) < 2:
        raise UserError(
            f"'{class_name}' has {belongs.sum()} of {len(belongs)} samples in {answers.split}: "
            "two halves need two of it and two of the rest",
            where=f"--class {class_name}",
        )
    if not np.isfinite(scores).all():
        raise UserError(
            f"{(~np.isfinite(scores)).sum()} of the answers on {answers.split} are not numbers",
            where="predictions.csv",
        )


def _bounds(wish: Wish) -> tuple[float, float]:
    for option, value in (("--recall", wish.recall), ("--precision", wish.precision)):
        if value is not None and not 0 < value <= 1:
            raise UserError(
                f"a share cannot be {value:g}",
                where=f"{option} {value:g}",
                allowed="more than 0, at most 1: 99 % is 0.99",
            )
    bound = wish.recall if wish.recall is not None else wish.precision
    assert bound is not None, "the command asks for one of them"
    return bound, bound if wish.precision is None else wish.precision


def _is_confirmed(found: dict[str, Any], wish: Wish) -> bool:
    """What nobody asked for cannot be missed; a precision of no answers at all is."""
    recall, wrong = found["recall"], found["wrong_class"]
    keeps_recall = wish.recall is None or recall["share"] >= wish.recall
    right = wrong["total"] - wrong["count"]
    keeps_precision = wish.precision is None or (
        wrong["total"] > 0 and right / wrong["total"] >= wish.precision
    )
    return keeps_recall and keeps_precision


def _unreachable_recall(run: Run, wish: Wish, half: Half, recall: float) -> UserError:
    precisions, recalls, _ = curve_of(half)
    reachable = "every sample has the same probability: the model tells nothing apart"
    fix = None
    if len(recalls) > 1:
        reachable = f"a recall of {percent(recalls[1])}, at a precision of {percent(precisions[1])}"
        fix = _command(run, replace(wish, recall=_rounded_down(recalls[1])))
    return UserError(
        f"no cut-off keeps a recall of {percent(recall)} of '{wish.class_name}', "
        "short of calling every sample one",
        where=f"the {len(half.scores)} samples that choose",
        allowed=f"reachable: {reachable}",
        fix=fix,
    )


def _unreachable_precision(run: Run, wish: Wish, half: Half, precision: float) -> UserError:
    precisions, recalls, _ = curve_of(half)
    best = int(precisions.argmax())
    return UserError(
        f"no cut-off reaches a precision of {percent(precision)} for '{wish.class_name}'",
        where=f"the {len(half.scores)} samples that choose",
        allowed=f"reachable: a precision of {percent(precisions[best])}, "
        f"at a recall of {percent(recalls[best])}",
        fix=_command(run, replace(wish, precision=_rounded_down(precisions[best]))),
    )


def _rounded_down(share: float) -> float:
    """So that the command which is offered works."""
    return math.floor(1000 * share) / 1000


def _command(run: Run, wish: Wish) -> str:
    asked = {"recall": wish.recall, "precision": wish.precision}
    options = " ".join(f"--{name} {share:g}" for name, share in asked.items() if share is not None)
    return f"expkit threshold {run.name} --class {shlex.quote(wish.class_name)} {options}"
