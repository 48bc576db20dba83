"""The notebook's first page: every experiment with what became of its hypothesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.metrics.names import is_lower_better
from expkit.records.files import read_json, write_aside, write_json
from expkit.reports import formatting, markdown
from expkit.reports.html.written_page import write_notebook_page
from expkit.reports.tables import Table

RESULT = "result.json"  # beside each page: what the index needs of it
MADE = "<!-- made by `expkit report`: what is typed here is lost -->"
MEANINGS = {
    "baseline": "others are compared with it, and it with none",
    "best": "supported, and none of those on the same samples, whatever their status, reached more "
    "in the same metric, on val where all of them have one: the test samples choose nothing",
    "supported": "its criteria are met, and it is better than what it is compared with",
    "refuted": "a criterion that it stated is not met",
    "inconclusive": "not judged, or not shown to be better than what it is compared with",
}

Result = Mapping[str, Any]

KEYS = {
    "sweep": {"name", "runs", "answer"},
    "run": {
        *("name", "runs", "verdict", "dataset", "judged_on", "judged_samples", "metric", "value"),
        *("interval", "compared_with", "compared"),
    },
}


def write_result(folder: Path, result: Result) -> None:
    """Beside the page, so that the index can be made where the runs are no longer there."""
    write_json(folder / RESULT, dict(result))


def read_results(notebook: Path) -> dict[Path, Result]:
    """By the folder of each experiment."""
    return {path.parent: _read_result(path) for path in sorted(notebook.glob(f"*/{RESULT}"))}


def _read_result(path: Path) -> Result:
    result = read_json(path)
    lacking = KEYS.get(result.get("kind", ""), {"kind"}) - result.keys()
    if lacking:
        raise UserError(
            f"'{RESULT}' is damaged: it lacks {', '.join(sorted(lacking))}",
            where=str(path),
            fix="remove it, and write its page again: expkit report RUN",
        )
    return result


def refuse_handwritten(notebook: Path) -> None:
    """Before anything is written: a page of a person's own is not made over."""
    page = notebook / "README.md"
    if page.exists() and MADE.encode() not in page.read_bytes():
        raise UserError(
            f"'{page}' was written by hand: the index of experiments would overwrite it",
            where=str(page),
            fix="move it, or write the page elsewhere: expkit report ... --to FOLDER/NAME",
        )


def write_index(notebook: Path) -> Path:
    """README.md of the folder of all experiments, from what stands beside each page."""
    refuse_handwritten(notebook)
    page = notebook / "README.md"
    write_aside(page, _page(read_results(notebook)).encode())
    write_notebook_page(page)
    return page


def _page(results: Mapping[Path, Result]) -> str:
    runs = {folder: each for folder, each in results.items() if each["kind"] == "run"}
    sweeps = {folder: each for folder, each in results.items() if each["kind"] == "sweep"}
    parts = [
        "# Experiments",
        MADE,
        "Each stated before it ran what it is to show, what it is compared with, and by which "
        "criteria it is judged. Its status is computed from the recorded numbers.",
    ]
    for title, family in _families(runs).items():
        parts += [f"## {markdown.plain(title)}", _table(family)]
    if sweeps:
        rows = [(_link(folder, each), each["answer"]) for folder, each in sweeps.items()]
        parts += ["## Sweeps and ablations", Table(("experiment", "answer"), rows).markdown()]
    meanings = "\n".join(f"- **{name}**: {text}" for name, text in MEANINGS.items())
    return "\n\n".join([*parts, "## What a status means", meanings]) + "\n"


def _families(results: Mapping[Path, Result]) -> dict[str, dict[Path, Result]]:
    """Those that were judged on the same samples, under what these are."""
    by_samples: dict[str, dict[Path, Result]] = {}
    for folder, result in results.items():
        by_samples.setdefault(result["judged_samples"], {})[folder] = result
    titled: dict[str, dict[Path, Result]] = {}
    for family in by_samples.values():
        first = next(iter(family.values()))
        title = f"{first['dataset']}: {first['judged_on']}"
        number = sum(each.startswith(title) for each in titled)
        titled[f"{title} ({number + 1})" if number else title] = family
    return titled


def _table(family: Mapping[Path, Result]) -> str:
    statuses = status_of_each(list(family.values()))
    rows = [
        (_link(folder, each), markdown.Markup(f"**{status}**"), _reached(each), _beside(each))
        for (folder, each), status in zip(family.items(), statuses, strict=True)
    ]
    return Table(("experiment", "status", "reached", "beside"), rows).markdown()


def status_of_each(family: Sequence[Result]) -> list[str]:
    """The status of experiments on the same samples, in their order; names may repeat."""
    compared = {name for result in family for name in result["compared_with"]}
    supported = [result for result in family if _is_supported(result)]
    leaders = [result for result in supported if _is_best(result, family)]
    statuses = []
    for result in family:
        if result in leaders:
            status = "best"
        elif result["name"] in compared and not result["compared_with"]:
            status = "baseline"
        elif result["verdict"] == "not met":
            status = "refuted"
        else:
            status = "supported" if result in supported else "inconclusive"
        statuses.append(status)
    return statuses


def _is_best(result: Result, family: Sequence[Result]) -> bool:
    """A figure of one metric is held against no other's; equals share the first place."""
    rivals = [
        each for each in family if each["metric"] == result["metric"] and each["value"] is not None
    ]
    have_val = all(each.get("value_on_val") is not None for each in rivals)
    key = "value_on_val" if have_val else "value"
    return all(_goodness(result, key) >= _goodness(each, key) for each in rivals)


def _is_supported(result: Result) -> bool:
    """Met by its criteria, and better than all that it named and that could be tested.

    Where it named some and none could be, nothing was proven.
    """
    answers = [each["answer"] for each in _stated(result)]
    met = result["verdict"] == "met" and result["value"] is not None
    was_told = bool(answers) or not result["compared_with"]
    return met and was_told and all(answer == "better" for answer in answers)


def _stated(result: Result) -> list[Mapping[str, Any]]:
    """The comparisons that the experiment named before it ran, where they could be drawn."""
    named = [each for each in result["compared"] if each["name"] in result["compared_with"]]
    return [each for each in named if each["answer"] is not None]


def _goodness(result: Result, key: str) -> float:
    value = float(result[key])
    return -value if is_lower_better(result["metric"]) else value


def _reached(result: Result) -> str:
    if result["value"] is None:
        return "-"
    metric = result["metric"]
    interval = formatting.interval(metric, result["interval"])
    range_ = f" ({interval})" if interval != "-" else ""
    return f"{metric} {formatting.figure(metric, result['value'])}{range_}"


def _beside(result: Result) -> str:
    return "; ".join(f"{each['name']}: {each['words']}" for each in _stated(result)) or "-"


def _link(folder: Path, result: Result) -> str:
    return markdown.link(result["name"], f"{folder.name}/README.md")
