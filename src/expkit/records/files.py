"""Writing that survives a kill at any instant, and reading that forgives a torn last line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.records.safe_open import open_regular, open_to_read, read_file, refuse_links
from expkit.safe_yaml import MAX_DEPTH, load_yaml

Record = dict[str, Any]
CHUNK = 1 << 20  # bytes that are copied at once


def write_aside(path: Path, data: bytes, root: Path | None = None) -> None:
    """Put a whole file in place at once: a reader sees the old one or the new one, never half.

    Of a folder `root` that may be a stranger's, no link is followed.
    """
    refuse_links(path.parent, root)
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def copy_aside(source: int, size: int, path: Path, root: Path) -> None:
    """Put a copy of an open file's first bytes in place at once, once the disk has them."""
    refuse_links(path.parent, root)
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for start in range(0, size, CHUNK):
                stream.write(os.pread(source, min(CHUNK, size - start), start))
            stream.flush()
            os.fsync(stream.fileno())
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def made_whole(folder: Path) -> Iterator[None]:
    """Make a folder that is then filled; where that fails, it is as if it had not been begun."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if new:
            shutil.rmtree(new[-1], ignore_errors=True)
        raise


def write_output(path: Path, data: bytes) -> None:
    """Write a file that the user named: through their links, and into a pipe or a device."""
    is_stream = path.absolute().parts[1:2] in (("dev",), ("proc",))  # as /dev/stdout, into a file
    if not is_stream:
        with contextlib.suppress(FileNotFoundError):
            is_stream = not stat.S_ISREG(path.stat().st_mode)
    if not is_stream:
        write_aside(path.resolve(), data)
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as stream:
        stream.write(data)


def write_json(path: Path, record: Record) -> None:
    """Write a record as JSON that people can read, too."""
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_aside(path, text.encode(errors="backslashreplace"))


def append_line(path: Path, text: str, root: Path | None = None) -> None:
    """Add one line by one system call, so that a signal cannot fall into the middle of it."""
    data = f"{text}\n".encode(errors="backslashreplace")
    descriptor = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, root)
    try:
        written = os.write(descriptor, data)
        if written < len(data):  # the disk filled up: take the torn line back
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(28, os.strerror(28), str(path))
    finally:
        os.close(descriptor)


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text; one nested too deep is a ValueError, as other damage is."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json(path: Path) -> Record:
    """The record that a JSON file holds."""
    try:
        record = parse_json(read_file(path))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise UserError(
            f"'{path.name}' is damaged: it holds no JSON object",
            where=str(path),
            fix="bring the file back from a copy",
        )
    return record


def read_yaml(path: Path) -> Any:
    """The plain data of a YAML file: no tags, no loops, and no more than it seems to hold."""
    content = read_file(path)
    try:
        return _refuse_objects(load_yaml(content))
    except (RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no plain YAML: {error}") from None


def _refuse_objects(value: Any) -> Any:
    """A config is text, numbers, lists and mappings; a date or a set is none of them."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif not isinstance(each, str | int | float | None):
                raise ValueError(f"it holds a {type(each).__name__}")
            elif isinstance(each, int) and abs(each) >= 2**63:
                raise ValueError("it holds a number that is too large")
        if not below:
            return value
        level = below
    raise ValueError("it is nested too deep")


def read_lines(
    path: Path,
    keys: Collection[str] = (),
    is_sound: Callable[[Record], bool] = lambda _: True,
    root: Path | None = None,
) -> list[Record]:
    """The records of a JSON-lines file, each with these keys, and sound.

    A last line cut off by a kill is not one of them; damage before it is not passed over.
    """
    try:
        content = read_file(path, root)
    except FileNotFoundError:
        return []
    lines = [line for line in content.split(b"\n") if line]
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = parse_json(line)
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
    with open_to_read(path) as lines:
        for line in lines:
            if value.encode() not in line:
                continue
            with contextlib.suppress(ValueError):
                record = parse_json(line)
                if isinstance(record, dict) and record.get(key) == value and is_sound(record):
                    return record
    raise LookupError(value)


def write_lines(path: Path, records: list[Record]) -> None:
    """Replace a JSON-lines file, as a resumed run does with lines that its checkpoint lacks."""
    write_aside(path, "".join(json.dumps(record) + "\n" for record in records).encode())
