"""Text of strangers made fit to be shown: what a terminal would obey is written out instead.

Names of classes, files, runs and settings come from data and folders of anybody.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

MAX_NAME_BYTES = 120  # of a file's name made from a name
MAX_WORD = 80  # characters of a word that is echoed
MAX_PATH = 300

# C0 without tab and newline, DEL, C1, soft hyphen, bidi controls, zero-width characters, line
# separators, tags, and halves of characters
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: str) -> str:
    """Return a text that no terminal obeys: `\\x1b` in letters; lines and tabs stay."""
    return HIDDEN.sub(_written_out, text)


def one_line(text: str) -> str:
    """Return a name as one line that no terminal obeys."""
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def _written_out(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return NAMES.get(character) or (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def shortened_words(text: str) -> str:
    """Return a text whose long words are cut, and seen to be cut; a path keeps more of it."""

    def cut(match: re.Match[str]) -> str:
        word = match[0]
        longest = MAX_PATH if "/" in word else MAX_WORD
        return word if len(word) <= longest + 4 else f"{word[: longest - 3]}..."  # with quotes

    quoted = re.sub(r"'([^'\n]{81,})'", lambda match: f"'{cut_off(match[1])}'", text)
    return re.sub(r"\S{81,}", cut, quoted)


def cut_off(text: str, length: int = MAX_WORD) -> str:
    """Return the start of a text, and three dots where that is not all of it."""
    if "/" in text and not re.search(r"\s", text):
        length = MAX_PATH
    return text if len(text) <= length else f"{text[: length - 3]}..."


def file_stem(name: str) -> str:
    """Return a name as the part of a file's name: no folder, nothing hidden, not too long."""
    plain = re.sub(r"[^\w.+=@-]+", "-", name).lstrip(".-") or "unnamed"
    return plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


class CleanStream:
    """A stream on which what is written is shown and never obeyed.

    A carriage return at the start of a piece stays, as progress bars draw themselves by it.
    """

    def __init__(self, stream: Any) -> None:
        self._wrapped = stream  # so called, tqdm knows the stream again

    def write(self, text: str) -> int:
        """Write a text cleaned; the number of its characters."""
        start = "\r" if text.startswith("\r") else ""
        self._wrapped.write(start + clean(text[len(start) :]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts cleaned."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


def raw(stream: Any) -> Any:
    """Return the stream below, for whoever draws on a terminal and cleans what it draws."""
    return stream._wrapped if isinstance(stream, CleanStream) else stream


@contextlib.contextmanager
def clean_streams() -> Iterator[None]:
    """Clean all that this process prints, until it is left."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    own = {
        name: CleanStream(stream)
        for name, stream in before.items()
        if stream is not None and not isinstance(stream, CleanStream)
    }
    for name, stream in own.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in own.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, before[name])
