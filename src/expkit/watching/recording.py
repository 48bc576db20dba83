"""A watched loop written down as a run: the same folder, findings and pages."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import ask, examine, load_rules
from expkit.diagnosis.finding import Finding
from expkit.metrics.predictions import Predictions
from expkit.records.files import Record, write_aside
from expkit.records.run.environment import describe_environment
from expkit.records.run.metadata import DatasetMetadata, StageResult
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder, name_folder
from expkit.reports.run.findings import describe
from expkit.runner.live_diagnosis import Diagnosis
from expkit.runner.run import hash_text
from expkit.terminal.progress import Progress
from expkit.watching.description import EVALUATION, STAGE


@dataclass
class Recording:
    """The run folder of a watched loop, made once its first epoch has been seen."""

    parent: Path
    name: str
    signals: list[Record] = field(default_factory=list)  # from before there was a folder
    records: list[Record] = field(default_factory=list)  # of the history
    held_out: dict[str, Predictions] = field(default_factory=dict)  # the last, by split
    folder: RunFolder | None = None
    _progress: Progress | None = None
    _diagnosis: Diagnosis | None = None
    _began: float = field(default_factory=time.perf_counter)
    _last_lap: float = field(default_factory=time.perf_counter)
    _config_text: str = ""
    _metadata: DatasetMetadata | None = None

    def describe(self, config: Mapping[str, Any], metadata: DatasetMetadata, device: str) -> None:
        """Write down what the loop is; again where an epoch has shown more of it."""
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        if text == self._config_text and metadata == self._metadata:
            return
        self._config_text, self._metadata = text, metadata
        environment = describe_environment(["python", *sys.argv], device, hash_text(text))
        files: dict[str, str | bytes] = {
            "config.yaml": text,
            "overrides.yaml": yaml.safe_dump([]),
            "environment.json": json.dumps(environment, indent=2),
            "dataset.json": json.dumps(metadata.to_json()),
        }
        if self.folder is None:
            self._create(files)
            return
        for name in ("dataset.json", "config.yaml", "environment.json"):
            content = files[name]
            assert isinstance(content, str), "text, all of them"
            write_aside(self.folder.path / name, content.encode())

    def _create(self, files: Mapping[str, str | bytes]) -> None:
        name = name_folder(self.name, time.time(), os.environ)
        folder = self.folder = RunFolder.create(self.parent, name, files)
        progress = self._progress = Progress(folder)
        self._diagnosis = Diagnosis(run=lambda: Run(folder.path), stop_on="never", tell=self._tell)
        progress.say(f"watch   {folder.path}")
        for signal in self.signals:
            folder.append_signal(signal)

    def note(self, kind: str, epoch: int, content: Mapping[str, Any]) -> None:
        """Write a signal down, for the rules."""
        signal = {"stage": STAGE, "kind": kind, "epoch": epoch, **content}
        if self.folder is None:
            self.signals.append(signal)
        else:
            self.folder.append_signal(signal)

    def add_epoch(self, figures: Mapping[str, Any], seconds: float, num_samples: int) -> None:
        """Write a line of the history."""
        assert self.folder is not None, "it was described"
        now = time.perf_counter()
        record = {
            "stage": STAGE,
            **figures,
            "seconds": seconds,
            "samples_per_second": num_samples / seconds,
            "wall_seconds": now - self._last_lap,
            "at": time.time(),
        }
        self._last_lap = now
        self.records.append(record)
        self.folder.append_history(record)

    def _tell(self, finding: Finding) -> None:
        """Write a finding down where it is told, and show it."""
        assert self.folder is not None, "it is of a folder"
        assert self._progress is not None, "it was made with the folder"
        self.folder.append_finding(STAGE, len(self.records), finding.to_json())
        self._progress.found(finding)

    def diagnose(self) -> None:
        """Tell what is found by now, and was not told before."""
        assert self._diagnosis is not None, "it was described"
        self._diagnosis.check()

    def say(self, text: str) -> None:
        """Say something, in the log too where there is one."""
        if self._progress is not None:
            self._progress.say(text)
        else:
            with contextlib.suppress(OSError):
                print(text, flush=True)

    def tell_without_folder(self, rule: str, evidence: Evidence) -> None:
        """Tell what one rule finds in a loop that ended before its first epoch did."""
        for finding in ask(rule, load_rules()[rule], replace(evidence, signals=self.signals)):
            self.say(describe(finding))

    def findings(self) -> list[Finding]:
        """All findings by now, worst first."""
        return (
            [] if self.folder is None else examine(Evidence.of(Run(self.folder.path)), load_rules())
        )

    def finish(self, *, passed: bool | None, reason: str, peak_bytes: int, plots: bool) -> None:
        """Write the end down and draw the pages; `passed` is None where it was interrupted."""
        from expkit.reports.run.pages import refresh
        from expkit.reports.run.run_screen import closing_screen

        folder = self.folder
        assert folder is not None, "it was described"
        with contextlib.closing(folder):
            if self.held_out:
                folder.write_predictions(list(self.held_out.values()))
            self.diagnose()
            if passed is not None:
                folder.append_stage(self._training(passed, reason, peak_bytes))
            if passed and self.held_out:
                folder.append_stage(self._evaluation())
        summary = refresh(folder.path, plots=plots)
        self.say(closing_screen(summary, folder.path))

    def _training(self, passed: bool, reason: str, peak_bytes: int) -> StageResult:
        seconds = math.fsum(record["seconds"] for record in self.records)
        samples = math.fsum(r["samples_per_second"] * r["seconds"] for r in self.records)
        last = self.records[-1] if self.records else {}
        return StageResult(
            stage=STAGE,
            kind="Training",
            passed=passed,
            reason=reason,
            num_epochs=len(self.records),
            num_samples=round(samples / max(1, len(self.records))),
            best_epoch=None,
            seconds=math.fsum(record["wall_seconds"] for record in self.records),
            samples_per_second=samples / seconds if seconds else 0.0,
            peak_memory_bytes=peak_bytes,
            figures={key: value for key, value in last.items() if "/" in key},
        )

    def _evaluation(self) -> StageResult:
        count = sum(len(each.samples) for each in self.held_out.values())
        names = " and ".join(self.held_out)
        return StageResult(
            stage=EVALUATION,
            kind="Evaluation",
            passed=True,
            reason=f"{count} outputs of {names} as the loop handed them over last",
            num_samples=count,
        )
