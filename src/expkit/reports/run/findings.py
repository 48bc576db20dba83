"""Findings in words, for the terminal and for a page."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.diagnosis.finding import Finding
from expkit.reports import markdown
from expkit.reports.markdown import plain
from expkit.sanitize import one_line

WIDTH = 88  # two columns less than a screen, which moves them in
MOST_LISTED = 4  # values of a list that a line of evidence shows; summary.json has all
EVERYTHING = 200  # which is as many as are recorded
MOST_ON_SCREEN = 5  # findings that a closing screen tells in full
BY_SEVERITY = {"fatal": "FATAL", "warning": "WARN", "info": "INFO"}


def describe(finding: Finding, most: int = MOST_LISTED) -> str:
    """A finding as the terminal shows it when it is found, lists by their first few."""
    new = new_words(finding)
    rows = [
        ("evidence", evidence_text(finding.evidence, most)),
        ("cause", finding.cause),
        ("next", f"with {new}:\n{finding.command}" if new else finding.command),
    ]
    head = f"{BY_SEVERITY[finding.severity]:<5} {finding.rule}{place(finding)}: "
    lines = textwrap.wrap(head + finding.sentence, WIDTH, subsequent_indent=" " * 6)
    for label, text in rows:
        lines += _fact(label, text)
    return "\n".join(lines)


def _fact(label: str, text: str) -> list[str]:
    """A labelled text; a command stays in one piece, as it is copied."""
    if not text:
        return []
    start, rest = f"      {label:<9}", " " * 15
    if label == "next":
        first, *others = text.splitlines()
        return [start + first, *(rest + line for line in others)]
    return textwrap.wrap(
        start + text, WIDTH, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def new_words(finding: Finding) -> str:
    """Write the overrides that the next command adds; empty where that is seen at once."""
    remedy = list(finding.remedies[0]) if finding.remedies else []
    try:
        words = shlex.split(finding.command)
    except ValueError:  # a sentence, and no command
        return ""
    is_long = len(words) > len(["expkit", "train"]) + len(remedy)
    return shlex.join(remedy) if remedy and is_long and words[-len(remedy) :] == remedy else ""


def place(finding: Finding) -> str:
    """Where it was found, in brackets; empty where it is of the run as a whole."""
    if finding.epoch is None:
        return ""
    if finding.epoch == 0:
        return " (before training)"
    return f" ({finding.stage}, {finding.unit} {finding.epoch})"


def evidence_text(evidence: Mapping[str, Any], most: int = MOST_LISTED) -> str:
    pairs = ((name.replace("_", " "), value) for name, value in evidence.items() if value != [])
    return ", ".join(f"{name} {value_text(value, most)}" for name, value in pairs)


def value_text(value: Any, most: int = MOST_LISTED) -> str:
    """A number in four digits, a list by its first few."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return f"({evidence_text(value, most)})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = [value_text(each, most) for each in value[:most]]
        more = f" and {len(value) - most} more" if len(value) > most else ""
        return f"[{', '.join(shown)}{more}]"
    return str(value)


def screen_lines(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The worst findings in full and the others by name, for a closing screen."""
    given = [Finding.from_json(record) for record in findings]
    serious = [each for each in given if each.severity != "info"][:MOST_ON_SCREEN]
    lines = [line for each in serious for line in describe(each).splitlines()]
    others = [each.rule for each in given if each not in serious]
    if others:
        lines += textwrap.wrap(
            f"{'also' if serious else 'found':<6}{', '.join(others)}   (expkit diagnose)",
            WIDTH,
            subsequent_indent=" " * 6,
        )
    return [f"  {line}" for line in lines]


def listing(findings: Sequence[Finding]) -> str:
    """Every finding in full, or a word that there is none."""
    if not findings:
        return "nothing found"
    return "\n".join(describe(each, most=EVERYTHING) for each in findings)


def markdown_section(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The findings of a page: the sentence, its numbers, the likely cause, the next command."""
    if not findings:
        return []
    parts = ["## Findings"]
    for finding in map(Finding.from_json, findings):
        parts.append(
            f"**{finding.severity}: {plain(finding.rule)}**{plain(place(finding))}. "
            f"{plain(sentence(finding.sentence))} Likely cause: {plain(sentence(finding.cause))} "
            f"Evidence: {plain(evidence_text(finding.evidence))}."
        )
        parts += _whole_lists(finding)
        parts += _next_step(finding)
    return parts


def next_step(finding: Finding) -> tuple[str, str, str]:
    """Advice in a sentence, what is new in the command, and the command; any may be empty."""
    advice, _, command = finding.command.rpartition("\n")
    if not command.startswith("expkit "):
        return sentence(finding.command) if finding.command else "", "", ""
    return (advice, "", command) if advice else ("", new_words(finding), command)


def _next_step(finding: Finding) -> list[str]:
    """A command to be copied, below what is new in it; advice is a sentence."""
    advice, new, command = next_step(finding)
    head = (
        f"Next: {plain(advice)}" if advice else f"Next, with {markdown.code(new)}:" if new else ""
    )
    return [each for each in (head, markdown.block(command) if command else "") if each]


def _whole_lists(finding: Finding) -> list[str]:
    """The lists of which the line of evidence shows the first few."""
    return [
        markdown.folded(
            f"{name.replace('_', ' ')}: all {len(value)}",
            markdown.block("\n".join(value_text(each, EVERYTHING) for each in value)),
        )
        for name, value in finding.evidence.items()
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > MOST_LISTED
    ]


def sentence(text: str) -> str:
    """With a full stop, whether or not the rule wrote one."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def not_looked_section(unlooked: Mapping[str, Sequence[str]]) -> list[str]:
    """The rules of a page that could not look at a watched loop, by the reason."""
    if not unlooked:
        return []
    rows = [f"- {plain(why)}: {plain(', '.join(names))}" for why, names in unlooked.items()]
    return ["## Not looked at", "That nothing was found there says nothing.", "\n".join(rows)]


def not_looked_lines(unlooked: Mapping[str, Sequence[str]]) -> list[str]:
    """The same for a terminal."""
    lines = [] if not unlooked else ["rules that could not look:"]
    for why, names in unlooked.items():
        text = f"{one_line(why)}: {', '.join(map(one_line, names))}"
        lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines
