"""A run's look at a test set that was sealed, as its folder keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from expkit.errors import UserError
from expkit.metrics.mcnemar import LEVEL
from expkit.records.files import read_json, write_json
from expkit.records.safe_open import is_file
from expkit.records.typed_values import Positive, check_shape

RECORD = "test_look.json"


@dataclass(frozen=True)
class TestLook:
    """A run's look at a test set that was sealed: the how-manieth it is, of any run."""

    __test__ = False  # pytest takes the name for a test's

    split: str
    identity: str
    number: Positive

    @property
    def level(self) -> float:
        """The level of its intervals, by which those of all looks so far hold at 5 % together."""
        return LEVEL / self.number  # Bonferroni

    def write(self, run_path: Path) -> None:
        """Keep it in the run's folder, so that pages know of it without the ledger."""
        write_json(run_path / RECORD, asdict(self))

    @classmethod
    def read(cls, run_path: Path) -> TestLook | None:
        """The look of a run; None where its test set was never sealed."""
        path = run_path / RECORD
        if not is_file(path, run_path):
            return None
        record = read_json(path)
        try:
            check_shape(record, cls)
        except ValueError as error:
            raise UserError(
                f"'{RECORD}' is damaged: {error}",
                where=str(path),
                fix="bring the file back from a copy",
            ) from error
        return cls(record["split"], record["identity"], record["number"])
