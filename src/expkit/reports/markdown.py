"""Markdown from a summary: the tables that a run's page and the lab notebook share."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.sanitize import clean

Summary = Mapping[str, Any]


class Markup(str):
    """Markdown of our own, whose parts from elsewhere are made plain already."""

    __slots__ = ()


def plain(text: object) -> Markup:
    """Return a text as one line that is no HTML, link or image, wherever it comes from."""
    if isinstance(text, Markup):
        return text
    shown = clean(re.sub(r"\s+", " ", str(text))).replace("<", "&lt;")
    return Markup(shown.replace("](", "]&#40;"))


def code(text: str) -> Markup:
    """Return a text in code quotes that nothing in it can end."""
    shown = clean(re.sub(r"\s+", " ", text))
    if re.search(r"[`|]", shown) or not shown.strip():
        escaped = html.escape(shown, quote=False).replace("|", "&#124;").replace("`", "&#96;")
        return Markup(f"<code>{escaped}</code>")
    return Markup(f"`{shown}`")


def block(text: str) -> Markup:
    """Return lines as they are, in a fence that is longer than any of theirs."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}\n{clean(text)}\n{fence}")


def link(text: str, place: str) -> Markup:
    """Return a link to a file beside the page."""
    return Markup(f"[{plain(text).replace('[', '&#91;').replace(']', '&#93;')}]({quote(place)})")


def image(path: PurePath, name: str) -> Markup:
    """Return an image beside the page."""
    return Markup(f"!{link(name, path.as_posix())}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a pipe or a line break in a cell would end it early, and names are no markup."""

    def line(cells: Sequence[str]) -> str:
        shown = (plain(cell).replace("|", "\\|") for cell in cells)
        return f"| {' | '.join(shown)} |"

    return "\n".join([line(header), line(["---"] * len(header)), *(line(row) for row in rows)])


def folded(summary: str, content: str) -> str:
    """Content that a reader opens: long lists would push what matters from the page."""
    return f"<details>\n<summary>{html.escape(summary)}</summary>\n\n{content}\n\n</details>"


def without_places(text: str) -> str:
    """A machine's absolute paths become their last part: they say nothing elsewhere."""
    shown = re.sub(r"(?<![\w./~<-])~?/(?:[^\s/'\",=<]+/)+([^\s/'\",=<]+)", r"PATH/\1", text)
    return Markup(shown) if isinstance(text, Markup) else shown


def command_of(run: Run) -> str:
    """The command that was typed, to the letter."""
    command = run.environment.get("command", ["expkit", "train", *run.overrides])
    return command if isinstance(command, str) else shlex.join(map(str, command))


def portable_command(run: Run) -> str:
    """The command for another machine, where programs, images and runs lie elsewhere."""
    words = [word for word in shlex.split(command_of(run)) if not word.startswith("output_dir=")]
    if words and PurePath(words[0]).name == "expkit":
        words[0] = "expkit"
    return without_places(shlex.join(words))


def stages_table(summary: Summary) -> str:
    """Return how each stage ended; a stage that did not has a dash."""
    rows = [
        (
            stage["stage"],
            formatting.stage_verdict(stage),
            stage["reason"],
            str(stage["num_epochs"] or "-"),
            formatting.duration(stage["seconds"]) if stage["seconds"] else "-",
            f"{stage['samples_per_second']:,.0f}" if stage["samples_per_second"] else "-",
            str(stage["best_epoch"] or "-") if stage["kind"] == "Training" else "-",
        )
        for stage in summary["stages"]
    ]
    header = ("stage", "verdict", "why", "epochs or steps", "time", "samples/s", "best epoch")
    return table(header, rows)


def levels(name: str, summary: Summary) -> tuple[str, ...]:
    """Chance and largest class for a metric, as cells."""
    known = formatting.levels_of(name, summary)
    return tuple(known.get(label, "-") for label in formatting.level_names(summary))


def metrics_table(summary: Summary) -> str:
    """A column a split; the interval and the levels are those of the judged split."""
    splits, judged = list(summary["metrics"]), summary["judged_split"]
    asked = {criterion["metric"] for criterion in summary["criteria"]}
    known = dict.fromkeys(name for values in summary["metrics"].values() for name in values)
    names = [each for each in known if each in asked or formatting.is_worth_showing(each, summary)]
    intervals = summary["intervals"].get(judged, {})
    rows = [
        (
            name,
            *(formatting.figure(name, summary["metrics"][split].get(name)) for split in splits),
            formatting.interval(name, intervals.get(name)),
            *levels(name, summary),
        )
        for name in names
    ]
    interval = "95 % interval" if len(splits) == 1 else f"95 % interval ({judged})"
    return table(("metric", *splits, interval, *formatting.level_names(summary)), rows)


def classes_table(summary: Summary, limit: int) -> str:
    """The classes of the judged split, the worst first; empty where each is a single sample."""
    rows = summary["classes"].get(summary["judged_split"], [])
    if all(row["count"] <= 1 for row in rows):
        return ""
    worst = sorted(rows, key=lambda row: (row["f1"] is None, row["f1"] or 0))[:limit]
    cells = [
        (
            row["class"],
            str(row["count"]),
            *(_class_cell(row, metric) for metric in ("precision", "recall", "f1")),
        )
        for row in worst
    ]
    return table(("class", "samples", "precision", "recall", "F1"), cells)


def _class_cell(row: Mapping[str, Any], metric: str) -> str:
    if row[metric] is None:
        return "-"
    ends = row.get(f"{metric}_interval")
    shown = formatting.figure(metric, row[metric])
    return f"{shown} ({formatting.interval(metric, ends)})" if ends else shown


def criteria_table(summary: Summary) -> str:
    """Make the table of criteria: bound, value, and whether it is met."""
    rows = [
        (
            formatting.asked(c),
            formatting.reached(c),
            ", ".join(filter(None, (formatting.verdict_of(c), formatting.noise_of(c)))),
        )
        for c in summary["criteria"]
    ]
    return table(("criterion", "reached", "verdict"), rows)


def reference_table(run: Run, summary: Summary) -> str:
    """Ours beside what somebody else reported; empty where nobody did."""
    reference = run.config.get("reference")
    if not reference or not reference.get("figures"):
        return ""
    rows = []
    for name, theirs in reference["figures"].items():
        if theirs is None:  # taken back by a recipe that inherits it
            continue
        split, _, metric = str(name).rpartition("/")
        ours = summary["metrics"].get(split or summary["judged_split"], {}).get(metric)
        known = "not measured" if ours is None else formatting.figure(metric, ours)
        rows.append(
            (
                str(name),
                known,
                formatting.figure(metric, theirs),
                formatting.difference(metric, ours, theirs),
            )
        )
    source = without_places(str(reference.get("source", "reference")))
    return table(("metric", "ours", source, "ours - theirs"), rows)


def shown_value(value: Any) -> str:
    """A setting as its YAML would have it, in code quotes."""
    return code(value if isinstance(value, str) else json.dumps(value))
