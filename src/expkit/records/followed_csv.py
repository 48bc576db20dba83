"""A CSV to which the predictions of a followed folder are appended, each of them once.

Its rows are the truth of what is done. What made them stands in a small file beside it, so that
rows of another run or of other settings are never added.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from expkit.errors import UserError
from expkit.records.csv_cells import csv_text, plain_cell
from expkit.records.files import read_json, write_json
from expkit.records.run.predictions import UNDECODABLE
from expkit.records.run.writer import takes_lock
from expkit.records.safe_open import is_file
from expkit.records.typed_values import ShapeError, check_shape

VERSION = 1
MOST_TORN = 1 << 16  # bytes that can be of one row: a name has at most 4096, also with line breaks


@dataclass(frozen=True)
class FollowSettings:
    """The settings on which the rows depend."""

    run: str
    weights_sha256: str
    folder: str
    temperature: float
    views: Sequence[str]
    thresholds: Sequence[str]  # by which it is decided, in words
    names: Sequence[str]  # of the classes, or of the numbers that are predicted
    top: int
    version: int = VERSION


@dataclass
class FollowedCsv:
    """A CSV that this process alone appends to."""

    path: Path
    descriptor: int  # which holds its lock
    settings: FollowSettings
    size: int = 0  # of what is known to be whole

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, settings: FollowSettings) -> Iterator[FollowedCsv]:
        """Hold the file's lock; one of another run or of other settings is refused."""
        path = path.resolve()
        descriptor, is_new = _open_locked(path)
        try:
            opened = cls(path, descriptor, settings)
            if os.fstat(descriptor).st_size:
                opened._refuse_other_settings()
            yield opened
        finally:
            if is_new and not os.fstat(descriptor).st_size:
                path.unlink(missing_ok=True)  # nothing came of it
            os.close(descriptor)

    @property
    def settings_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.follow.json")

    def begin(self, header: Sequence[str], take: Callable[[Sequence[str]], None]) -> None:
        """Hand over the rows that are there; a line that a kill has cut off is taken away."""
        with os.fdopen(os.dup(self.descriptor), "rb") as stream:
            stream.seek(0)
            for number, (row, end) in enumerate(_read_whole(stream)):
                if number == 0 and row != list(header):
                    raise _damaged(self.path, "its columns are other ones")
                if number > 0:
                    self._take(row, number + 1, len(header), take)
                self.size = end
        self._cut_torn_end()
        if self.size == 0:
            write_json(self.settings_path, asdict(self.settings))
            self.append([header])

    def append(self, rows: Sequence[Sequence[str]]) -> None:
        """Add rows; once it returns, the disk has them."""
        self._refuse_changed()
        left = memoryview(csv_text(rows).encode(errors=UNDECODABLE))
        new_size = self.size + len(left)
        os.lseek(self.descriptor, self.size, os.SEEK_SET)
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
            os.fsync(self.descriptor)
        except OSError as error:
            os.ftruncate(self.descriptor, self.size)  # no half row
            raise UserError(
                f"cannot write to '{self.path}': {(error.strerror or str(error)).lower()}",
                where=f"--csv {self.path}: the rows up to here are whole",
                fix="make room, and start it again: it goes on where it was",
            ) from error
        self.size = new_size

    def _cut_torn_end(self) -> None:
        """Take away what a kill has left of a row; whole lines that are no rows are damage."""
        torn = os.pread(self.descriptor, MOST_TORN + 1, self.size)
        if len(torn) > MOST_TORN and b"\n" in torn:
            raise _damaged(self.path, f"from byte {self.size + 1} on it holds no rows")
        os.ftruncate(self.descriptor, self.size)

    def _take(
        self,
        row: Sequence[str],
        number: int,
        num_columns: int,
        take: Callable[[Sequence[str]], None],
    ) -> None:
        try:
            if len(row) != num_columns:
                raise ValueError(f"{len(row)} cells, and not {num_columns}")
            take(row)
        except (ValueError, IndexError) as error:
            raise _damaged(self.path, f"row {number}: {error}") from None

    def _refuse_other_settings(self) -> None:
        if not is_file(self.settings_path):
            raise UserError(
                f"'{self.path.name}' is there already, and --follow has not written it",
                where=f"--csv {self.path}",
                fix="--csv ANOTHER.csv",
            )
        record = read_json(self.settings_path)
        try:
            check_shape(record, FollowSettings)
        except (ShapeError, ValueError) as error:
            raise _damaged(self.settings_path, str(error)) from None
        now: Mapping[str, Any] = asdict(self.settings)
        others = [
            f"{name}: {_shown(record.get(name))} there, {_shown(value)} now"
            for name, value in now.items()
            if record.get(name) != (list(value) if isinstance(value, tuple) else value)
        ]
        if others:
            raise UserError(
                f"'{self.path.name}' was written with other settings, and its rows would not be "
                "comparable",
                where="\n".join([f"--csv {self.path}", *others]),
                fix="--csv ANOTHER.csv, or remove this one to have the whole folder predicted anew",
            )

    def _refuse_changed(self) -> None:
        """Refuse to go on with a file that somebody else has written, replaced or removed."""
        ours = os.fstat(self.descriptor)
        with contextlib.suppress(FileNotFoundError):
            there = self.path.stat()
            if os.path.samestat(ours, there) and there.st_size == self.size:
                return
        raise UserError(
            f"'{self.path.name}' is not what was written: something else changed, replaced or "
            "removed it",
            where=f"--csv {self.path}",
            fix="start it again: it goes on from what the file holds now",
        )


def _open_locked(path: Path) -> tuple[int, bool]:
    """A descriptor that holds the file's lock, and whether the file is new."""
    while True:
        is_new = not path.exists()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UserError(
                f"cannot write '{path}': {(error.strerror or str(error)).lower()}",
                where=f"--csv {path}",
                fix="--csv FILE",
            ) from error
        try:
            _check_opened(path, descriptor)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor, is_new
        except FileNotFoundError:
            pass  # whoever held it has removed it
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _check_opened(path: Path, descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UserError(
            f"'{path}' is no plain file: what is appended once must be there to be read again",
            where=f"--csv {path}",
            fix="--csv FILE",
        )
    if not takes_lock(descriptor):
        raise UserError(
            f"another expkit predict --follow writes to '{path.name}'",
            where=f"--csv {path}",
            fix="end the other one, or --csv ANOTHER.csv",
        )


def _read_whole(stream: BinaryIO) -> Iterator[tuple[list[str], int]]:
    """Yield each whole row, and where it ends; a cell may hold lines.

    A kill cuts the last one off; a power cut may leave zeros in its place.
    """
    pending, end = b"", 0
    for line in stream:
        pending += line
        if b"\0" in line or not line.endswith(b"\n"):
            return
        if pending.count(b'"') % 2 == 0:
            end += len(pending)
            text = io.StringIO(pending.decode(errors=UNDECODABLE), newline="")
            for row in csv.reader(text):
                yield [plain_cell(cell) for cell in row], end
            pending = b""


def _damaged(path: Path, what: str) -> UserError:
    return UserError(
        f"'{path.name}' is damaged: {what:.200}",
        where=str(path),
        fix="bring the file back from a copy, or --csv ANOTHER.csv",
    )


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
