"""expkit resume: go on where a run was cut off, to the numbers that it would have had."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from expkit.config.plain_config import with_own_cache
from expkit.errors import UserError
from expkit.loggers.chosen import changed_words, known_loggers
from expkit.records.run.mirror import is_copy, place_in
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import find_run_or_sweep
from expkit.reports.run.run_screen import handle
from expkit.runner.extension import PREFIX, extend_run
from expkit.runner.resume import ENDED, resume_run
from expkit.runner.run import check_mirror
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser
from expkit.terminal.signals import stop_on_signals

CACHE, MIRROR = "dataset.cache_dir=", "mirror="


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit resume", description="Go on with a run or a sweep that was cut off.")
    parser.add_argument("run", help="a path, a unique part of a name, or last")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="of a run: procedure.train.max_epochs=300 goes on beyond its end, where its schedule "
        "allows it; dataset.cache_dir=FOLDER and mirror=FOLDER, which are yours to say and not its "
        "config's; of a sweep: how its jobs run from now on, such as launcher.timeout=600",
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
    if isinstance(found, Run) and found.exported is not None:
        raise found.exported.refuse(
            "it is whole, and there is nothing to go on with", "expkit resume RUN"
        )
    # the folder may be a stranger's: its own `trust` is not the user's word
    with stop_on_signals():
        if isinstance(found, Run):
            longer = [word for word in arguments.words if word.startswith(PREFIX)]
            folders = [word for word in arguments.words if word not in longer]
            named = _folders_named(folders, found)
            goes_on = bool(longer) or found.status not in ENDED
            _say_unused_cache(found, named.get(CACHE), goes_on=goes_on)
            # nothing proves that a run is the user's own: its cache folder is not used
            config = with_own_cache(found.config, named.get(CACHE))
            config["mirror"] = _mirror_of(found, named.get(MIRROR)) if goes_on else {}
            config["logger"] = _loggers_of(found) if goes_on else {}
            if longer:
                return extend_run(found, longer, arguments.trust, config)
            return resume_run(found, arguments.trust, config=config)
        from expkit.sweeps.resume_sweep import resume_sweep

        return resume_sweep(
            found,
            arguments.trust,
            arguments.words,
            failed=arguments.failed,
            missing=arguments.missing,
        )


def _folders_named(words: Sequence[str], run: Run) -> dict[str, str]:
    """The words that a run takes: they change no number. Else it goes on as it began."""
    named = {}
    for word in words:
        key, _, folder = word.replace("mirror.folder=", MIRROR, 1).partition("=")
        if f"{key}=" not in (CACHE, MIRROR) or not folder:
            raise UserError(
                "a run is resumed with the config that it began with",
                where=" ".join(words),
                allowed="procedure.train.max_epochs=N, to go on beyond its end; "
                "dataset.cache_dir=FOLDER, mirror=FOLDER; launcher.KEY=VALUE, of a sweep",
                fix=f"expkit resume {shlex.quote(str(run.path))}",
            )
        named[f"{key}="] = folder
    return named


def _mirror_of(run: Run, named: str | None) -> dict[str, object]:
    """The mirror of the words, else the recorded one where a copy of this run is in it already.

    A stranger's run has no say in where this machine's files go.
    """
    given = run.config.get("mirror")
    recorded = dict(given) if isinstance(given, Mapping) else {}
    folder = named or recorded.get("folder")
    if not isinstance(folder, str):
        return {}
    place = place_in(folder, run.path)
    is_there = is_copy(place, run.path)
    # of a sweep's job, whose sweep is gone, too
    is_in_mirror = Path(folder).resolve() in run.path.resolve().parents[:2] and not is_there
    if place.resolve() == run.path.resolve() or (named is None and is_in_mirror):
        print("note    it goes on in its mirror, and has no second copy: mirror=FOLDER makes one")
        return {}
    if named is None and not is_there:
        word = shlex.quote(one_line(f"{MIRROR}{folder}"))
        print(
            f"note    not used: {word} of its config, which has no copy of it; if that folder is "
            f"yours: expkit resume {handle(run.path)} {word}"
        )
        return {}
    if named is not None:
        check_mirror(Path(named))
    return {**recorded, "folder": folder}


def _loggers_of(run: Run) -> dict[str, object]:
    """The recorded loggers whose settings are those of the user's own choices.

    A stranger's run has no say in where its records, and this machine's name in them, are sent.
    """
    recorded = run.config.get("logger")
    given = dict(recorded) if isinstance(recorded, Mapping) else {}
    if not given:
        return {}
    known = known_loggers()
    used = {name: part for name, part in given.items() if known.get(name) == part}
    for name in given.keys() - used.keys():
        words = changed_words({name: given[name]}) if name in known else []
        command = shlex.join(map(one_line, ["--to", name, *words]))
        print(
            f"note    not used: the logger {one_line(name)} of its config, whose settings are not "
            f"your own; if they are yours, send it at the end: "
            f"expkit log {handle(run.path)} {command}"
        )
    return used


def _say_unused_cache(run: Run, cache_dir: str | None, *, goes_on: bool) -> None:
    dataset = run.config.get("dataset")
    recorded = dataset.get("cache_dir") if isinstance(dataset, Mapping) else None
    if isinstance(recorded, str) and recorded != cache_dir and goes_on:
        word = one_line(f"{CACHE}{recorded}")
        print(
            f"note    not used: {word} of its config; if that folder is yours: "
            f"expkit resume {handle(run.path)} {shlex.quote(word)}"
        )
