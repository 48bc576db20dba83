"""expkit resume: go on where a run was cut off, to the numbers that it would have had."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from expkit.config.plain_config import with_own_cache
from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import find_run_or_sweep
from expkit.runner.resume import ENDED, resume_run
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser
from expkit.terminal.signals import stop_on_signals

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
            _say_unused_cache(found, cache_dir)
            # nothing proves that a run is the user's own: its cache folder is not used
            config = with_own_cache(found.config, cache_dir)
            return resume_run(found, arguments.trust, config=config)
        from expkit.sweeps.resume_sweep import resume_sweep

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
            fix=f"expkit resume {shlex.quote(str(run.path))}",
        )
    return last.removeprefix(CACHE) or None


def _say_unused_cache(run: Run, cache_dir: str | None) -> None:
    dataset = run.config.get("dataset")
    recorded = dataset.get("cache_dir") if isinstance(dataset, Mapping) else None
    if isinstance(recorded, str) and recorded != cache_dir and run.status not in ENDED:
        word = one_line(f"{CACHE}{recorded}")
        print(
            f"note    not used: {word} of its config; if that folder is yours: "
            f"expkit resume {shlex.quote(run.name)} {shlex.quote(word)}"
        )
