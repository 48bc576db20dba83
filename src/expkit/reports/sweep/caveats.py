"""Caveats of a sweep: what its best figure proves and what it does not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from expkit.errors import UserError
from expkit.metrics.names import Measure
from expkit.metrics.significance import adjust
from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.compare.comparison import Compared, compare
from expkit.reports.compare.verdicts import Verdict, judge
from expkit.reports.cross_validation import out_of_fold
from expkit.reports.final_test import figure_on_judged, judged_split
from expkit.reports.run.run_screen import handle
from expkit.reports.runs.recipes import Recipe, following
from expkit.reports.runs.settings import describe_settings
from expkit.reports.sweep.ablation import Worth
from expkit.reports.sweep.outcome import SweepOutcome


@functools.lru_cache(maxsize=1)  # the page and the screen tell the same of one reading
def told_of(outcome: SweepOutcome) -> Sequence[str]:
    """All that is to be said beside the table, one sentence or two each."""
    if outcome.ablation is not None:
        known = [] if outcome.recipe is None else [outcome.recipe]
        return [*selection(known, outcome.objective, "The recipe"), *folded(outcome)]
    return [
        *against_second(outcome.groups, outcome.objective),
        *folds(outcome),
        *selection(outcome.groups, outcome.objective),
        *folded(outcome),
    ]


@dataclass(frozen=True)
class Rivalry:
    """The best setting beside the second."""

    second: Recipe
    row: Compared | None = None
    verdict: Verdict | None = None
    trouble: str = ""  # why there is no verdict
    num_comparisons: int = 1


def rivalry(groups: Sequence[Recipe], objective: str) -> Rivalry | None:
    """Tell the best from the next, corrected for all that it was chosen of."""
    known = [group for group in groups if group.values]
    if len(known) < 2:
        return None
    best, second = known[:2]
    try:
        ours, theirs = best.compared("A"), second.compared("B")
        (row,) = compare([ours, theirs], theirs, [objective], limit=1).rows
    except UserError as error:
        return Rivalry(second, trouble=f", as {error.what}")
    if objective not in row.differences:
        return Rivalry(second, row, trouble=_why(row))
    count = len(known) - 1
    (difference,) = adjust([row.differences[objective]], count)
    return Rivalry(second, row, judge(objective, difference), "", count)


def against_second(groups: Sequence[Recipe], objective: str) -> list[str]:
    """The verdict on the best and the second in words; nothing where there is but one."""
    found = rivalry(groups, objective)
    if found is None:
        return []
    named = f"The best against the second ({describe_settings(found.second.settings)})"
    if found.verdict is None or found.row is None:
        return [f"{named}: cannot be told{found.trouble}."]
    count = found.num_comparisons
    corrected = f"; Holm's correction for {count} comparisons" * (count > 1)
    return [f"{named}: {found.verdict.text}{corrected}.", f"{found.row.about}."]


def _why(row: Compared) -> str:
    reasons = "; ".join(objection.text for objection in row.objections)
    if row.changes is not None and row.untested:  # both predicted the same samples
        return f", as {row.untested}"
    return f": {reasons}" if reasons else ", as their predictions for the samples were not kept"


def folds(outcome: SweepOutcome) -> list[str]:
    """The figure of cross-validation: of the one setting, or of the best."""
    best = outcome.best
    if best is None or not best.num_folds:
        return []
    pooled = out_of_fold(best.judged, outcome.objective)
    of = f" of the best ({describe_settings(best.settings)})" if outcome.is_choice else ""
    return [
        f"Cross-validation{of}, {pooled}. Each fold also chose the epoch of its run, which "
        "flatters the figure a little."
    ]


def selection(groups: Sequence[Recipe], objective: str, chosen: str = "") -> list[str]:
    """That a figure chosen as the best of many is flattered by the choice.

    Where it was chosen by other samples than it is judged on, what it is worth on those: once.
    """
    known = [group for group in groups if group.values]
    if not known:
        return []
    split, chosen_by = judged_split(known[0]), Measure.parse(objective).split
    if split == "train":
        return ["These samples were trained on: the figures say nothing of others."]
    if split != chosen_by:
        told = figure_on_judged(known[0], objective)
        chosen = chosen or "The best" * (len(known) > 1)
        judged = f"{chosen}, judged" if chosen else "Judged"
        return [f"{judged} on {split}, by which nothing was chosen: {told}."] if told else []
    if len(known) == 1:
        return []
    other = "test" if split == "val" else "val"
    why, how = f", as there is no {other} split", "judge it on samples that no choice has seen"
    best = known[0].judged[0].run
    if _is_sealed(best):
        why, how = "", f"look at the sealed test set: expkit unseal {handle(best.path)}"
    return [
        f"Choosing and judging were done on the same samples ({split}){why}: the best of "
        f"{len(known)} settings is flattered by the choice. Before it is believed, {how}."
    ]


def _is_sealed(run: Run) -> bool:
    """Tell whether a test set waits for it; a damaged run is listed in the table."""
    try:
        return bool((run.summary or {}).get("sealed"))
    except UserError:
        return False


def folded(outcome: SweepOutcome) -> list[str]:
    """Say what was taken as a part of the seed, and which jobs are others over again."""
    found = outcome.folding
    lines = []
    if found.followers:
        lines.append(f"{following(found.followers, ', '.join(found.followers))}.")
    for again, once in found.repeats.items():
        numbers = outcome.rows[again].number, outcome.rows[once].number
        lines.append(
            f"Job {numbers[0]} is a repetition of job {numbers[1]}, with the same settings and "
            "seed: it is not counted twice."
        )
    return lines


def sweep_answer(outcome: SweepOutcome) -> str:
    """Sum up a sweep in a sentence that claims no more than its page proves."""
    if outcome.ablation is not None:
        return "; ".join(answers_of_ablation(outcome))
    found = rivalry(outcome.groups, outcome.objective)
    if found is None:
        return outcome.headline()
    if found.verdict is None:
        return f"{outcome.headline()}; against the second: cannot be told{found.trouble}"
    if found.verdict.word != "better":
        count = len(outcome.known)
        return f"no evidence that the best of {count} is better than the second; {_first(outcome)}"
    return f"{outcome.headline()}; better than the second"


def _first(outcome: SweepOutcome) -> str:
    headline = outcome.headline()
    return f"{headline[0].lower()}{headline[1:]}"


def answers_of_ablation(outcome: SweepOutcome) -> list[str]:
    """The stated hypothesis judged, where there is one, and what the changes are shown to do."""
    result, verdict = outcome.ablation, outcome.hypothesis
    if result is None:
        return []
    hypothesis = [] if verdict is None else [f"hypothesis {verdict.text}"]
    told = [
        f"{worth.name} {worth.word} ({formatting.difference(result.objective, worth.gain, 0.0)})"
        for worth in result.worths
        if worth.word in ("helps", "hurts")
    ]
    silent = [worth.name for worth in result.worths if _is_silent(worth)]
    untested = [worth.name for worth in result.worths if worth.verdict is None]
    told += [f"no evidence that {', '.join(silent)} {_makes(silent)} a difference"] * bool(silent)
    told += [f"{', '.join(untested)}: too few figures to tell"] * bool(untested)
    return [*hypothesis, f"{result.objective}: {'; '.join(told)}"]


def _is_silent(worth: Worth) -> bool:
    return worth.verdict is not None and worth.word not in ("helps", "hurts")


def _makes(names: Sequence[str]) -> str:
    return "makes" if len(names) == 1 else "make"
