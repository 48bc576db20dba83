"""An ensemble beside its members: what it gains, how far they disagree, and what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypedDict

from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.metrics.classification import losses_of, measure
from expkit.metrics.disagreement import Disagreement, find_best, main_figure, main_metric
from expkit.metrics.intervals import wilson
from expkit.metrics.mcnemar import LEVEL, fewest_differing
from expkit.metrics.names import is_lower_better
from expkit.metrics.percentages import percent
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.records.run.ensemble import FOLDER, EnsembleRecord, How, predictions_path
from expkit.records.run.reader import Run
from expkit.records.typed_values import Count, Finite
from expkit.reports import formatting, markdown
from expkit.reports.tables import Table

if TYPE_CHECKING:
    from expkit.metrics.significance import Difference

WAYS: Mapping[str, str] = {
    "probabilities": "mean of probabilities",
    "logits": "mean of outputs",
    "soup": "soup: mean of weights",
    "greedy_soup": "greedy soup: mean of weights of those that val chose",
}
MAX_SHOWN = 12  # members on a screen
MOSTLY = 0.5  # of the best member's errors: those of all others share more than this
TOLD = ("accuracy", "log_loss", "rmse", "mae")  # of which the gain is told


class StoredMember(TypedDict):
    """A member with its figure on the judged split, and on the one that ranks members."""

    run: str
    figure: Finite
    interval: tuple[Finite, Finite] | None
    chosen_by: Finite
    is_used: bool


class StoredGain(TypedDict):
    """The difference of a metric to the best member's, and the words for it."""

    metric: str
    ensemble: Finite
    best: Finite
    value: Finite
    interval: tuple[Finite, Finite] | None
    p: Finite
    word: str
    text: str
    shown: str


class StoredEnsemble(TypedDict):
    """An ensemble as screens and pages show it."""

    combine: How
    split: str
    num_samples: Count
    metric: str
    figure: Finite
    interval: tuple[Finite, Finite] | None
    members: list[StoredMember]
    best: Count
    chosen_on: str
    gains: list[StoredGain]
    disagreement: Disagreement
    times_parameters: Finite
    times_latency: Finite
    latency_ms: Finite


def measure_ensemble(run: Run) -> StoredEnsemble | None:
    """Hold an ensemble against its members; None of any other run, or before it is evaluated."""
    record, split = run.ensemble, run.dataset.judged_split
    ours = run.predictions.get(split)
    if record is None or ours is None:
        return None
    members = [run.member_predictions(place) for place in range(len(record.members))]
    known = [each[split] for each in members if split in each]
    if len(known) < len(members):  # somebody has made room
        return None
    _refuse_other_samples(run, ours, known)
    figures, best = _ranked(record, members)
    return StoredEnsemble(
        combine=record.combine,
        split=split,
        num_samples=len(ours.samples),
        metric=main_metric(ours),
        figure=main_figure(ours),
        interval=_interval(ours),
        members=_members(record, known, figures),
        best=best,
        chosen_on=record.chosen_on,
        gains=_gains(ours, known[best]),
        disagreement=Disagreement.of(known, best),
        times_parameters=record.num_parameters / max(record.members[best].num_parameters, 1),
        times_latency=record.latency_ms[0] / max(record.latency_ms[1], 1e-9),
        latency_ms=record.latency_ms[0],
    )


def _refuse_other_samples(run: Run, ours: Predictions, members: Sequence[Predictions]) -> None:
    """Members are compared sample by sample: another order, or fewer, would be other numbers."""
    import numpy as np

    for place, each in enumerate(members):
        is_same = list(each.samples) == list(ours.samples)
        if not is_same or not np.array_equal(each.targets, ours.targets):
            path = predictions_path(run.path, place)
            raise UserError(
                f"'{FOLDER}/{path.name}' is damaged: its samples are not those of the ensemble",
                where=str(path),
                fix="bring the file back from a copy, or make it anew: expkit ensemble RUN RUN ...",
            )


def to_json(ensemble: StoredEnsemble) -> dict[str, Any]:
    return {**ensemble, "disagreement": asdict(ensemble["disagreement"])}


def _ranked(
    record: EnsembleRecord, members: Sequence[Mapping[str, Predictions]]
) -> tuple[Sequence[float], int]:
    """Each member's figure on the split that ranks them, and the place of the best.

    They are those of the members' predictions; the record's own word counts only without these.
    """
    ranking = [each[record.chosen_on] for each in members if record.chosen_on in each]
    if len(ranking) < len(members):
        return [member.figure for member in record.members], record.best
    return [main_figure(each) for each in ranking], find_best(ranking)


def _members(
    record: EnsembleRecord, predictions: Sequence[Predictions], figures: Sequence[float]
) -> list[StoredMember]:
    return [
        StoredMember(
            run=member.run,
            figure=main_figure(each),
            interval=_interval(each),
            chosen_by=chosen_by,
            is_used=member.is_used,
        )
        for member, each, chosen_by in zip(record.members, predictions, figures, strict=True)
    ]


def _interval(predictions: Predictions) -> tuple[float, float] | None:
    if not isinstance(predictions, ClassPredictions):
        return None
    return wilson(int((predictions.ranks == 0).sum()), len(predictions.ranks))


def _gains(ours: Predictions, best: Predictions) -> list[StoredGain]:
    """The metric that members are ranked by comes first."""
    from expkit.metrics.significance import differences_on_samples  # it loads numpy

    mine, theirs = _figures(ours), _figures(best)
    pairs = {name: (mine[name], theirs[name]) for name in mine}
    found = differences_on_samples(ours, best, pairs)
    return [_gain(name, *pairs[name], found[name]) for name in TOLD if name in found]


def _gain(metric: str, ours: float, theirs: float, difference: Difference) -> StoredGain:
    from expkit.reports.compare.verdicts import difference_shown, judge

    verdict = judge(metric, difference)
    return StoredGain(
        metric=metric,
        ensemble=ours,
        best=theirs,
        value=difference.value,
        interval=difference.interval,
        p=difference.p,
        word=verdict.word,
        text=verdict.text,
        shown=difference_shown(metric, difference),
    )


def _figures(predictions: Predictions) -> dict[str, float]:
    metric = main_metric(predictions)
    if isinstance(predictions, ClassPredictions):
        log_loss = float(losses_of(predictions).mean())
        return {metric: main_figure(predictions), "log_loss": log_loss}
    return {metric: main_figure(predictions), **measure(predictions)}


# The words.


def members_section(summary: Mapping[str, Any]) -> list[str]:
    """The parts of a page: members, kind of combination, and what is said of it; none of others."""
    ensemble = summary.get("ensemble")
    if ensemble is None:
        return []
    labels = {"gain": "Gain", "differ": "Disagreement", "cost": "Cost", "worth": "Worth it"}
    told = [
        f"- **{labels[label]}**: {markdown.plain(text)}." for label, text in sentences(ensemble)
    ]
    head = f"{WAYS[ensemble['combine']]}".capitalize()
    return ["## Members", f"{head}.", members_table(ensemble).markdown(), "\n".join(told)]


def members_table(ensemble: Mapping[str, Any], limit: int | None = None) -> Table:
    """A row a member, and one of the ensemble; of many, those with the best figures."""
    metric, split, chosen_on = (ensemble[key] for key in ("metric", "split", "chosen_on"))
    places = list(range(len(ensemble["members"])))
    if limit is not None and len(places) > limit:
        sign = 1 if is_lower_better(metric) else -1
        by_figure = sorted(places, key=lambda i: sign * ensemble["members"][i]["chosen_by"])
        places = sorted(by_figure[:limit])
    has_ranking = chosen_on != split
    header = ["", f"{split}/{metric}", "95 % interval"]
    rows = []
    for place in places:
        member = ensemble["members"][place]
        row = [
            member["run"],
            formatting.figure(metric, member["figure"]),
            formatting.interval(metric, member["interval"]),
        ]
        ranking = [formatting.figure(metric, member["chosen_by"])] if has_ranking else []
        rows.append([*row, *ranking, _role(ensemble, place)])
    ours = [
        WAYS[ensemble["combine"]].partition(":")[0],
        formatting.figure(metric, ensemble["figure"]),
        formatting.interval(metric, ensemble["interval"]),
    ]
    rows.append([*ours, *[""] * (len(rows[0]) - len(ours))])
    return Table([*header, *([f"{chosen_on}/{metric}"] if has_ranking else []), ""], rows)


def _role(ensemble: Mapping[str, Any], place: int) -> str:
    is_best = place == ensemble["best"]
    used = "" if ensemble["members"][place]["is_used"] else "left out"
    return ", ".join(filter(None, [f"best on {ensemble['chosen_on']}" if is_best else "", used]))


def sentences(ensemble: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of a label and a sentence: the gain, the disagreement, the cost, and the advice."""
    found = [
        ("gain", _gain_sentence(ensemble)),
        ("differ", _difference_sentence(ensemble)),
        ("cost", _cost_sentence(ensemble)),
        ("worth", _advice(ensemble)),
    ]
    return [(label, text) for label, text in found if text]


def _best_name(ensemble: Mapping[str, Any]) -> str:
    return str(ensemble["members"][ensemble["best"]]["run"])


def _gain_sentence(ensemble: Mapping[str, Any]) -> str:
    told = [f"{each['metric']} {_told(each)}" for each in ensemble["gains"]]
    chosen_on, is_same = ensemble["chosen_on"], ensemble["chosen_on"] == ensemble["split"]
    best = f"{_best_name(ensemble)}, the best on {chosen_on}"
    if is_same:
        best += " (measured on the very samples that chose it)"
    if ensemble["combine"] == "greedy_soup" and is_same:
        best += f", as {chosen_on} chose the soup's members, too: its figure is flattered"
    return f"over {best}: {'; '.join(told)}"


def _told(gain: Mapping[str, Any]) -> str:
    """The verdict, with the size of the difference once."""
    text = str(gain["text"])
    return text if gain["shown"] in text else f"{gain['shown']}, {text}"


def _difference_sentence(ensemble: Mapping[str, Any]) -> str:
    given = ensemble["disagreement"]
    correlation = given["error_correlation"]
    correlated = "" if correlation is None else f"their errors correlate by {correlation:.2f}"
    if given["some_right"] is None:
        apart = f"members lie {given['between_members']:.4g} (root mean square) from their mean"
        return "; ".join(filter(None, [apart, correlated]))
    fraction = given["some_right"] / given["num_samples"]
    return "; ".join(
        filter(
            None,
            [
                f"two members differ on {percent(given['between_members'])} of the samples",
                correlated,
                f"at least one is right on {percent(fraction)}",
            ],
        )
    )


def _cost_sentence(ensemble: Mapping[str, Any]) -> str:
    if ensemble["combine"] in ("soup", "greedy_soup"):
        return f"that of one model ({ensemble['latency_ms']:.2f} ms an image)"
    return (
        f"{ensemble['times_parameters']:.2g} x the parameters and "
        f"{ensemble['times_latency']:.2g} x the latency of {_best_name(ensemble)} "
        f"({ensemble['latency_ms']:.2f} ms an image)"
    )


def _advice(ensemble: Mapping[str, Any]) -> str:
    """Say in plain words whether the ensemble is worth it, and why."""
    gains = ensemble["gains"]
    if not gains:
        return ""
    is_soup = ensemble["combine"] in ("soup", "greedy_soup")
    main, best = gains[0], _best_name(ensemble)
    words = {each["metric"]: each["word"] for each in gains[1:]}
    beside = "".join(
        f"; what it gains is {metric}" if word == "better" else f"; its {metric} is {word}"
        for metric, word in words.items()
        if word in ("better", "worse")
    )
    used = [each for each in ensemble["members"] if each["is_used"]]
    if is_soup and len(used) == 1:
        return f"no: val chose no other member, so that the soup is {used[0]['run']} itself"
    if main["word"] == "better":
        price = "at the cost of one model" if is_soup else "where its cost can be borne"
        return f"yes, {price}: its {main['metric']} is better than that of {best} by more than luck"
    if is_soup:
        return _soup_advice(ensemble, used) + beside
    if main["word"] == "worse":
        return f"no: {best} alone is better{beside}"
    return _room(ensemble, best) + beside


def _room(ensemble: Mapping[str, Any], best: str) -> str:
    """Say whether the members disagree enough for any gain to be seen on these samples."""
    given, fewest = ensemble["disagreement"], fewest_differing(LEVEL)
    if given["rescuable"] is None:
        return (
            "not shown: the more the members' errors correlate, the less there is to average away"
        )
    wrong, rescuable = given["best_wrong"], given["rescuable"]
    if not wrong:
        return f"no: {best} has none of these samples wrong, and nothing is left to gain"
    room = (
        f"of the {counted(wrong, 'sample')} that {best} has wrong, another member has "
        f"{rescuable or 'none'} right"
    )
    if rescuable >= fewest:
        return f"not shown: the members disagree enough ({room}), and the mean makes little of it"
    room += f", and a gain shows from {fewest} on"
    ends = wilson(rescuable, wrong)
    if ends is not None and ends[1] < MOSTLY:  # else these few errors leave it open
        return f"no: the members are mostly wrong on the same samples: {room}"
    return f"not shown: too few samples to tell: {room}"


def _soup_advice(ensemble: Mapping[str, Any], used: Sequence[Mapping[str, Any]]) -> str:
    """Say whether a barrier lies between the members' weights."""
    metric = ensemble["metric"]
    sign = -1 if is_lower_better(metric) else 1
    mean = statistics.fmean(each["figure"] for each in used)
    worst = min(sign * each["figure"] for each in used)
    shown = formatting.difference(metric, ensemble["figure"], mean)
    if ensemble["gains"][0]["word"] == "worse" and sign * ensemble["figure"] < worst:
        return (
            f"no: a barrier lies between these weights: the soup's {metric} is {shown} from the "
            "mean of its members. Weights have a good mean where training began from the same "
            "ones, or was short; else: --combine probabilities"
        )
    if ensemble["gains"][0]["word"] == "worse":
        return f"no: {_best_name(ensemble)} alone is better ({shown} from the mean of the members)"
    return f"not shown, though it costs no more than one ({shown} from the mean of its members)"
