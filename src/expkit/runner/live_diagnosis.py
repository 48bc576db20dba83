"""Rules asked during a run: each new finding is reported once, and may stop the run early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules, severity_of
from expkit.diagnosis.finding import Finding, Severity, is_as_severe
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run

StopOn = Literal["never", "fatal", "warning"]


@dataclass
class Diagnosis:
    """Looks at the records of a run under way.

    Whether to stop is read off the records, as all else is: a resumed run agrees.
    """

    run: Callable[[], Run]  # anew at each look: a Run keeps what it has read
    stop_on: StopOn
    tell: Callable[[Finding], None]
    reported: dict[str, int] = field(default_factory=dict)  # rules, and how severe at the worst

    def check(self, result: StageResult | None = None) -> Finding | None:
        """Report new findings; return the one that ends the run, or None where it goes on.

        `result` is that of a stage which has just ended, and is not written down yet.
        """
        evidence = Evidence.of(self.run())
        if result is not None:
            evidence = replace(evidence, stages=[*evidence.stages, result])
        findings = examine(evidence, load_rules())
        for finding in findings:
            if self.reported.get(finding.rule, -1) < severity_of(finding):
                self.reported[finding.rule] = severity_of(finding)
                self.tell(finding)
        return next((finding for finding in findings if self._ends_run(finding)), None)

    def _ends_run(self, finding: Finding) -> bool:
        limit: dict[StopOn, Severity | None] = {"never": None, "fatal": "fatal"}
        severity = limit.get(self.stop_on, "warning")
        return severity is not None and is_as_severe(finding, severity)
