"""The scripts by which shells ask for completions."""

from __future__ import annotations

from collections.abc import Mapping

# each hands the words before the cursor to `expkit completion --answer`, one candidate a line
SCRIPTS: Mapping[str, str] = {
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
