"""The events of a run in the order in which they happened, each once, told from its records.

The files are read in such an order that nothing is overtaken: of the results first those that were
there before the history was read, and findings last, as each was written before what follows it.
A resumed run writes its history anew; what was told of it is known by its place in its stage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from expkit.diagnosis.examine import severity_of
from expkit.diagnosis.finding import Finding
from expkit.records.files import Record
from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run, explain_damage
from expkit.records.run.schema import check_name, is_epoch, is_told
from expkit.records.run.writer import is_locked
from expkit.records.typed_values import check_shape
from expkit.reports.events.lines import NewRecords
from expkit.reports.json.event import (
    BeginEvent,
    EndEvent,
    EpochEvent,
    Event,
    FindingEvent,
    StageEvent,
)
from expkit.reports.run.summary import all_passed, is_gate, recall

PASSED, NOT_PASSED = 0, 1


@dataclass
class RunEvents:
    """What has happened in a run since it was last asked."""

    run: Run
    lines: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))  # not told
    results: dict[str, StageResult] = field(default_factory=dict)
    found: list[Record] = field(default_factory=list)  # findings that are not told
    num_read: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # lines, by stage
    num_told: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ended: set[str] = field(default_factory=set)  # stages whose result is told
    worst: dict[str, int] = field(default_factory=dict)  # rules, and how severe they were told

    def __post_init__(self) -> None:
        path = self.run.path
        stage_epoch = ("stage", "epoch")
        self._history = NewRecords(path / "history.jsonl", path, stage_epoch, is_epoch)
        self._stages = NewRecords(path / "stages.jsonl", path, ("stage",), _is_result)
        self._findings = NewRecords(path / "findings.jsonl", path, stage_epoch, is_told)

    @property
    def is_over(self) -> bool:
        """Tell whether the last results that were read end it, or no process is at it any more."""
        has_failed = any(not result.passed for result in self.results.values())
        is_whole = self.results.keys() >= set(self.run.stage_names)
        return has_failed or is_whole or not is_locked(self.run.path)

    def begin(self) -> BeginEvent:
        """The first line."""
        return BeginEvent(
            kind="run",
            name=self.run.name,
            path=str(self.run.path),
            status=Run(self.run.path).status,
            stages=self.run.stage_names,
        )

    def look(self, *, is_last: bool = False) -> Iterator[Event]:
        """Yield what happened since; the last look keeps nothing back."""
        self._read_results()
        sure = set(self.results)
        self._read_history()
        self._read_results()
        self._read_findings()
        for place, stage in enumerate(order := self._order()):
            if stage not in self.ended:
                is_past = is_last or any(self.lines[each] for each in order[place + 1 :])
                yield from self._tell_stage(stage, is_whole=is_past or stage in sure)
                if not is_past and stage not in self.ended:
                    break
        yield from self._tell_findings(None)

    def end(self) -> Iterator[Event]:
        """Yield the findings that were never told, and the last line."""
        run = Run(self.run.path)
        status = run.status
        summary = recall(run)
        for record in summary["findings"] if status != "running" else ():
            finding = Finding.from_json(record)
            if finding.rule not in self.worst:
                yield FindingEvent(stage=None, epoch=None, finding=finding)
        has_passed = all_passed(summary)
        yield EndEvent(
            kind="run",
            name=run.name,
            path=str(run.path),
            status=status,
            verdict=summary["verdict"],
            verdict_reason=summary["verdict_reason"],
            counts={},
            passed=has_passed,
            exit_code=PASSED if has_passed or status == "running" else NOT_PASSED,
        )

    def _order(self) -> list[str]:
        """The stages of the procedure, and then what else the records name."""
        return list(dict.fromkeys([*self.run.stage_names, *self.lines, *self.results]))

    def _read_history(self) -> None:
        records = self._history.look()
        if self._history.is_anew:
            self.lines.clear()
            self.num_read.clear()
        for record in records:
            stage = record["stage"]
            self.num_read[stage] += 1
            if self.num_read[stage] > self.num_told[stage]:
                self.lines[stage].append(record)

    def _read_results(self) -> None:
        with explain_damage(self._stages.path):
            for record in self._stages.look():
                result = StageResult.from_json(record)
                check_name(result.stage)
                self.results[result.stage] = result

    def _read_findings(self) -> None:
        records = self._findings.look()
        if self._findings.is_anew:
            self.found.clear()
        self.found += records

    def _tell_stage(self, stage: str, *, is_whole: bool) -> Iterator[Event]:
        """Yield the lines of a stage with the findings between them, and its result at the end."""
        yield from self._tell_findings(stage)
        waiting, self.lines[stage] = self.lines[stage], []
        for record in waiting:
            self.num_told[stage] += 1
            yield self._epoch(record)
            yield from self._tell_findings(stage)
        if is_whole and stage in self.results:
            self.ended.add(stage)
            yield _stage(self.results[stage])

    def _tell_findings(self, stage: str | None) -> Iterator[Event]:
        """Yield those that are due in this stage; None: in stages that are over."""
        waiting, self.found = self.found, []
        for record in waiting:
            where, epoch = record["stage"], record["epoch"]
            is_due = where == stage and epoch <= self.num_told[where]
            if not is_due and where not in self.ended:
                self.found.append(record)
                continue
            finding = _finding(record, self._findings)
            if self.worst.get(finding.rule, -1) < severity_of(finding):
                self.worst[finding.rule] = severity_of(finding)
                yield FindingEvent(stage=where, epoch=epoch, finding=finding)

    def _epoch(self, record: Record) -> EpochEvent:
        stage = record["stage"]
        return EpochEvent(
            stage=stage,
            unit="step" if is_gate(self.run, stage) else "epoch",
            epoch=record["epoch"],
            at=record.get("at"),
            lr=record.get("lr"),
            seconds=record.get("seconds"),
            samples_per_second=record.get("samples_per_second"),
            figures={key: value for key, value in record.items() if "/" in key},
        )


def _is_result(record: Record) -> bool:
    """Tell whether a line says of which stage it is; the rest is looked at where it is read."""
    return isinstance(record["stage"], str)


def _stage(result: StageResult) -> StageEvent:
    return StageEvent(
        stage=result.stage,
        kind=result.kind,
        passed=result.passed,
        reason=result.reason,
        num_epochs=result.num_epochs,
        best_epoch=result.best_epoch,
        seconds=result.seconds,
        samples_per_second=result.samples_per_second,
    )


def _finding(record: Mapping[str, Any], source: NewRecords) -> Finding:
    with explain_damage(source.path):
        check_shape(record["finding"], Finding)
        if not record["finding"]["evidence"]:
            raise ValueError("a finding has no evidence")
        return Finding.from_json(record["finding"])
