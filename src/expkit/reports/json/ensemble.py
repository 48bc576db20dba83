"""An ensemble beside its members, as a part of a run's document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from expkit.reports.json.pick import pick

Interval = tuple[float, float]


@dataclass(frozen=True)
class EnsembleMember:
    """A member with its figure on the judged split, and on the one that ranks members."""

    run: str
    figure: float
    interval: Interval | None
    chosen_by: float
    is_used: bool  # a greedy soup leaves some out


@dataclass(frozen=True)
class Gain:
    """The difference of a metric to the best member's."""

    metric: str
    ensemble: float
    best: float
    value: float
    interval: Interval | None
    p: float
    word: str  # better, worse, or no evidence of a difference
    text: str  # with its reason in numbers


@dataclass(frozen=True)
class MembersDisagreement:
    """How members differ on the samples of the judged split."""

    num_samples: int
    between_members: float  # mean over pairs
    error_correlation: float | None  # mean over pairs
    some_right: int | None  # samples that at least one member has right
    best_wrong: int | None  # samples that the best member has wrong
    rescuable: int | None  # of these, those that another member has right


@dataclass(frozen=True)
class Ensemble:
    """What an ensemble gains over the best of its members, and what it costs."""

    combine: str  # probabilities, logits, soup or greedy_soup
    split: str
    num_samples: int
    metric: str
    figure: float
    interval: Interval | None
    members: Sequence[EnsembleMember]
    best: int  # the place of the best member, from 0 on
    chosen_on: str  # the split that ranks members
    gains: Sequence[Gain]
    disagreement: MembersDisagreement
    times_parameters: float  # of the best member's
    times_latency: float
    latency_ms: float


def ensemble_of(record: Mapping[str, Any] | None) -> Ensemble | None:
    """Return a summary's ensemble; None of a run that is none."""
    if record is None:
        return None
    return replace(
        pick(Ensemble, record),
        members=[pick(EnsembleMember, each) for each in record["members"]],
        gains=[pick(Gain, each) for each in record["gains"]],
        disagreement=pick(MembersDisagreement, record["disagreement"]),
    )
