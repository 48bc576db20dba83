"""The record of what of a run was sent to a logger, kept in the run's own folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import read_json, write_json
from expkit.records.safe_open import make_inside, open_regular
from expkit.records.typed_values import Count, check_shape

FOLDER = "sent"


@dataclass(frozen=True)
class Sent:
    """What a logger has of a run."""

    to: str  # the logger's name
    place: str  # where it keeps it
    epochs: Mapping[str, Count] = field(default_factory=dict)  # the last one of each stage
    conclusion: str | None = None  # SHA-256 of the final figures; None: they were not sent
    error: str | None = None  # why the last attempt broke off


def read_sent(run: Path, logger: str) -> Sent | None:
    """None where nothing was sent yet, or the record is damaged: then the logger is asked."""
    with contextlib.suppress(OSError, UserError, ValueError, TypeError):
        record = read_json(_place(run, logger))
        check_shape(record, Sent)
        return Sent(**record)
    return None


def write_sent(run: Path, sent: Sent) -> None:
    """Put the record in place at once."""
    make_inside(run / FOLDER, run)
    write_json(_place(run, sent.to), asdict(sent))


@contextlib.contextmanager
def alone_in_sending(run: Path, logger: str) -> Iterator[bool]:
    """Hold the right to send this run to this logger; false where another process has it."""
    make_inside(run / FOLDER, run)
    path = _place(run, logger).with_name(f".{logger}.lock")
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT, run)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = True
        except BlockingIOError:
            is_ours = False
        except OSError:
            is_ours = True  # a file system without locks: nothing can be known there
        yield is_ours
    finally:
        os.close(descriptor)


def _place(run: Path, logger: str) -> Path:
    assert "/" not in logger, "a key of a config, which was looked at"
    return run / FOLDER / f"{logger}.json"
