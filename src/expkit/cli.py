"""The command: it dispatches by name and imports nothing that it does not need."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from expkit.sanitize import clean_streams
from expkit.terminal.command_list import COMMANDS
from expkit.terminal.json_output import documents_alone, is_asked

if TYPE_CHECKING:
    from expkit.errors import UserError

HELP = """usage: expkit COMMAND ...

Runs image-classification experiments the way a careful experimenter would.

commands:
{commands}

  expkit train                                    the default experiment
  expkit train model=larger_backbone device=mps   another model, on an Apple GPU
  expkit COMMAND --help                           more on one command

exit codes: 0 all passed, 1 a gate or criterion failed, 2 wrong request, 70 a fault of expkit's
or of your own code, 130 interrupted
EXPKIT_TRACEBACK=1 shows where in the code an error arose"""

EXIT_WRONG_REQUEST = 2
LOADS_TORCH = (
    "train",
    "smoke",
    "resume",
    "evaluate",
    "unseal",
    "ensemble",
    "export",
    "predict",
    "latency",
    "parity",
)
QUICK_FLAGS = ("-h", "--help", "--cfg", "-c", "--info", "-i", "--hydra-help")
EXIT_FAULT = 70  # as sysexits has it: EX_SOFTWARE
EXIT_INTERRUPTED = 130


def main() -> None:
    """The console script."""
    sys.exit(dispatch(sys.argv[1:]))


@clean_streams()  # nothing that a stranger named is obeyed by the terminal
def dispatch(words: Sequence[str]) -> int:
    """Run a command; the exit code."""
    from expkit.errors import UserError

    _forgive_streams()
    try:
        with documents_alone() if is_asked(words) else contextlib.nullcontext():
            code = _run(words)
        sys.stdout.flush()
    except UserError as error:
        if os.environ.get("EXPKIT_TRACEBACK") == "1":
            raise
        return _tell(error, words, EXIT_WRONG_REQUEST)
    except KeyboardInterrupt:
        print("expkit: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader has gone, as in `expkit list | head`
        _drop_output()
        return 0
    except OSError as error:
        if os.environ.get("EXPKIT_TRACEBACK") == "1":
            raise
        if not is_asked(words):
            _drop_output()
        told = UserError(str(error), fix="EXPKIT_TRACEBACK=1 shows where")
        return _tell(told, words, EXIT_WRONG_REQUEST)
    except Exception as error:
        if os.environ.get("EXPKIT_TRACEBACK") == "1":
            raise
        return _tell(_report(error, words), words, EXIT_FAULT)
    return code


def _tell(error: UserError, words: Sequence[str], code: int) -> int:
    """Say what is wrong on one screen, or as JSON where that was asked for; return the code."""
    from expkit.reports.json.error import error_document, in_words_of

    command = words[0] if words else ""
    if not is_asked(words):
        print(in_words_of(command, error.screen()), file=sys.stderr)
        return code
    from expkit.terminal.json_output import print_document, writes_lines

    try:
        document = error_document(error, command, code)
        print_document(document, is_line=writes_lines(words))
    except OSError:  # stdout itself is what cannot be written
        _drop_output()
    return code


def _report(error: Exception, words: Sequence[str]) -> UserError:
    """Say what nobody foresaw on one screen; its traceback goes to a file."""
    import shlex
    import tempfile
    import traceback

    from expkit.errors import UserError

    lines = str(error).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    fix = "EXPKIT_TRACEBACK=1 expkit ...   (shows the traceback)"
    text = f"expkit {shlex.join(words)}\n\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="expkit_fault_", suffix=".txt", delete=False, errors="backslashreplace"
        ) as file:
            file.write(text)
        fix = f"read the traceback in {file.name}; where it is no code of yours, please report it"
    except OSError:
        pass  # nowhere to write: it can still be shown
    return UserError(
        f"something went wrong that was not foreseen: {type(error).__name__}"
        + (f": {lines[0]:.300}" if lines else ""),
        where=f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None,
        fix=fix,
    )


def _forgive_streams() -> None:
    """Answer also where a stream was closed, or cannot show a character."""
    for name in ("stdin", "stdout", "stderr"):  # each open takes the lowest number that is free
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "r" if name == "stdin" else "w")  # noqa: PTH123, SIM115
            os.set_inheritable(stream.fileno(), True)  # the jobs of a sweep have streams, too
            setattr(sys, name, stream)
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _drop_output() -> None:
    """Drop what is still in the buffer: it would fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP.format(commands="\n".join(f"  {n:<12}{d}" for n, d in COMMANDS.items())))
        return 0
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"expkit {version('expkit')}")
        return 0
    if words[0] not in COMMANDS:
        raise _no_such_command(words[0])
    _say_start(words)
    code = import_module(f"expkit.commands.{words[0]}").main(words[1:])
    assert isinstance(code, int)
    return code


def _say_start(words: Sequence[str]) -> None:
    """Put a line on the screen before torch is loaded, which may take seconds."""
    is_quick = any(word.partition("=")[0] in QUICK_FLAGS for word in words)
    if words[0] in LOADS_TORCH and sys.stdout.isatty() and not is_quick:
        print("start   reading the config and the data, loading torch", flush=True)


def _no_such_command(word: str) -> Exception:
    from expkit.errors import UserError, nearest_of

    return UserError(
        f"there is no command '{word}'",
        nearest=nearest_of(word, COMMANDS),
        allowed=", ".join(COMMANDS),
        fix="expkit --help",
    )
