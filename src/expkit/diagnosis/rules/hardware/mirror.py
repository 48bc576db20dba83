"""A second copy of the run that was not there when it might have been wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class MirrorFailed(Rule):
    """The mirror could not be written for a while, or to the end."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        # a line where copies begin to fail, and one where they succeed again
        changes = evidence.of_kind("mirror")
        failures = [each for each in changes if each.get("error")]
        if not failures:
            return
        first, last = failures[0], changes[-1]
        yield self.finding(
            "behind" if last.get("error") else "written_again",
            {"folder": first.get("folder"), "error": failures[-1]["error"]},
            stage=failures[-1]["stage"],
            epoch=int(failures[-1]["epoch"]),
            again_stage=last["stage"],
            again_epoch=int(last["epoch"]),
        )
