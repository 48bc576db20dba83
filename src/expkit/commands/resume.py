"""expkit resume: go on where a run was cut off, to the numbers that it would have had."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expkit.cleaning import one_line
from expkit.commands.arguments import Parser
from expkit.commands.interruption import stop_on_signals
from expkit.commands.running import (
    EXIT_FAILED,
    EXIT_PASSED,
    Build,
    build,
    hash_text,
    refuse_other_data,
    run_course,
)
from expkit.config.plain import with_own_cache
from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.procedures.course import Course, go_alone
from expkit.records.environment import describe_environment
from expkit.records.folder import RunFolder, explain_disk_errors
from expkit.records.run import Run
from expkit.records.sweep import find_run_or_sweep

if TYPE_CHECKING:
    from expkit.procedures.parts import Parts

ENDED = ("finished", "failed")
CACHE = "dataset.cache_dir="


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit resume", description="Go on with a run or a sweep that was cut off.")
    parser.add_argument("run", help="a path, a unique part of a name, or last")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="of a sweep: how its jobs run from now on, such as launcher.timeout=600; of a run: "
        "dataset.cache_dir=FOLDER, which is yours to say and not its config's",
    )
    parser.add_argument("--failed", action="store_true", help="of a sweep: the jobs that failed")
    parser.add_argument(
        "--missing", action="store_true", help="of a sweep: those cut off or not begun"
    )
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    arguments = parser.parse_intermixed_args(words)
    found = find_run_or_sweep(arguments.run)
    # the folder may be a stranger's: its own `trust` is not the user's word
    with stop_on_signals():
        if isinstance(found, Run):
            cache_dir = _cache_named(arguments.words, found)
            return finish(found, arguments.trust, cache_dir)
        from expkit.commands.sweep_resume import resume_sweep

        return resume_sweep(
            found,
            arguments.trust,
            arguments.words,
            failed=arguments.failed,
            missing=arguments.missing,
        )


def _cache_named(words: Sequence[str], run: Run) -> str | None:
    """The one word that a run takes: it changes no number. Else it goes on as it began."""
    *others, last = words or [""]
    if others or (words and not (last.startswith(CACHE) and last != CACHE)):
        raise UserError(
            "a run is resumed with the config that it began with",
            where=" ".join(words),
            allowed="dataset.cache_dir=FOLDER; launcher.KEY=VALUE, of a sweep",
            fix=f"expkit resume {run.path}",
        )
    return last.removeprefix(CACHE) or None


def finish(run: Run, trusted: Sequence[str], cache_dir: str | None = None) -> int:
    """Go on with it, or say that it has ended, with the pages that it may lack.

    Nothing proves that a run is the user's own, so the cache folder that its config names is
    neither written to nor cleared: it is the user's usual one, or one named now.
    """
    config = with_own_cache(run.config, cache_dir)
    dataset = run.config.get("dataset")
    recorded = dataset.get("cache_dir") if isinstance(dataset, Mapping) else None
    if isinstance(recorded, str) and recorded != cache_dir and run.status not in ENDED:
        word = one_line(f"{CACHE}{recorded}")
        print(
            f"note    not used: {word} of its config; if that folder is yours: "
            f"expkit resume {shlex.quote(run.name)} {shlex.quote(word)}"
        )
    return go_alone(finish_course(run, trusted, config=config))


def finish_course(
    run: Run,
    trusted: Sequence[str],
    build: Build = build,
    *,
    config: Mapping[str, Any] | None = None,
) -> Course[int]:
    """Do the same, asking for the epochs that can be trained among others.

    Without a `config` it is the run's: that of a sweep's job was composed by the user's own words.
    """
    if run.status in ENDED:
        return _say_that_it_ended(run)
    return (yield from run_course(*_reopen(run, config or run.config, trusted, build)))


def _reopen(
    run: Run, recorded: Mapping[str, Any], trusted: Sequence[str], build: Build
) -> tuple[Parts, RunFolder]:
    """Bring back everything as it was when the run was cut off."""
    _refuse_edited(run)
    config = check_config(recorded, trusted=trusted)
    folder = RunFolder.reopen(run.path)
    parts = build(config)
    refuse_other_data(run, parts.facts)
    for change in _find_changes(run, parts.device.reason):
        folder.log(change)
        print(change)
    return parts, folder


def _say_that_it_ended(run: Run) -> int:
    from expkit.reports.pages import refresh
    from expkit.reports.screen import closing_screen
    from expkit.reports.summary import all_passed, recall

    print(f"{run.name} has {run.status}: there is nothing to resume\n")
    summary = recall(run)
    if summary is not run.summary:  # it was killed between its last stage and its pages
        with explain_disk_errors(run.path):
            summary = refresh(run.path, plots=True)
    print(closing_screen(summary, run.path))
    return EXIT_PASSED if all_passed(summary) else EXIT_FAILED


def _find_changes(run: Run, device: str) -> list[str]:
    """What is not as it was when the run began, and may change its numbers."""
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
