"""expkit completion: a script for the shell, and the answers that it asks for."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.errors import UserError, nearest_of
from expkit.terminal.command_list import COMMANDS

TAKE_RUNS = set(COMMANDS) - {"train", "sort", "list", "runs", "completion"}

# each hands the words before the cursor to `expkit completion --answer`, one candidate a line
SCRIPTS = {
    "bash": """\
_expkit() {
    local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}"
    local word="${line##* }"
    COMPREPLY=($(expkit completion --answer "$line" 2>/dev/null))
    # bash splits words at = and :, and replaces only what follows them
    local kept="${word%"${word##*[=:]}"}"
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
    [[ ${#COMPREPLY[@]} -gt 1 ]] && compopt -o nospace
}
complete -o default -F _expkit expkit
""",
    "zsh": """\
#compdef expkit
_expkit() {
    local -a candidates
    candidates=("${(@f)$(expkit completion --answer "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    [[ -n "$candidates" ]] && compadd -Q -S '' -- $candidates || _files
}
compdef _expkit expkit
""",
    "fish": """\
function __expkit_candidates
    expkit completion --answer (commandline --cut-at-cursor | string collect) 2>/dev/null
end
complete --command expkit --no-files --arguments '(__expkit_candidates)'
""",
}

HELP = """usage: expkit completion bash|zsh|fish

Prints a script that completes commands, groups, choices and keys. To turn it on:
  bash   echo 'source <(expkit completion bash)' >> ~/.bashrc
  zsh    echo 'source <(expkit completion zsh)' >> ~/.zshrc
  fish   expkit completion fish > ~/.config/fish/completions/expkit.fish"""


def main(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(HELP)
    elif words[0] == "--answer":
        print("\n".join(find_candidates(" ".join(words[1:]))))
    elif words[0] in SCRIPTS:
        print(SCRIPTS[words[0]], end="")
    else:
        raise UserError(
            f"there is no completion for '{words[0]}'",
            nearest=nearest_of(words[0], SCRIPTS),
            allowed=", ".join(SCRIPTS),
        )
    return 0


def find_candidates(line: str) -> list[str]:
    """List the completions of a command line's last word."""
    _, *words = line.split(" ")
    if len(words) < 2:
        return [name for name in COMMANDS if name.startswith("".join(words))]
    command, *_, last = words
    if command == "train":
        return _complete_override(words[1:])
    if command == "list":
        from expkit.config.paths import conf_folders, list_groups

        return [group for group in list_groups(conf_folders()) if group.startswith(last)]
    if command in TAKE_RUNS:
        from pathlib import Path

        from expkit.records.exported import is_exported
        from expkit.records.run.find_run import list_runs

        outputs = Path("outputs")
        runs = ["last", *(path.name for path in list_runs(outputs))]
        # an exported folder is named by its path
        beside = [*Path().glob("[!.]*"), *outputs.glob("[!.]*")]
        runs += sorted(str(path) for path in beside if is_exported(path))
        return [name for name in runs if name.startswith(last)]
    return [shell for shell in SCRIPTS if command == "completion" and shell.startswith(last)]


def _complete_override(words: Sequence[str]) -> list[str]:
    """By Hydra's own completion, which knows groups, choices and nested keys."""
    from expkit.config.completion import complete_override

    return complete_override(words)
