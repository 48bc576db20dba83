"""Choosing a class's cut-offs on one half of the held-out samples, and confirming on the other."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError, nearest_of
from expkit.records.predictions import ClassPredictions
from expkit.records.run import Run
from expkit.records.thresholds import MAYBE, Threshold
from expkit.reports.intervals import wilson
from expkit.reports.wording import percent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Wish:
    """What a user asks of a class; of recall and precision at least one."""

    class_name: str
    recall: float | None
    precision: float | None
    split: str | None = None  # None: the judged one
    seed: int = 0


@dataclass(frozen=True)
class Half:
    """Some samples of a split: who belongs to the class, and how likely the model held that."""

    belongs: Bools
    scores: Floats


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
    return answers


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


def split_halves(answers: ClassPredictions, class_name: str, seed: int) -> tuple[Half, Half]:
    """Two halves with as many samples of the class, the same for the same seed."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    number = list(answers.class_names).index(class_name)
    belongs = answers.targets == number
    scores = answers.probabilities[:, number].astype(np.float64)
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
    halves = train_test_split(
        np.arange(len(belongs)), test_size=0.5, stratify=belongs, random_state=seed
    )
    first, second = (Half(belongs[half], scores[half]) for half in map(np.sort, halves))
    return first, second


def _curve(half: Half) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and cut-off for each probability that occurs, the lowest first."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, cuts = precision_recall_curve(half.belongs, half.scores)
    return precision[:-1], recall[:-1], cuts


def _between(cuts: Floats, number: int) -> float:
    """Halfway to the next lower probability, so that rounding one does not cross the cut-off."""
    below = cuts[number - 1] if number > 0 else cuts[0]
    return float((cuts[number] + below) / 2)


def choose_low(half: Half, recall: float) -> float | None:
    """None where only calling every sample the class would keep the recall."""
    import numpy as np

    _, recalls, cuts = _curve(half)
    kept = np.flatnonzero(recalls >= recall)
    return None if kept[-1] == 0 else _between(cuts, int(kept[-1]))


def choose_high(half: Half, precision: float) -> float | None:
    """None where no cut-off has the precision."""
    import numpy as np

    precisions, recalls, cuts = _curve(half)
    good = np.flatnonzero((precisions >= precision) & (recalls > 0))
    return None if len(good) == 0 else _between(cuts, int(good[0]))


def describe(half: Half, low: float, high: float | None) -> dict[str, Any]:
    """What the cut-offs do to these samples, as shares with their intervals."""
    import numpy as np

    is_other = half.scores < low
    everything = np.ones_like(is_other)
    is_class = half.scores >= high if high is not None else ~everything
    shares = {
        "recall": (~is_other & half.belongs, half.belongs),
        MAYBE: (~is_other & ~is_class, everything),
        "wrong_class": (is_class & ~half.belongs, is_class),
        "wrong_other": (is_other & half.belongs, is_other),
    }
    return {
        "num_samples": len(half.scores),
        **{name: _share(int(some.sum()), int(all_.sum())) for name, (some, all_) in shares.items()},
    }


def _share(count: int, total: int) -> dict[str, Any]:
    interval = wilson(count, total)
    return {
        "count": count,
        "total": total,
        "share": count / total if total else None,
        "interval": None if interval is None else list(interval),
    }


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
    precisions, recalls, _ = _curve(half)
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
    precisions, recalls, _ = _curve(half)
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
