"""Training from a script or a notebook: the command's own way, within somebody else's process."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from expkit.api.run import Run
from expkit.api.screens import one_screen
from expkit.errors import UserError

WORDS = '"model=resnet18", "dataset=image_folder", "optimizer.lr=1e-4": as in the command'


@one_screen
def train(*overrides: str) -> Run:
    """Train as `expkit train OVERRIDE ...` does, in this process, and return the run.

    A failed gate or criterion is in the run (`run.passed`) and raises nothing; a wrong override
    raises `expkit.UserError`. An interruption (KeyboardInterrupt) leaves a run that
    `expkit resume` goes on with. Settings of the process are left as they were: signals, the
    working directory, logging, Hydra, and torch's threads, types, determinism and generators.
    """
    _refuse_no_words(overrides)
    from expkit.config.hydra_state import hydra_left_as_it_was
    from expkit.runner.run import EXIT_INTERRUPTED
    from expkit.sanitize import clean_streams

    with clean_streams(), _own_signals(), _arguments_left_as_they_were(), hydra_left_as_it_was():
        code, path = _run(overrides)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt from None
    return Run(path)


def _refuse_no_words(overrides: tuple[object, ...]) -> None:
    """Refuse what is no override of one run."""
    for word in overrides:
        if not isinstance(word, str):
            raise UserError(
                f"an override is a text, and this is a {type(word).__name__}: {word!r:.80}",
                where="expkit.train(...)",
                allowed=WORDS,
            )
        if word in ("-m", "--multirun", "hydra.mode=MULTIRUN"):
            raise UserError(
                "expkit.train runs one training, and this word asks for a sweep",
                where=word,
                allowed="a loop around expkit.train, or the command",
                fix=f"expkit train -m {shlex.join(map(str, overrides))}".replace(f" {word}", "", 1)
                if word != "-m"
                else f"expkit train {shlex.join(map(str, overrides))}",
            )
        if word.startswith("-"):
            raise UserError(
                f"'{word}' is a flag of the command, and expkit.train takes overrides",
                where=word,
                allowed=WORDS,
                fix="expkit train --help   (in a terminal)",
            )


def _run(overrides: tuple[str, ...]) -> tuple[int, Path]:
    """Compose, refuse and run; return the exit code that the command has, and the folder."""
    from expkit.config.compose import compose_and_run
    from expkit.config.edited_code import forget_edited_modules, note_own_modules
    from expkit.config.multirun.hydra_task import Task, refuse_sweep
    from expkit.config.run_request import Request
    from expkit.config.suggested_command import with_whole_command
    from expkit.diagnosis.examine import forget_rules
    from expkit.runner.run import run_request

    folders: list[Path] = []
    forget_edited_modules()
    forget_rules()

    def run(request: Request) -> int:
        config = request.config  # is refused before torch is loaded
        from expkit.runner.torch_state import torch_left_as_it_was

        def began(folder: Path) -> None:
            folders.append(folder)
            note_own_modules(config.to_plain())

        with torch_left_as_it_was():
            return run_request(request, began)

    task = Task(run, refuse_sweep, refuse_sweep)
    try:
        compose_and_run(overrides, task)
    except UserError as error:
        raise _in_python(with_whole_command(error, overrides)) from error
    except SystemExit as error:  # of Hydra's reading of words
        raise UserError("the words cannot be read", where=" ".join(overrides)) from error
    return task.codes[0], folders[0].resolve()


def _in_python(error: UserError) -> UserError:
    """Return a refusal whose advice is a call, where that is one training with every word."""
    details = dict(error.details)
    fix = "\n".join(map(_as_call, str(details.pop("do") or "").splitlines()))
    return UserError(error.what, **details, fix=fix or None)


def _as_call(line: str) -> str:
    """Write `expkit train A B` as `expkit.train("A", "B")`; any other line stays."""
    command, gap, remark = line.partition("   (")
    if not command.startswith("expkit train "):
        return line
    words = shlex.split(command)[2:]
    if any(word.startswith("-") or word == "..." for word in words):
        return line
    called = ", ".join(json.dumps(word, ensure_ascii=False) for word in words)
    return f"expkit.train({called}){gap}{remark}"


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Take Ctrl-C where Python itself would, so that none is lost; anybody else's handlers stay."""
    from expkit.terminal.signals import stop_on_signals

    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with stop_on_signals(signal.SIGINT):
            yield
    else:
        yield


@contextlib.contextmanager
def _arguments_left_as_they_were() -> Iterator[None]:
    """Hydra reads the words of the process, which are put in their place for that time."""
    before = sys.argv
    try:
        yield
    finally:
        sys.argv = before
