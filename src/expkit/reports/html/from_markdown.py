"""The Markdown that our pages are written in, as HTML; whatever else stands there is text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from markupsafe import Markup

ImageOf = Callable[[str], str | None]  # a place beside the page to the `data:` that it holds

FENCE = re.compile(r"(`{3,})")
HEADING = re.compile(r"(#{1,6}) +(.*)")
ITEM = re.compile(r"- +(.*)")
FOLDED = re.compile(r"<details>\n<summary>(.*?)</summary>\n\n(.*?)\n\n</details>", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
NUMBER = re.compile(
    r"[*`]*[-+]?[\d.,]+(e[-+]?\d+)?(?![\w-])( ?%| ms| s|$| \(| ±| to | min| h|\*|`)"
)
SAFE_LINK = re.compile(r"https?://|[^:/?#]*(?:[/?#]|$)")
INLINE = re.compile(
    r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)(?!`)|<code>(?P<html>.*?)</code>"
    r"|\*\*(?P<bold>.+?)\*\*|(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<place>[^()\s]*)\)"
)


def to_html(text: str, image_of: ImageOf | None = None, level: int = 0) -> Markup:
    """Return a page's Markdown as HTML, its headings so many levels lower."""
    from markupsafe import Markup

    parts: list[str] = []
    place = 0
    text = COMMENT.sub("", text.replace("\r\n", "\n"))
    for match in FOLDED.finditer(text):
        parts += _blocks(text[place : match.start()].split("\n"), image_of, level)
        inside = "".join(_blocks(match[2].split("\n"), image_of, level))
        parts.append(f"<details><summary>{_inline(match[1])}</summary>{inside}</details>\n")
        place = match.end()
    return Markup("".join([*parts, *_blocks(text[place:].split("\n"), image_of, level)]))


def _blocks(lines: Sequence[str], image_of: ImageOf | None, level: int) -> Iterator[str]:
    """Headings, lists, tables, code and paragraphs, each with what follows it without a gap."""
    number = 0
    while number < len(lines):
        start, line = number, lines[number]
        number += 1
        if not line.strip():
            continue
        if fence := FENCE.match(line):
            while number < len(lines) and lines[number].rstrip() != fence[1]:
                number += 1
            yield _code("\n".join(lines[start + 1 : number]))
            number += 1
        elif heading := HEADING.match(line):
            depth = min(len(heading[1]) + level, 6)
            yield f"<h{depth}>{_inline(heading[2])}</h{depth}>\n"
        else:
            starts = "| " if line.startswith("| ") else "- " if ITEM.match(line) else ""
            while number < len(lines) and _goes_on(lines[number], starts):
                number += 1
            yield _block(lines[start:number], starts, image_of)


def _goes_on(line: str, starts: str) -> bool:
    if starts:
        return line.startswith(starts)
    return bool(line.strip()) and not re.match(r"`{3,}|#{1,6} |\| |- ", line)


def _block(lines: Sequence[str], starts: str, image_of: ImageOf | None) -> str:
    if starts == "| ":
        return _table([_cells(line) for line in lines])
    if starts:
        items = "".join(f"<li>{_inline(line[2:], image_of)}</li>" for line in lines)
        return f"<ul>{items}</ul>\n"
    shown = _inline(" ".join(lines), image_of)
    return shown if shown.startswith("<figure") else f"<p>{shown}</p>\n"


def _code(text: str) -> str:
    return f"<pre><code>{html.escape(text)}</code></pre>\n"


def _cells(line: str) -> list[str]:
    found = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return [cell.strip().replace(r"\|", "|") for cell in found]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A table that can be sorted, whose columns of numbers stand to the right."""
    header, body = rows[0], rows[2:]
    aligned = [
        f"n{column + 1}"
        for column in range(len(header))
        if _is_of_numbers([row[column] for row in body if column < len(row)])
    ]
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in header)
    lines = "\n".join(f"<tr>{''.join(f'<td>{_inline(c)}' for c in row)}" for row in body)
    return (
        f'<div class="scroll"><table class="{" ".join(["sortable", *aligned])}">'
        f"<thead><tr>{head}</tr></thead><tbody>\n{lines}</tbody></table></div>\n"
    )


def _is_of_numbers(cells: Sequence[str]) -> bool:
    """Tell whether a column holds numbers, whatever of it is missing."""
    known = [cell for cell in cells if cell not in ("-", "")]
    return bool(known) and all(map(NUMBER.match, known))


def _inline(text: str, image_of: ImageOf | None = None) -> str:
    """Code, bold, links and images; the rest is text, in which nothing is markup."""
    parts, place = [], 0
    for match in INLINE.finditer(text):
        parts.append(_text(text[place : match.start()]))
        parts.append(_marked(match, image_of))
        place = match.end()
    return "".join([*parts, _text(text[place:])])


def _marked(match: re.Match[str], image_of: ImageOf | None) -> str:
    if match["code"] is not None:
        return f"<code>{html.escape(match['code'].strip() or match['code'])}</code>"
    if match["html"] is not None:
        return f"<code>{_text(match['html'])}</code>"
    if match["bold"] is not None:
        return f"<strong>{_inline(match['bold'])}</strong>"
    name, target = html.unescape(match["text"]), html.unescape(match["place"])
    if match["image"]:
        source = image_of(unquote(target)) if image_of else None
        return "" if source is None else figure(source, name)
    if not SAFE_LINK.match(target):
        return _text(match[0])
    return f'<a href="{html.escape(target)}">{_text(name)}</a>'


def figure(source: str, name: str) -> str:
    """An image of the page with its name beneath."""
    shown = html.escape(name.replace("_", " "))
    return (
        f'<figure class="plot"><img src="{html.escape(source)}" alt="{shown}" loading="lazy">'
        f"<figcaption>{shown}</figcaption></figure>"
    )


def _text(text: str) -> str:
    return html.escape(html.unescape(text))
