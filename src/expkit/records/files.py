"""Writing that survives a kill at any instant, and reading that forgives a torn last line."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from expkit.errors import UserError

Record = dict[str, Any]


def write_aside(path: Path, data: bytes) -> None:
    """Put a whole file in place at once: a reader sees the old one or the new one, never half."""
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_json(path: Path, record: Record) -> None:
    write_aside(path, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def append_line(path: Path, text: str) -> None:
    """Add one line by one system call, so that a signal cannot fall into the middle of it."""
    data = f"{text}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        written = os.write(descriptor, data)
        if written < len(data):  # the disk filled up: take the torn line back
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(28, os.strerror(28), str(path))
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Record:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise UserError(
            f"'{path.name}' is damaged: it holds no JSON object",
            where=str(path),
            fix="bring the file back from a copy",
        )
    return record


def read_lines(
    path: Path, keys: Collection[str] = (), is_sound: Callable[[Record], bool] = lambda _: True
) -> list[Record]:
    """The records of a JSON-lines file, each with these keys, and sound.

    A last line cut off by a kill is not one of them; damage before it is not passed over.
    """
    if not path.exists():
        return []
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            has_keys = isinstance(record, dict) and record.keys() >= set(keys)
            if not has_keys or not is_sound(record):
                raise ValueError(f"a record has {', '.join(keys)}")
        except ValueError as error:
            if number == len(lines):
                break
            raise UserError(
                f"'{path.name}' is damaged: line {number} of {len(lines)} is no record",
                where=str(path),
                fix="bring the file back from a copy",
            ) from error
        records.append(record)
    return records


def find_record(
    path: Path, key: str, value: str, is_sound: Callable[[Record], bool] = lambda _: True
) -> Record:
    """The first record with this value, where there is one; the lines before it are not parsed."""
    with path.open("rb") as lines:
        for line in lines:
            if value.encode() not in line:
                continue
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and record.get(key) == value and is_sound(record):
                    return record
    raise LookupError(value)


def write_lines(path: Path, records: list[Record]) -> None:
    """Replace a JSON-lines file, as a resumed run does with lines that its checkpoint lacks."""
    write_aside(path, "".join(json.dumps(record) + "\n" for record in records).encode())
