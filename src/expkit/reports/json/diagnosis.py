"""The document of `expkit diagnose`: the findings on runs, computed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.diagnosis.coverage import not_looked
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding
from expkit.records.run.reader import Run, Status
from expkit.reports.json.header import Document


@dataclass(frozen=True)
class DiagnosedRun:
    """A run and what is wrong with it."""

    run: str  # the folder's name
    path: str
    status: Status
    findings: Sequence[Finding]  # the worst first
    not_looked: Mapping[
        str, Sequence[str]
    ]  # of a watched loop: why rules could not look, and which


@dataclass(frozen=True, kw_only=True)
class DiagnosisDocument(Document):
    """Runs with their findings, and findings on all of them together."""

    schema: Literal["expkit/diagnosis"] = "expkit/diagnosis"
    runs: Sequence[DiagnosedRun]
    across: Sequence[Finding]  # of several runs beside each other


def diagnosis_document(
    runs: Mapping[str, Run], findings: Mapping[str, Sequence[Finding]], across: Sequence[Finding]
) -> DiagnosisDocument:
    """Return the findings on each run."""
    return DiagnosisDocument(
        runs=[
            DiagnosedRun(
                run.name,
                str(run.path),
                run.status,
                findings[name],
                not_looked(Evidence.of(run), load_rules()),
            )
            for name, run in runs.items()
        ],
        across=across,
    )
