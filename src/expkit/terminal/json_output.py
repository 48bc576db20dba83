"""JSON on stdout, and nothing else there: whatever else is said meanwhile goes to stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

FLAG = "--json"
WRITE_LINES = ("events",)  # commands that print nothing but JSON, a line each
MOST_BYTES = 1 << 24  # of rows that wait in memory

_stdouts: list[Any] = []  # the one that documents are written to, while sys.stdout is another


def is_asked(words: Sequence[str]) -> bool:
    """Tell whether a command's words ask for JSON; those behind `--` are no flags."""
    flags = list(words[: words.index("--")] if "--" in words else words)
    if any(word in ("-h", "--help") for word in flags):
        return False
    return FLAG in flags or writes_lines(words)


def writes_lines(words: Sequence[str]) -> bool:
    """Tell whether the command prints one document a line."""
    return bool(words) and words[0] in WRITE_LINES


@contextlib.contextmanager
def documents_alone() -> Iterator[None]:
    """Keep stdout for documents, which are UTF-8 wherever they go."""
    stdout = sys.stdout
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(encoding="utf-8")
    _stdouts.append(stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _stdouts.pop()


def print_document(document: object, *, is_line: bool = False) -> None:
    """Write a document to stdout at once."""
    from expkit.reports.json.text import to_text

    write_text(f"{to_text(document, is_line=is_line)}\n")


def print_with_rows(rows: Iterable[object], document: Callable[[], object]) -> None:
    """Write a document whose last key is a list, which is empty as yet, with these rows in it.

    The rows wait in a file: a program gets all of them or none, and they take no memory.
    """
    import shutil
    import tempfile

    from expkit.reports.json.text import to_text

    with tempfile.SpooledTemporaryFile(MOST_BYTES, "w+", encoding="utf-8") as spool:
        for place, row in enumerate(rows):
            spool.write(f"{',' * bool(place)}\n    {to_text(row, is_line=True)}")
        spool.seek(0)
        head, end, _ = to_text(document()).rpartition("]\n}")
        assert end, "the list comes last"
        write_text(head)
        shutil.copyfileobj(spool, _stream())
        write_text(f"\n  {end}\n")


def write_text(text: str) -> None:
    """Write a piece of a document to stdout at once."""
    stream = _stream()
    stream.write(text)
    stream.flush()


def refuse_closed() -> None:
    """Raise a BrokenPipeError where the reader has gone, which a write alone would tell later."""
    import select

    with contextlib.suppress(ValueError, AttributeError):  # it is no file, or no system has poll
        poll = select.poll()
        poll.register(_stream().fileno(), 0)
        if any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0)):
            raise BrokenPipeError


def _stream() -> Any:
    return _stdouts[-1] if _stdouts else sys.stdout
