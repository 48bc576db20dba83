"""What a sweep proves and what it does not: honest words beside its best figure."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.errors import UserError
from expkit.records.measures import Measure
from expkit.records.run import Run
from expkit.reports import wording
from expkit.reports.compared import Compared, compare
from expkit.reports.digests import recall_digest
from expkit.reports.groups import Member, Recipe
from expkit.reports.significance import adjust
from expkit.reports.sweep_groups import Group
from expkit.reports.variation import describe_settings
from expkit.reports.verdicts import ONE_SEED_EACH, OVER_SEEDS, judge


def against_second(groups: Sequence[Group], objective: str) -> list[str]:
    """Whether the best setting can be told from the next; corrected for all that it was chosen of.

    Nothing where there is but one.
    """
    known = [group for group in groups if group.values]
    if len(known) < 2:
        return []
    best, second = known[:2]
    named = f"The best against the second ({describe_settings(second.settings)})"
    try:
        ours, theirs = _recipe("A", best), _recipe("B", second)
        (row,) = compare([ours, theirs], theirs, [objective], limit=1).rows
    except UserError as error:
        return [f"{named}: cannot be told, as {error.what}."]
    if objective not in row.differences:
        return [f"{named}: cannot be told{_why(row)}."]
    num_comparisons = len(known) - 1
    (difference,) = adjust([row.differences[objective]], num_comparisons)
    verdict = judge(objective, difference)
    corrected = f"; Holm's correction for {num_comparisons} comparisons" * (num_comparisons > 1)
    about = OVER_SEEDS if row.is_over_seeds else ONE_SEED_EACH
    return [f"{named}: {verdict.text}{corrected}.", f"{about}."]


def _recipe(label: str, group: Group) -> Recipe:
    runs = [Run(row.run) for row in group.judged if row.run is not None]
    return Recipe(label, [Member(run.path, recall_digest(run)) for run in runs])


def _why(row: Compared) -> str:
    reasons = "; ".join(objection.text for objection in row.objections)
    return f": {reasons}" if reasons else ", as their answers to the samples were not kept"


def selection(groups: Sequence[Group], objective: str) -> list[str]:
    """That a figure chosen as the best of many is flattered by the choice.

    Where it was chosen by other samples than it is judged on, what it is worth on those.
    """
    known = [group for group in groups if group.values]
    if not known:
        return []
    split = known[0].judged[0].judged_split
    if split == "train":
        return ["These samples were trained on: the figures say nothing of others."]
    if len(known) == 1:
        return []
    measure = Measure.parse(objective)
    if measure.split != split:
        judged = f"{split}/{objective.removeprefix(f'{measure.split}/')}"
        mean = known[0].mean_of(judged)
        told = "" if mean is None else f": {judged} {wording.figure(judged, mean)}"
        return [f"The best was chosen by {objective}; it is judged on samples aside{told}."]
    return [
        f"The best of {len(known)} settings was chosen on the very samples that it is judged on, "
        "which flatters its figure: before it is believed, judge it on samples that no choice has "
        "seen."
    ]
