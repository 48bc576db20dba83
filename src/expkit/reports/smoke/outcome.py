"""The outcome of one job of a smoke test: each gate, and why one failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from expkit.records.safe_open import read_file
from expkit.records.sweep.job import DONE, FAILED, Job
from expkit.reports import formatting
from expkit.reports.run.findings import screen_lines
from expkit.reports.run.summary import recall
from expkit.sanitize import one_line

SUBJECTS = ("experiment", "model")  # the groups of which a smoke test takes several
LAST_LINES = 25  # of the output of a job that did not come to its end


@dataclass(frozen=True)
class GateOutcome:
    """A gate: passed, failed, cut off by what ended its process, or never begun."""

    name: str
    status: Literal["passed", "failed", "error", "skipped"]
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class SmokeOutcome:
    """What a model or an experiment came to."""

    name: str
    gates: tuple[GateOutcome, ...]
    seconds: float
    details: str  # findings with their next commands, or the last lines of output

    @property
    def passed(self) -> bool:
        return all(gate.status == "passed" for gate in self.gates)

    def line(self, width: int = 0) -> str:
        """`ok    resnet18  learnt 1 sample at step 12, ...   3.4 s`, and why where it failed."""
        word = "ok   " if self.passed else "FAIL "
        told = [gate for gate in self.gates if gate.status != "skipped"]
        shown = told if self.passed else [each for each in told if each.status != "passed"]
        reasons = "; ".join(
            each.reason if each.status != "failed" else f"{each.name}: {each.reason}"
            for each in shown
        )
        head = f"{word} {self.name:<{width}}  {reasons}, {formatting.duration(self.seconds)}"
        return head if self.passed else f"{head}\n{self.details}".rstrip()


def read_outcome(job: Job, name: str) -> SmokeOutcome:
    """Read what a job came to from its records."""
    return SmokeOutcome(
        name,
        tuple(_gates(job)),
        job.seconds or 0.0,
        "" if job.status == "finished" else _details(job),
    )


def name_jobs(jobs: Sequence[Job]) -> dict[str, str]:
    """By id: `resnet18`, or `resnet18, seed=1` where more is varied than the model."""
    common = set.intersection(*(set(job.overrides) for job in jobs))
    return {job.id: _name_of(job, common) for job in jobs}


def _name_of(job: Job, common: Collection[str]) -> str:
    pairs = [(word, *word.partition("=")[::2]) for word in job.overrides]
    told = [
        value if key in SUBJECTS else word
        for word, key, value in pairs
        if key in SUBJECTS or word not in common
    ]
    return one_line(", ".join(told) or str(job.config.get("name") or "default"))


def _gates(job: Job) -> list[GateOutcome]:
    results = [] if job.run is None else job.run.stages
    recorded = {result.stage: result for result in results}
    gates: list[GateOutcome] = []
    has_ended = False
    for name in job.procedure:
        stage = recorded.get(name)
        if stage is not None:
            status: Literal["passed", "failed"] = "passed" if stage.passed else "failed"
            gates.append(GateOutcome(name, status, one_line(stage.reason), stage.seconds))
            has_ended = status == "failed"
        elif has_ended:
            gates.append(GateOutcome(name, "skipped"))
        else:
            gates.append(GateOutcome(name, "error", _why_cut_off(job)))
            has_ended = True
    if not has_ended and job.status not in DONE:  # its pages could not be made
        gates[-1] = replace(gates[-1], status="error", reason=_why_cut_off(job))
    return gates


def _why_cut_off(job: Job) -> str:
    return ": ".join(filter(None, [str(job.status), job.reason]))


def _details(job: Job) -> str:
    """The findings and what to do next; of a process that broke off, what it said last."""
    if job.run is not None and job.status not in FAILED:
        findings = screen_lines(recall(job.run)["findings"])
        return "\n".join(findings or [f"  next  expkit diagnose {job.run.path}"])
    try:
        lines = read_file(job.output).decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
