"""expkit completion: switching it on for a shell, and the answers that a shell asks for."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.errors import UserError, nearest_of
from expkit.terminal.completion.scripts import SCRIPTS

HELP = """usage: expkit completion --install [bash|zsh|fish]
       expkit completion bash|zsh|fish

Tab completion of commands, groups, choices, keys, runs, metrics and rules.

  --install   switch it on for your shell, in new terminals: a file of expkit's own is written,
              and a line that reads it is added to ~/.bashrc or ~/.zshrc, once
  bash ...    print the script, to be put where you like"""


def main(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(HELP)
    elif words[0] == "--answer":
        from expkit.terminal.completion.candidates import find_candidates

        print("\n".join(find_candidates(" ".join(words[1:]))))
    elif words[0] == "--install":
        from expkit.terminal.completion.install import find_shell, install

        shell = _known(words[1]) if words[1:] else find_shell()
        print("\n".join(install(shell)))
    else:
        print(SCRIPTS[_known(words[0])], end="")
    return 0


def _known(shell: str) -> str:
    if shell not in SCRIPTS:
        raise UserError(
            f"there is no completion for '{shell}'",
            nearest=nearest_of(shell, SCRIPTS),
            allowed=", ".join(SCRIPTS),
        )
    return shell
