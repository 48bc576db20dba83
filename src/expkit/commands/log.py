"""expkit log: send runs to loggers, whole and once."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expkit.config.paths import conf_folders, list_choices
from expkit.errors import UserError, nearest_of
from expkit.loggers.chosen import build_loggers, check_loggers, known_loggers
from expkit.loggers.destination import Logger
from expkit.loggers.sending import Sending
from expkit.records.find_runs import find_runs
from expkit.records.run.reader import Run
from expkit.reports.run.run_screen import handle
from expkit.terminal.arguments import Parser


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit log",
        description="Send runs to TensorBoard, MLflow, Weights & Biases or trackio: what they lack "
        "of a run, so that sending twice adds nothing, and a run that was killed, sent and resumed "
        "has each epoch once.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RUN | logger.NAME.KEY=VALUE",
        help="a path, a unique part of a run's name, last (the default), or a folder of runs; "
        "and settings of the loggers, such as logger.mlflow.experiment=pits",
    )
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="LOGGER",
        help="a choice of `expkit list logger`, or several between commas; without it those that "
        "each run was trained with, by the settings of your own conf/",
    )
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code may run as a logger"
    )
    given = parser.parse_intermixed_args(words)
    settings = [word for word in given.words if word.startswith("logger.")]
    runs = find_runs([word for word in given.words if word not in settings] or ["last"])
    chosen = [name for each in given.to for name in each.split(",") if name]
    for run in runs:
        _refuse_exported(run)
        for name, logger in _loggers(run, chosen, settings, given.trust).items():
            print(_send(run, name, logger, settings), flush=True)
    return 0


def _refuse_exported(run: Run) -> None:
    if run.exported is not None:
        raise run.exported.refuse("no epochs of it are recorded", "expkit log RUN")


def _loggers(
    run: Run, chosen: Sequence[str], settings: Sequence[str], trust: Sequence[str]
) -> dict[str, Logger]:
    """Those that are named, else by name those of the run: its settings may be a stranger's."""
    parts = _named(chosen) if chosen else _of_run(run)
    if settings:
        from expkit.config.compose import change_parts

        parts = change_parts({"logger": parts}, settings)["logger"]
    check_loggers(parts, trust)
    return build_loggers(parts, trust)


def _named(chosen: Sequence[str]) -> dict[str, Any]:
    from expkit.config.stage_parts import read_choice

    parts: dict[str, Any] = {}
    choices = [each for each in list_choices("logger", conf_folders()) if each != "none"]
    for name in chosen:
        if name not in choices:
            raise UserError(
                f"there is no logger called '{name}'",
                where=f"--to {name}",
                nearest=nearest_of(name, choices),
                allowed=", ".join(choices),
                fix="expkit list logger",
            )
        parts.update(read_choice("logger", name, "--to"))
    return parts


def _of_run(run: Run) -> dict[str, Any]:
    recorded = run.config.get("logger")
    names = list(recorded) if isinstance(recorded, Mapping) else []
    known = known_loggers()
    if not names or any(name not in known for name in names):
        raise UserError(
            f"'{run.name}' was trained without a logger that is known here",
            where=str(run.path),
            allowed=", ".join(known),
            fix=f"expkit log {handle(run.path)} --to mlflow",
        )
    return {name: known[name] for name in names}


def _send(run: Run, name: str, logger: Logger, settings: Sequence[str]) -> str:
    sending = Sending(run.path, name, logger)
    try:
        with _quiet():
            is_ours = sending.advance()
            sending.close()
    except UserError:
        raise
    except Exception as error:
        with _quiet():
            reason = sending.fail(error)
        own = [word for word in settings if word.startswith(f"logger.{name}.")]
        raise UserError(
            f"{name} did not take '{run.name}': {reason}",
            where=logger.place,
            fix=f"expkit log {handle(run.path)} {shlex.join(['--to', name, *own])}"
            "   (sends what is lacking)",
        ) from error
    if not is_ours:
        raise UserError(
            f"'{run.name}' is being sent to {name} by another process",
            where=str(run.path),
            fix="let that end first: it sends all",
        )
    news = [f"{sending.num_epochs:,} epochs"] if sending.num_epochs else []
    news += ["its end"] if sending.has_concluded else []
    what = " and ".join(news) or "nothing: it has all of it"
    return f"{run.name}  to {name} ({logger.place}): {what}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries print off the screen: it is what was sent that is told."""
    logging.raiseExceptions = False  # of their own log files, on a disk that is full
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
