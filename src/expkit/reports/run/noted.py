"""A run's or a sweep's tags and notes, on a screen and on a page."""

from __future__ import annotations

from expkit.records.run.annotations import Annotations, read_annotations
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep
from expkit.reports import markdown
from expkit.reports.run.run_screen import labelled
from expkit.sanitize import clean


def noted_of(found: Run | Sweep) -> Annotations:
    """Return what was said of a run; of a sweep, with the tags that all its jobs began with."""
    return read_annotations(found.path, first_tags(found))


def first_tags(found: Run | Sweep) -> object:
    """Return the tags that it began with."""
    if isinstance(found, Run):
        return found.config.get("tags")
    given = [job.config.get("tags") or [] for job in found.jobs]
    return [tag for tag in (given or [[]])[0] if all(tag in each for each in given)]


def screen_lines(noted: Annotations) -> list[str]:
    """The lines of a terminal; none where nothing was said."""
    lines = labelled("tags", ", ".join(noted.tags))
    for number, note in enumerate(noted.notes):
        lines += labelled("" if number else "notes", clean(f"{note.day}  {note.text}"))
    return lines


def page_parts(noted: Annotations) -> list[str]:
    """The paragraphs of a page; none where nothing was said."""
    tags = ", ".join(map(markdown.code, noted.tags))
    notes = "\n".join(f"- {note.day}: {markdown.plain(note.text)}" for note in noted.notes)
    return [*([f"Tags: {tags}."] if tags else []), *(["## Notes", notes] if notes else [])]
