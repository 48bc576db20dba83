"""The cut-offs that were chosen for a class of a run: sure of it, sure of another, or maybe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError
from expkit.records.files import read_json, write_json
from expkit.records.opening import is_file
from expkit.records.shapes import Finite, check_shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FILE = "threshold.json"
MAYBE = "maybe"


@dataclass(frozen=True)
class Threshold:
    """Below `low` another class, from `high` on this one, between them maybe."""

    class_name: str
    class_names: Sequence[str]
    low: Finite
    high: Finite | None  # None: no cut-off makes this class sure
    asked_recall: float
    asked_precision: float
    split: str  # whose halves chose and confirmed the cut-offs
    seed: int  # of the halves
    is_confirmed: bool  # the half that did not choose bears out what was asked
    evidence: Mapping[str, Any]

    @classmethod
    def read(cls, run_path: Path) -> Threshold | None:
        """A run's threshold, or None where none was chosen."""
        path = run_path / FILE
        if not is_file(path):
            return None
        try:
            record = read_json(path)
            check_shape(record, cls)
            found = cls(**record)
            if found._is_sound():
                return found
        except (TypeError, ValueError):
            pass
        raise UserError(
            f"'{path}' holds no threshold",
            fix=f"expkit threshold {run_path.name} --class NAME --recall 0.99",
        )

    def _is_sound(self) -> bool:
        highest = 1 if self.high is None else self.high
        return self.class_name in self.class_names and 0 <= self.low <= highest <= 1

    def write(self, run_path: Path) -> None:
        write_json(run_path / FILE, asdict(self))

    @property
    def class_index(self) -> int:
        return list(self.class_names).index(self.class_name)

    def decide(self, probabilities_NC: npt.NDArray[np.floating[Any]]) -> list[str]:
        """Each sample's class by these cut-offs, or maybe; also where a number is none.

        A sample that is surely not of this class goes to the most probable of the others.
        """
        import numpy as np

        table = probabilities_NC.astype(np.float64)
        own = table[:, self.class_index]
        others = table.copy()
        others[:, self.class_index] = -1
        names = np.array([*self.class_names, MAYBE], dtype=object)
        answers = np.full(len(table), len(self.class_names))
        is_other = own < self.low
        answers[is_other] = others[is_other].argmax(axis=1)
        if self.high is not None:
            answers[own >= self.high] = self.class_index
        return list(names[answers])
