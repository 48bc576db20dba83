"""The members of an ensemble: whose weights it was made of, and what each of them predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from expkit.errors import UserError
from expkit.records.files import read_json, write_json
from expkit.records.safe_open import is_file
from expkit.records.typed_values import Count, Finite, Seconds, check_shape

FILE = "ensemble.json"
FOLDER = "members"  # of their predictions
How = Literal["probabilities", "logits", "soup", "greedy_soup"]
SOUPS = ("soup", "greedy_soup")


@dataclass(frozen=True)
class Member:
    """A run whose weights are in an ensemble, or were offered to a greedy soup."""

    run: str
    path: str  # where it lay
    epoch: Count  # after which its weights were kept
    weights_digest: str  # SHA-256 of the names and values of its weights
    num_parameters: Count
    figure: Finite  # accuracy, or the error of numbers, on the split that chooses
    is_used: bool  # a greedy soup leaves some out
    overrides: Sequence[str]  # the words that trained it


@dataclass(frozen=True)
class EnsembleRecord:
    """An ensemble as it was made."""

    combine: How
    members: Sequence[Member]
    best: Count  # the place of the best member, on the split that chooses
    chosen_on: str  # the split by which members are ranked: val where there is one
    num_parameters: Count  # of the ensemble
    latency_ms: tuple[Seconds, Seconds]  # of one image: the ensemble, its best member

    @property
    def is_soup(self) -> bool:
        return self.combine in SOUPS

    @property
    def used(self) -> list[Member]:
        return [each for each in self.members if each.is_used]

    def write(self, run_path: Path) -> None:
        write_json(run_path / FILE, asdict(self))


def read_ensemble(run_path: Path) -> EnsembleRecord | None:
    """Read how a run's weights were put together; None of one that was trained."""
    path = run_path / FILE
    if not is_file(path):
        return None
    try:
        record = read_json(path)
        check_shape(record, EnsembleRecord)
        return _made(record)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"'{FILE}' is damaged: {str(error)[:120]}",
            where=str(path),
            fix="bring the file back from a copy, or make it anew: expkit ensemble RUN RUN ...",
        ) from error


def _made(record: Mapping[str, Any]) -> EnsembleRecord:
    names = EnsembleRecord.__dataclass_fields__
    fields = {name: value for name, value in record.items() if name in names}
    known = Member.__dataclass_fields__
    members = [
        Member(**{name: value for name, value in each.items() if name in known})
        for each in record["members"]
    ]
    if len(members) < 2 or record["best"] >= len(members):
        raise ValueError("it has no members, or no best one")
    if record["chosen_on"] not in ("train", "val", "test"):
        raise ValueError(f"chosen_on cannot be '{record['chosen_on']}'")
    if not any(each.is_used for each in members):
        raise ValueError("no member of it is used")
    latency_ms = (float(record["latency_ms"][0]), float(record["latency_ms"][1]))
    return EnsembleRecord(**{**fields, "members": members, "latency_ms": latency_ms})


def predictions_path(run_path: Path, place: int) -> Path:
    """The file of what a member predicted, by its place among them."""
    return run_path / FOLDER / f"{place}.csv"
