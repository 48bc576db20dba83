"""Markdown in which the texts of others are no markup."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from expkit.records import places
from expkit.records.places import cut_places
from expkit.records.run.reader import Run
from expkit.sanitize import clean

# what would begin or end emphasis or code; an underscore within a word, and a lone star, do not
MARKS = re.compile(
    r"`|~(?=~)|(?<=~)~|\*(?! )|(?<! )\*|(?<![^\W_])_|_(?![^\W_])|\\(?=[!-/:-@[-`{-~])"
)


class Markup(str):
    """Markdown of our own, whose parts from elsewhere are made plain already."""

    __slots__ = ()


def plain(text: object) -> Markup:
    """Return a text as one line that is no HTML, link, image, emphasis or code."""
    if isinstance(text, Markup):
        return text
    shown = clean(re.sub(r"\s+", " ", str(text)))
    return Markup(MARKS.sub(r"\\\g<0>", shown).replace("<", "&lt;").replace("](", "]&#40;"))


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


def folded(summary: str, content: str) -> str:
    """Content that a reader opens: long lists would push what matters from the page."""
    return f"<details>\n<summary>{html.escape(summary)}</summary>\n\n{content}\n\n</details>"


def without_places(text: str) -> str:
    """A machine's absolute paths become their last part: they say nothing elsewhere."""
    shown = cut_places(text)
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
    return shlex.join(places.without_places(words))


def shown_value(value: Any) -> str:
    """A setting as its YAML would have it, in code quotes."""
    return code(value if isinstance(value, str) else json.dumps(value))
