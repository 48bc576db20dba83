"""A lab notebook's page on an experiment, from the records of its runs alone."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.records.files import write_aside
from expkit.records.folder import explain_disk_errors
from expkit.records.run import Run
from expkit.reports import markdown, wording
from expkit.reports.summary import Summary, summarize

# what names a run or judges it, rather than sets it up
NOT_A_CHANGE = (
    "name",
    "hypothesis",
    "compared_with",
    "criteria",
    "reference",
    "output_dir",
    "hydra",
)
PICTURES = ("curves_train", "puzzle_accuracy", "puzzle_grid", "puzzle_position")
INSTEAD_OF_PUZZLE = ("confusion", "confused_pairs", "regression")
NOTES = "## Notes"
MAX_PICTURE_WIDTH = 1100
MAX_PICTURE_BYTES = 350_000

Pair = tuple[Run, Summary]


def write_notebook(runs: Sequence[Run], folder: Path) -> Path:
    """README.md and pictures; the first run is the subject, the others are what it stands beside.

    Whatever a person wrote under `## Notes` is kept.
    """
    page = folder / "README.md"
    pairs = [(run, summarize(run)) for run in runs]
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        notes = _kept_notes(page)
        pictures = _copy_pictures(runs[0], folder)
        write_aside(page, _page(pairs, pictures, notes).encode())
    return page


def _kept_notes(page: Path) -> str:
    """What follows the heading; a page without one was written by hand, and is not ours."""
    if not page.exists():
        return ""
    _, found, notes = page.read_text(encoding="utf-8").partition(f"\n{NOTES}\n")
    if not found:
        raise UserError(
            f"'{page}' exists and has no '{NOTES}' heading: it would be overwritten",
            where=f"--to {page.parent}",
            fix=f"choose another folder, or put the text to keep under a line '{NOTES}'",
        )
    return notes.strip()


def _page(pairs: Sequence[Pair], pictures: Sequence[Path], notes: str) -> str:
    run, summary = pairs[0]
    title = run.config.get("name") or run.name
    parts = [
        f"# {title}",
        f"**{summary['verdict'].upper()}**: {summary['verdict_reason']}.",
        f"Hypothesis: {run.config.get('hypothesis') or 'none was stated.'}",
        *_compared(run),
        *_changes([run for run, _ in pairs]),
        "## Criteria" if summary["criteria"] else "",
        markdown.criteria_table(summary) if summary["criteria"] else "",
        *_comparison(pairs),
        *_references(pairs),
        "## Stages",
        _stages(pairs),
        "## Repeat it",
        *_commands([run for run, _ in pairs]),
        *(["## Pictures"] if pictures else []),
        *(f"![{path.stem}]({path.name})" for path in pictures),
        NOTES,
        notes,
    ]
    text = "\n\n".join(part for part in parts if part)
    return text + "\n"


def labels(runs: Sequence[Run]) -> list[str]:
    """Each run's configured name, or its folder's where two have the same."""
    names = [str(run.config.get("name") or run.name) for run in runs]
    return [
        run.name if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)
    ]


def _compared(run: Run) -> list[str]:
    stated = run.config.get("compared_with") or []
    return [f"Compared with: {', '.join(map(str, stated))}."] if stated else []


def _changes(runs: Sequence[Run]) -> list[str]:
    if len(runs) == 1:
        return []
    names = labels(runs)
    ours, theirs = (
        markdown.flatten({k: v for k, v in run.config.items() if k not in NOT_A_CHANGE})
        for run in runs[:2]
    )
    keys = [k for k in dict.fromkeys([*ours, *theirs]) if ours.get(k, "") != theirs.get(k, "")]
    if not keys:
        return ["## What changed", f"Nothing: the settings are those of {names[1]}."]
    rows = [
        (
            f"`{key}`",
            *(_setting(side, key) for side in (theirs, ours)),
        )
        for key in keys
    ]
    return ["## What changed", markdown.table(("setting", names[1], names[0]), rows)]


def _setting(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "-"
    return markdown.without_places(markdown.shown_value(settings[key]))


def _comparison(pairs: Sequence[Pair]) -> list[str]:
    """A column a run of what each measured on its judged split."""
    names = labels([run for run, _ in pairs])
    judged = [summary["metrics"].get(summary["judged_split"], {}) for _, summary in pairs]
    metrics = list(dict.fromkeys(name for values in judged for name in values))
    if not metrics:
        return []
    rows = [
        (
            metric,
            *(
                wording.figure(metric, values[metric]) if metric in values else "not measured"
                for values in judged
            ),
            *markdown.levels(metric, pairs[0][1]),
        )
        for metric in metrics
    ]
    rows += [_row("best epoch", [str(s["best_epoch"] or "-") for _, s in pairs])]
    rows += [_row("epochs trained", [_num_epochs(s) for _, s in pairs])]
    rows += [_row("time in all", [wording.duration(s["wall_seconds"]) for _, s in pairs])]
    return [
        "## Results",
        _judged_on(pairs),
        markdown.table(("metric", *names, "chance", "largest class"), rows),
        *_in_samples(pairs),
    ]


def _row(name: str, cells: Sequence[str]) -> tuple[str, ...]:
    return (name, *cells, "-", "-")


def _num_epochs(summary: Summary) -> str:
    trained = [s["num_epochs"] for s in summary["stages"] if s["kind"] == "Training"]
    return str(sum(trained)) if trained else "-"


def _judged_on(pairs: Sequence[Pair]) -> str:
    """Where each was measured; runs on other samples cannot be held against each other."""
    sentences = dict.fromkeys(summary["judged_on"] for _, summary in pairs)
    text = "; ".join(sentences)
    prints = {run.dataset.splits[summary["judged_split"]].fingerprint for run, summary in pairs}
    if len(prints) > 1:
        text += "; **not on the same samples in every run, so that the figures do not compare**"
    return f"{text[0].upper()}{text[1:]}."


def _in_samples(pairs: Sequence[Pair]) -> list[str]:
    """A difference in accuracy as a number of samples: 0.16 points may be two pictures."""
    names = labels([run for run, _ in pairs])
    ours = pairs[0][1]
    lines = []
    for name, (_, theirs) in zip(names[1:], pairs[1:], strict=True):
        shares = [s["metrics"].get(s["judged_split"], {}).get("accuracy") for s in (ours, theirs)]
        if None in shares or ours["num_judged"] != theirs["num_judged"]:
            continue
        more = round((shares[0] - shares[1]) * ours["num_judged"])
        lines.append(
            f"- {names[0]} is right on {abs(more)} {'more' if more >= 0 else 'fewer'} of "
            f"{ours['num_judged']} samples than {name}"
        )
    return ["\n".join(lines)] if lines else []


def _references(pairs: Sequence[Pair]) -> list[str]:
    names = labels([run for run, _ in pairs])
    parts = []
    for name, (run, summary) in zip(names, pairs, strict=True):
        beside = markdown.reference_table(run, summary)
        if beside:
            parts += [f"{name}:", beside]
    return ["## Beside what was reported", *parts] if parts else []


def _stages(pairs: Sequence[Pair]) -> str:
    names = labels([run for run, _ in pairs])
    found = [{stage["stage"]: stage for stage in summary["stages"]} for _, summary in pairs]
    stages = dict.fromkeys(stage for stages in found for stage in stages)
    rows = []
    for stage in stages:
        cells = []
        for by_name in found:
            record = by_name.get(stage)
            cells.append(
                "-" if record is None else f"{wording.stage_verdict(record)}: {record['reason']}"
            )
        rows.append((stage, *cells))
    return markdown.without_places(markdown.table(("stage", *names), rows))


def _commands(runs: Sequence[Run]) -> list[str]:
    return [
        f"{name}:\n\n```\n{markdown.portable_command(run)}\n```"
        for name, run in zip(labels(runs), runs, strict=True)
    ]


def _copy_pictures(run: Run, folder: Path) -> list[Path]:
    """The subject's pictures, drawn from its records, made small enough for a repository."""
    from expkit.reports.gallery import draw_plots

    with tempfile.TemporaryDirectory() as aside:
        drawn = draw_plots(run, Path(aside), snapshots=False)
        chosen = [path for path in drawn if path.stem.startswith(PICTURES)]
        if not any(path.stem.startswith("puzzle") for path in chosen):
            chosen += [path for path in drawn if path.stem.startswith(INSTEAD_OF_PUZZLE)]
        return [_shrink(path, folder) for path in chosen]


def _shrink(picture: Path, folder: Path) -> Path:
    """A PNG where that is small, else a JPEG."""
    from PIL import Image

    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    if image.width > MAX_PICTURE_WIDTH:
        height = round(image.height * MAX_PICTURE_WIDTH / image.width)
        image = image.resize((MAX_PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    path, other = folder / picture.name, folder / f"{picture.stem}.jpg"
    if stream.tell() > MAX_PICTURE_BYTES:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=85)
        path, other = other, path
    write_aside(path, stream.getvalue())
    other.unlink(missing_ok=True)  # of an earlier refresh
    return path
