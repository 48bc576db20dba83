"""Records that another process appends to a file of a run, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import Record, parse_json
from expkit.records.tail import Tail


@dataclass
class NewRecords:
    """The records that a JSON-lines file has gained since it was last looked at."""

    path: Path
    root: Path  # the run's or the sweep's folder, which may be a stranger's
    keys: Collection[str]
    is_sound: Callable[[Record], bool]
    number: int = 0  # lines that were read
    is_anew: bool = False  # those gained last begin with the first of another file
    tail: Tail = field(init=False)

    def __post_init__(self) -> None:
        self.tail = Tail(self.path, self.root, is_whole=True)

    def look(self) -> list[Record]:
        """Read on; damage is refused, and a last line not yet whole waits."""
        found: list[Record] = []
        self.is_anew = False
        while lines := self.tail.new_lines():
            if self.tail.is_anew:
                found, self.number, self.is_anew = [], 0, True
            found += [self._parse(line) for line in lines]
        return [record for record in found if record]

    def _parse(self, line: str) -> Record:
        self.number += 1
        if not line:
            return {}
        try:
            record = parse_json(line)
            has_keys = isinstance(record, dict) and record.keys() >= set(self.keys)
            if not has_keys or not self.is_sound(record):
                raise ValueError(f"a record has {', '.join(self.keys)}")
        except ValueError as error:
            raise UserError(
                f"'{self.path.name}' is damaged: line {self.number} is no record",
                where=str(self.path),
                fix="bring the file back from a copy",
            ) from error
        assert isinstance(record, dict), "it was looked at"
        return record
