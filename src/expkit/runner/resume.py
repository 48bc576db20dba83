"""Going on with a run that was cut off, from what it recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.loggers.followers import Followers
from expkit.records.run.environment import describe_environment
from expkit.records.run.extensions import set_results_aside
from expkit.records.run.mirror import Mirror
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder, explain_disk_errors
from expkit.runner.run import (
    EXIT_FAILED,
    EXIT_PASSED,
    Build,
    build,
    hash_text,
    refuse_other_data,
    run_experiment,
)
from expkit.runner.starting_weights import without_used_sources

if TYPE_CHECKING:
    from expkit.runner.components import Parts
    from expkit.training.loop import TrainEpochs

ENDED = ("finished", "failed")


def resume_run(
    run: Run,
    trusted: Sequence[str],
    build: Build = build,
    train_epochs: TrainEpochs | None = None,
    *,
    config: Mapping[str, Any] | None = None,
) -> int:
    """Go on with a run, or say that it has ended, with the pages that it may lack.

    Without a `config` it is the run's: that of a sweep's job was composed by the user's own words.
    """
    if run.status in ENDED:
        return _say_that_it_ended(run)
    parts, folder = reopen(run, config or run.config, trusted, build)
    mirror = Mirror.of(parts.inputs.config.mirror, run.path)
    loggers = {} if config is None else parts.inputs.config.logger  # a job's are its sweep's
    followers = Followers.start(run.path, loggers, trusted)
    return run_experiment(parts, folder, train_epochs, mirror, followers)


def reopen(
    run: Run, recorded: Mapping[str, Any], trusted: Sequence[str], build: Build
) -> tuple[Parts, RunFolder]:
    """Bring back everything as it was when the run was cut off."""
    from expkit.runner.unlabelled_images import refuse_other_images

    _refuse_edited(run)
    config = check_config(without_used_sources(run, recorded), trusted=trusted)
    folder = RunFolder.reopen(run.path)
    if run.extensions and run.status not in ENDED and not _is_evaluated_again(run):
        set_results_aside(run.path, len(run.extensions))  # it was killed before it could
    parts = build(config)
    refuse_other_data(run, parts.metadata)
    refuse_other_images(run, parts.inputs.unlabelled)
    for change in _find_changes(run, parts.device.reason):
        folder.log(change)
        print(change)
    return parts, folder


def _is_evaluated_again(run: Run) -> bool:
    """Tell whether results are of the weights since its last extension."""
    return len(run.recorded_stages) > run.extensions[-1].num_stages


def _say_that_it_ended(run: Run) -> int:
    from expkit.reports.run.pages import refresh
    from expkit.reports.run.run_screen import closing_screen
    from expkit.reports.run.summary import all_passed, recall

    print(f"{run.name} has {run.status}: there is nothing to resume\n")
    summary = recall(run)
    if summary is not run.summary:  # it was killed between its last stage and its pages
        with explain_disk_errors(run.path):
            summary = refresh(run.path, plots=True)
    print(closing_screen(summary, run.path))
    return EXIT_PASSED if all_passed(summary) else EXIT_FAILED


def _find_changes(run: Run, device: str) -> list[str]:
    """List what is not as it was when the run began, and may change its numbers."""
    before, now = run.environment, describe_environment([], device, "")
    return [
        f"note    {what} was {old}, and is {new} now: the numbers may differ"
        for what, old, new in (
            ("the device", before.get("device"), device),
            ("torch", before.get("versions", {}).get("torch"), now["versions"].get("torch")),
            ("the code's commit", before.get("git"), now["git"]),
        )
        if old != new
    ]


def _refuse_edited(run: Run) -> None:
    if hash_text(run.config_text) != run.environment.get("config_hash"):
        raise UserError(
            "config.yaml was edited after the run began: what follows would not be the same run",
            where=str(run.path / "config.yaml"),
            fix="undo the edit, or start a new run with the change: expkit train ...",
        )
