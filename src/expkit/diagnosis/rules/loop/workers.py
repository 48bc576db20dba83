"""The rule on workers of a loader that all draw or read the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.rules.loop.loop_rule import LoopRule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class WorkersRepeat(LoopRule):
    """Batches that come once from each worker, or a generator that each worker has a copy of.

    torch gives its own generators, Python's and numpy's global one another seed in each worker;
    one that the data set holds is copied as it is.
    """

    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.9  # of the batches of an epoch
    min_batches: Annotated[int, Ge(2)] = 4

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        for record in epochs:
            workers = record.get("workers") or {}
            if workers.get("num_workers", 0) < 2:
                continue
            repeated = record.get("repeated_batches")
            if repeated and self._is_once_a_worker(repeated, workers["num_workers"]):
                yield self.finding(
                    "same_batches",
                    {"num_workers": workers["num_workers"], **repeated},
                    stage=record["stage"],
                    epoch=record["epoch"],
                )
                return
            if workers["own_generators"] and not workers["seeds_workers"]:
                yield self.finding(
                    "copied_generators",
                    {
                        "num_workers": workers["num_workers"],
                        "generators": workers["own_generators"],
                    },
                    stage=record["stage"],
                    epoch=record["epoch"],
                    generator=listed(workers["own_generators"]),
                )
                return

    def _is_once_a_worker(self, repeated: Record, num_workers: int) -> bool:
        batches = repeated["batches"]
        if batches < self.min_batches or repeated["repeated"] < self.min_fraction * batches:
            return False
        return bool(0.75 * num_workers <= batches / repeated["different"] <= 1.25 * num_workers)
