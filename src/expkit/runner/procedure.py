"""A procedure: stages in order, ended by the first that fails."""

from __future__ import annotations

from dataclasses import replace

from expkit.records.run.metadata import StageResult
from expkit.records.run.reader import Run
from expkit.runner.custom_parts import wrong_part
from expkit.runner.session import Session


def run_stages(session: Session) -> bool:
    """Run the stages that are not finished yet; return whether every stage has passed."""
    finished = {result.stage: result for result in Run(session.folder.path).stages}
    for name, stage in session.parts.stages.items():
        result = finished.get(name)
        if result is None:
            session.stopwatch.lap()
            within = replace(session, stage=name, parts=session.parts.of_stage(name))
            result = stage.run(within)
            if not isinstance(result, StageResult):
                node = session.parts.inputs.config.procedure[name]
                raise wrong_part(f"procedure.{name}", stage, node)
            stopped_by = within.diagnosis.check(result)
            if stopped_by is not None and result.passed:
                reason = f"{result.reason}; ended by {stopped_by.rule} ({stopped_by.severity})"
                result = replace(result, passed=False, reason=reason)
            session.folder.append_stage(result)
            session.display.stage_finished(result)
            if session.mirror is not None:
                session.mirror.copy()
        if not result.passed:
            return False
    return True
