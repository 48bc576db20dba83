"""Differences that other samples of the same kind might have turned round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Lt

from expkit.diagnosis.across_runs import CrossRule, Evidences, recipes_of
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.next_command import SEEDS, train_again
from expkit.diagnosis.success_counts import Outcome, outcome_of, predictions_of
from expkit.metrics.criteria import parse_criterion, shown_bound
from expkit.metrics.mcnemar import McNemar, round_up
from expkit.metrics.p_values import corrected_for, holm, p_value
from expkit.metrics.percentages import percent, percent_range

if TYPE_CHECKING:
    from expkit.metrics.predictions import ClassPredictions


MET = "the criterion it meets"


@dataclass(frozen=True, kw_only=True)
class WithinNoiseOfBaseline(CrossRule):
    """An accuracy, or the better of two, that these samples do not prove."""

    significance: Annotated[float, Gt(0), Lt(1)] = 0.05

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        """Compare with what was stated beforehand: largest class, criterion, reference."""
        if predictions_of(evidence) is None:
            return
        outcome = outcome_of(evidence)
        assert outcome is not None, "there are predictions"
        low, high = outcome.interval
        near = {name: v for name, v in _baselines(evidence, outcome).items() if low <= v <= high}
        named = [f"{name}, {_written(name, value)}" for name, value in near.items()]
        if near:
            # no number of samples tells equal figures apart
            is_equal = any(abs(outcome.accuracy - v) * outcome.count < 1 for v in near.values())
            yield self.finding(
                "near_a_baseline",
                {
                    "accuracy": outcome.accuracy,
                    "right": outcome.right,
                    "samples": outcome.count,
                    "95 % interval": [low, high],
                    **near,
                },
                parts={
                    "more": is_equal,
                    "as_many": not is_equal,
                    "or_seeds": evidence.trains,
                },
                split=outcome.split,
                baselines=" and of ".join(named),
                range=percent_range(low, high),
                needed=_samples_needed(outcome, near),
                over_seeds=train_again(evidence.overrides, SEEDS, is_sweep=True),
            )

    def compare(self, evidences: Evidences) -> Iterable[Finding]:
        """The best run beside those of other recipes that predicted the same samples.

        The seeds and folds of a recipe are no rivals; recipes of several are compared over these
        (expkit compare).
        """
        alone = [recipe for recipe in recipes_of(evidences)[0] if len(recipe) == 1]
        runs = {name: evidence for recipe in alone for name, evidence in recipe.items()}
        for predicted in _on_same_samples(runs):
            right = {name: predictions.ranks == 0 for name, predictions in predicted.items()}
            best = max(right, key=lambda name: int(right[name].sum()))
            pairs = {name: McNemar.of(right[best], right[name]) for name in right if name != best}
            corrected = holm([pair.p for pair in pairs.values()])
            doubted = {
                name: p for name, p in zip(pairs, corrected, strict=True) if p >= self.significance
            }
            if doubted:
                yield self._rivals(best, pairs, doubted, predicted)

    def _rivals(
        self,
        best: str,
        pairs: Mapping[str, McNemar],
        doubted: Mapping[str, float],
        predicted: Mapping[str, ClassPredictions],
    ) -> Finding:
        """The runs, of all that the best was held against, that it is not shown to beat."""
        right = {name: predicted[name].ranks == 0 for name in [best, *doubted]}
        total = len(predicted[best].targets)
        others = [
            f"{name}, {percent(float(right[name].mean()))}: {pairs[name].num_more} of {total} "
            f"samples, p {p_value(p)}"
            for name, p in doubted.items()
        ]
        return self.finding(
            "rivals",
            {
                "best": best,
                "samples": total,
                "right": {name: int(right[name].sum()) for name in right},
                "only best right": {name: pairs[name].only_ours for name in doubted},
                "only other right": {name: pairs[name].only_theirs for name in doubted},
                "p, McNemar exact": {name: pairs[name].p for name in doubted},
                "p after Holm's correction": dict(doubted),
                "comparisons": len(pairs),
            },
            accuracy=float(right[best].mean()),
            split=predicted[best].split,
            others="; ".join(others),
            test=McNemar.test + corrected_for(len(pairs)),
            seeds=SEEDS[0],
        )


def _written(name: str, value: float) -> str:
    """A bound as it was stated, and a figure as figures are."""
    return shown_bound(value, is_fraction=True) if name == MET else percent(value)


def _baselines(evidence: Evidence, outcome: Outcome) -> dict[str, float]:
    """The figures that the accuracy is held against, by their names."""
    found = {"the largest class": outcome.majority}
    for name, condition in (evidence.config.get("criteria") or {}).items():
        criterion = parse_criterion(name, condition)
        is_ours = (
            criterion.metric == "accuracy"
            and criterion.split(evidence.metadata.judged_split) == outcome.split
        )
        if is_ours and criterion.is_met(outcome.accuracy):  # a miss is another rule's
            found[MET] = criterion.bound
    reference = evidence.config.get("reference") or {}
    figure = (reference.get("figures") or {}).get("accuracy")
    if figure is not None:
        found["the reference"] = float(figure)
    return found


def _samples_needed(outcome: Outcome, near: Mapping[str, float]) -> int:
    """The number of samples at which none of them would lie within the interval any more.

    The accuracy being the same, its width goes by 1 / sqrt(n), but for few samples; those at hand
    did not do: half as many again is the least.
    """
    p = outcome.accuracy
    gap = min(max(abs(p - value), 0.001) for value in near.values())
    return round_up(max(1.96**2 * max(p * (1 - p), 0.01) / gap**2, 1.5 * outcome.count))


def _on_same_samples(evidences: Evidences) -> list[dict[str, ClassPredictions]]:
    """The runs' predictions, those to the very same samples together."""
    groups: dict[tuple[Any, ...], dict[str, ClassPredictions]] = {}
    for name, evidence in evidences.items():
        predictions = predictions_of(evidence)
        if predictions is not None:
            print_ = evidence.metadata.splits[predictions.split].fingerprint
            key = (print_, tuple(predictions.samples), tuple(predictions.class_names))
            groups.setdefault(key, {})[name] = predictions
    return [group for group in groups.values() if len(group) > 1]
