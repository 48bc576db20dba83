"""Switching tab completion on: a script of expkit's own, and one line in the shell's start file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import write_aside
from expkit.terminal.completion.scripts import SCRIPTS

MARK = "# tab completion of expkit"  # ends the line in a start file, and begins a script


def find_shell() -> str:
    """The user's shell, by the variable that logins set."""
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in SCRIPTS:
        raise UserError(
            "your shell is not known" if not shell else f"there is no completion for '{shell}'",
            where=f"SHELL={os.environ.get('SHELL', '')}",
            allowed=", ".join(SCRIPTS),
            fix="expkit completion --install bash",
        )
    return shell


def install(shell: str) -> Iterator[str]:
    """Write what is not there yet; a line on each file."""
    script = _script_file(shell)
    text = f"{MARK}\n{SCRIPTS[shell]}"
    yield _put(script, text)
    start = _start_file(shell)
    if start is not None:
        yield _add_line(start, _start_line(shell, script))
    yield "new terminals complete with Tab" + (
        "" if start is None else f"; this one after: source {shlex.quote(str(start))}"
    )


def _script_file(shell: str) -> Path:
    if shell == "fish":  # which reads this folder by itself
        return _base("XDG_CONFIG_HOME", ".config") / "fish" / "completions" / "expkit.fish"
    return _base("XDG_DATA_HOME", ".local/share") / "expkit" / f"completion.{shell}"


def _start_file(shell: str) -> Path | None:
    if shell == "fish":
        return None
    if shell == "zsh":
        return Path(os.environ.get("ZDOTDIR") or Path.home()) / ".zshrc"
    return Path.home() / ".bashrc"


def _base(variable: str, usual: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if Path(given).is_absolute() else Path.home() / usual


def _start_line(shell: str, script: Path) -> str:
    place = shlex.quote(str(script))
    ready = ""
    if shell == "zsh":  # compdef is there once compinit has run
        ready = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }; "
    return f"{ready}[ -r {place} ] && source {place}  {MARK}"


def _put(script: Path, text: str) -> str:
    """Write the script, unless somebody else's stands there."""
    with _explained(script):
        if os.path.lexists(script):
            found = script.read_text("utf-8", errors="replace") if script.is_file() else ""
            if not found.startswith(MARK):
                raise UserError(
                    "there is a file already that expkit has not written",
                    where=str(script),
                    fix="move it elsewhere, or take the script yourself: expkit completion "
                    f"{script.suffix[1:]}",
                )
            if found == text:
                return f"as it was  {script}"
        script.parent.mkdir(parents=True, exist_ok=True)
        write_aside(script.resolve(), text.encode())
    return f"wrote      {script}"


def _add_line(start: Path, line: str) -> str:
    """Append the line once; what else stands there is left alone, and links are followed."""
    with _explained(start):
        found = start.read_bytes() if start.exists() else b""
        if line.encode() in found.splitlines():
            return f"as it was  {start}"
        gap = b"" if not found or found.endswith(b"\n") else b"\n"
        with start.open("ab") as stream:
            stream.write(gap + line.encode() + b"\n")
    return f"added to   {start}: {line}"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"completion cannot be switched on: {os.strerror(error.errno or 5)}",
            where=str(error.filename or path),
            fix="print the script, and put it where you may write: expkit completion bash",
        ) from error
