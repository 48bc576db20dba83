"""Going on beyond the end of a training, where that gives what a longer one would have given."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError, nearest_of, refuse_watched
from expkit.records.files import Record
from expkit.records.run.extensions import KEYS, Extension, now, set_results_aside, with_extensions
from expkit.records.run.mirror import Mirror
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.records.safe_open import is_file
from expkit.records.sweep.folder import is_sweep
from expkit.records.upkeep.dependents import find_dependents
from expkit.runner.resume import reopen
from expkit.runner.run import Build, build, run_experiment

if TYPE_CHECKING:
    from expkit.runner.components import Parts

PREFIX = "procedure."
TRAINING, EVALUATION = ".stages.training.Training", ".stages.evaluation.Evaluation"
QUARTERS = 4  # of an epoch, at which two courses of the learning rate are compared


def extend_run(
    run: Run,
    words: Sequence[str],
    trusted: Sequence[str],
    config: Mapping[str, Any],
    build: Build = build,
) -> int:
    """Go on with a training as these words say; refused where a longer one would have differed."""
    extension = plan_extension(run, words)
    parts, folder = reopen(run, with_extensions(config, [extension]), trusted, build)
    try:
        _refuse_other_course(run, extension, parts)
    except BaseException:
        folder.close()
        raise
    for each in find_dependents([run.path], [run.path.absolute().parent]):
        print(f"note    {each.name} {each.how} it: its figures are of the weights of before")
    _begin(run, extension, folder)
    return run_experiment(parts, folder, mirror=Mirror.of(parts.inputs.config.mirror, run.path))


def plan_extension(run: Run, words: Sequence[str]) -> Extension:
    """Return what these words ask for; what is known without torch is refused here."""
    changes = dict(_parse(run, word) for word in words)
    stages = {stage for stage, _ in changes}
    if len(stages) > 1:
        raise UserError("one training is extended at a time", where=" ".join(words))
    (stage,) = stages
    records = [line for line in run.history if line["stage"] == stage]
    extension = Extension(
        at=now(),
        stage=stage,
        num_epochs=len(records),
        changes={key: value for (_, key), value in changes.items()},
        num_stages=len(run.recorded_stages),
        redone=[each.stage for each in run.stages if each.stage in _from(run, stage)],
        before=_results(run),
    )
    where = " ".join(words)
    _refuse_sweeps_job(run, where)
    _refuse_failed(run, stage)
    _refuse_built_on(run, stage)
    most = extension.changes.get("max_epochs", run.config["procedure"][stage]["max_epochs"])
    if most is None or most <= len(records):
        raise UserError(
            f"'{run.name}' has trained {len(records)} epochs of '{stage}' already",
            where=where,
            fix=f"{again(run)} procedure.{stage}.max_epochs={2 * max(1, len(records))}",
        )
    _refuse_pruned(run, stage, len(records))
    return extension


def _parse(run: Run, word: str) -> tuple[tuple[str, str], float | None]:
    key, _, text = word.partition("=")
    _, stage, name = [*key.split("."), "", ""][:3]
    trainings = [
        each
        for each, node in run.config["procedure"].items()
        if str((node or {}).get("_target_")).endswith(TRAINING)
    ]
    if not trainings:
        raise _untrained(run, word)
    if stage not in trainings or name not in KEYS or key.count(".") != 2:
        raise UserError(
            f"'{key}' is nothing that a training can be extended by",
            where=word,
            nearest=nearest_of(
                key, [f"{PREFIX}{each}.{one}" for each in trainings for one in KEYS]
            ),
            allowed=", ".join(f"{PREFIX}{each}.max_epochs=N" for each in trainings)
            + f"; also {', '.join(KEYS[1:])}, as numbers or null: they decide when it ends, and no "
            "number before",
        )
    return (stage, name), _number(name, text, word)


def _untrained(run: Run, word: str) -> UserError:
    """The answer of an evaluation, of gates alone, or of a loop that was watched."""
    if run.is_watched:
        return refuse_watched(str(run.path / "config.yaml"))
    why = "has no training that could go on"
    if (trained := run.trained).exported is not None:
        return trained.exported.refuse(why.replace("has", "it has"), f"expkit resume RUN {word}")
    fix = f"expkit train --like {shlex.quote(str(run.path))} procedure=full   (a run that trains)"
    if trained is not run:
        fix = f"{again(trained)} {shlex.quote(word)}   (the run whose weights it has)"
    return UserError(f"'{run.name}' {why}", where=word, fix=fix)


def _number(name: str, text: str, word: str) -> float | None:
    if text == "null" and name != "max_epochs":
        return None
    try:
        value = float(text) if name == "max_minutes" else int(text)
    except ValueError:
        value = 0
    if name == "stop_at" or not 0 < value < math.inf:
        allowed = "null" if name == "stop_at" else "a number > 0"
        allowed += "" if name in ("stop_at", "max_epochs") else ", or null"
        raise UserError(f"{name} cannot be '{text}' here", where=word, allowed=allowed)
    return value


def _from(run: Run, stage: str) -> list[str]:
    """The stage and those after it."""
    return run.stage_names[run.stage_names.index(stage) :]


def _results(run: Run) -> dict[str, Any]:
    summary = run.summary or {}
    return {key: summary.get(key) for key in ("verdict", "judged_split", "metrics")}


def _refuse_sweeps_job(run: Run, where: str) -> None:
    if is_sweep(run.path.absolute().parent):
        raise UserError(
            f"'{run.name}' is a job of a sweep, whose table would hold it against shorter ones",
            where=where,
            fix=f"expkit train --like {shlex.quote(str(run.path))} {where}   (a run of its own)",
        )


def _refuse_failed(run: Run, stage: str) -> None:
    failed = [each for each in run.stages if not each.passed]
    if failed:
        raise UserError(
            f"'{run.name}' has failed: {failed[0].stage}: {failed[0].reason}",
            where=str(run.path),
            fix="mend the cause and start anew: expkit train --like "
            f"{shlex.quote(str(run.path))} ...",
        )
    before = run.stage_names[: run.stage_names.index(stage)]
    is_open = {*before} - {each.stage for each in run.stages}
    if is_open and any(line["stage"] != stage for line in run.history[-1:]):
        raise UserError(
            f"'{run.name}' has not come to '{stage}' yet",
            where=str(run.path),
            fix=again(run),
        )


def _refuse_built_on(run: Run, stage: str) -> None:
    """Stages after it that are more than an evaluation were made of its weights."""
    done = {each.stage for each in run.stages}
    for name in _from(run, stage)[1:]:
        target = str((run.config["procedure"][name] or {}).get("_target_"))
        if name in done and not target.endswith(EVALUATION):
            raise UserError(
                f"the stage '{name}' was made from the weights of '{stage}', and would be of "
                "others then",
                where=f"procedure.{stage}",
                allowed="the last training, with nothing after it but evaluations",
                fix=anew(run, stage),
            )


def _refuse_pruned(run: Run, stage: str, num_epochs: int) -> None:
    last = run.checkpoint(stage, "last")
    if num_epochs and not is_file(last, run.path):
        raise UserError(
            f"'{run.name}' has no last checkpoint of '{stage}', from which it would go on: its "
            "optimizer's state is gone, as after expkit prune",
            where=str(last),
            fix=f"bring it back from a copy; or {start_from(run, stage)}\n"
            "(a new run from its best weights)",
        )


def again(run: Run) -> str:
    """The command that resumes it."""
    return f"expkit resume {shlex.quote(str(run.path))}"


def anew(run: Run, stage: str) -> str:
    """The command that trains as long from the start."""
    return (
        f"expkit train --like {shlex.quote(str(run.path))} procedure.{stage}.max_epochs=N   "
        "(from the start)"
    )


def start_from(run: Run, stage: str) -> str:
    """The command that trains on from its weights, as a run of its own."""
    path = shlex.quote(str(run.path))
    return f"expkit train --like {path} procedure.{stage}.start_from_run={path}"


def _refuse_other_course(run: Run, extension: Extension, parts: Parts) -> None:
    """Refuse where the epochs that are done would have been others in a longer training."""
    from expkit.runner.stages.training import Training

    stage, key = parts.stages[extension.stage], f"procedure.{extension.stage}"
    assert isinstance(stage, Training), "its target was looked at"
    before = run.config["procedure"][extension.stage]
    records = [line for line in run.history if line["stage"] == extension.stage]
    own = parts.of_stage(extension.stage)
    reason = None
    if before.get("swa_epochs"):
        reason = "the weights of its last epochs were averaged, which would not be the last"
    elif before.get("fit_schedule_to_time"):
        reason = "its schedule was fitted to the time that it had"
    elif any(not str(epoch).isdecimal() for epoch in before.get("unfreeze") or {}):
        reason = "its layers began to learn at fractions of its length"
    elif _is_other(own.schedule, before["max_epochs"], stage.max_epochs, records):
        name = type(own.schedule).__name__
        reason = (
            f"its schedule, {name}, was planned for {before['max_epochs']} epochs and has come to "
            f"its end: in a training of {stage.max_epochs} each would have had another learning "
            "rate"
        )
    if reason is not None:
        raise UserError(
            f"'{run.name}' cannot go on beyond its end: {reason}",
            where=f"{key}.max_epochs={stage.max_epochs}",
            allowed="a schedule that does not know where it ends: constant, plateau, step",
            fix=f"{anew(run, extension.stage)}\n{start_from(run, extension.stage)} "
            "schedule=constant   (from its weights)",
        )
    monitored = parts.metadata.monitored_split
    if (reason := stage.early_stopping(monitored).reason(records)) is not None:
        raise UserError(
            f"'{run.name}' would end at once: {reason}",
            where=key,
            fix=f"{again(run)} {' '.join(extension.words)} {key}.patience=null {key}.stop_at=null "
            f"{key}.max_minutes=null",
        )


def _is_other(schedule: Any, before: int, now: int, records: Sequence[Record]) -> bool:
    """Tell whether the learning rates of the epochs that are done depend on how many there are."""
    for quarter in range(QUARTERS * len(records)):
        epochs = (quarter + 0.5) / QUARTERS
        seen = [line for line in records if line["epoch"] <= epochs]
        if schedule.scale(epochs, before, seen) != schedule.scale(epochs, now, seen):
            return True
    return False


def _begin(run: Run, extension: Extension, folder: RunFolder) -> None:
    """Write it down: first the digest goes, which would call the run finished."""
    number = len(run.extensions) + 1
    (run.path / "digest.json").unlink(missing_ok=True)
    extension.write(run.path)
    set_results_aside(run.path, number)
    folder.log(f"extended  {' '.join(extension.words)}, after epoch {extension.num_epochs}")
