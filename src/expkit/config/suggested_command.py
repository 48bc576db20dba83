"""The advice of a refusal as one whole command, which can be copied and is taken."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from expkit.config.criteria_words import spell_criteria
from expkit.config.override_errors import find_fault
from expkit.errors import UserError

TRAIN = "expkit train"
HYDRAS_FLAGS = (
    *("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run"),
    *("--multirun", "--shell-completion", "--config-path", "--config-name", "--config-dir"),
    *("--experimental-rerun", "--info"),
)
HYDRAS_LETTERS = "hmcprsi"  # -h -m -c -cp -cn -cd -p -r -sc -i
# text before, the words proposed, and a remark in brackets behind
_ADVICE = re.compile(rf"^(?P<before>.*?){TRAIN}(?P<words>( .*?)?)(?P<remark>   \(.*)?$")


def with_whole_command(
    error: UserError, words: Sequence[str], command: Sequence[str] = ("expkit", "train")
) -> UserError:
    """Return the refusal, its advice together with the other words of the command refused."""
    words = spell_criteria(words)
    lines = str(error.details["do"] or "").splitlines()
    filled = [_filled(line, error, words, command) for line in lines]
    if filled == lines:
        return error
    details = {**error.details, "do": "\n".join(filled)}
    fix = details.pop("do")
    return UserError(error.what, **details, fix=fix)


def refuse_flags(words: Sequence[str]) -> None:
    """Refuse settings that are given as flags are, `--epochs 5`; the advice has them as words."""
    first, suggested = "", list[str]()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        if re.match("-[A-Za-z]", word) and word[1] not in HYDRAS_LETTERS:
            raise UserError(f"'{word}' is no flag", where=word, fix=f"{TRAIN} --help")
        if not name.startswith("--") or any(flag.startswith(name) for flag in HYDRAS_FLAGS):
            suggested.append(word)
            continue
        first = first or name
        if not value and rest and not rest[0].startswith("-") and "=" not in rest[0]:
            value = rest.pop(0)
        suggested.append(f"{name.lstrip('-').replace('-', '_')}={value or 'true'}")
    if first:
        error = UserError(
            f"'{first}' is no flag: settings are given as KEY=VALUE",
            where=first,
            allowed="expkit train --help   (the flags, and examples of settings)",
            fix=f"{TRAIN} ...",
        )
        advised = with_whole_command(error, suggested)
        if find_fault(shlex.split(advised.details["do"] or "")[len(TRAIN.split()) :]):
            raise UserError(error.what, where=first, fix=f"{TRAIN} --help   (flags and settings)")
        raise advised


def _filled(line: str, error: UserError, words: Sequence[str], command: Sequence[str]) -> str:
    found = _ADVICE.match(line)
    if found is None or "--help" in found["words"]:
        return line
    try:
        proposed = shlex.split(found["words"])
    except ValueError:  # a sentence, and no words
        return line
    taken = _taken(words, error, proposed)
    if "--like" in proposed and "--like" in command:  # another run is named
        command = command[: command.index("--like")]
    for _ in (
        words if list(command) == TRAIN.split() else ()
    ):  # what is refused next is reported too
        fault = find_fault(taken)
        again = _ADVICE.match(str(fault.details["do"]).partition("\n")[0]) if fault else None
        if fault is None or again is None or "=" not in again["words"]:
            break
        taken = _taken(taken, fault, shlex.split(again["words"]))
    return f"{found['before']}{shlex.join([*command, *taken])}{found['remark'] or ''}"


def _taken(words: Sequence[str], error: UserError, proposed: Sequence[str]) -> list[str]:
    """The words as a user types them anew: the refused one gives way to those proposed."""
    refused = str(error.details["where"]).partition("\n")[0].partition(" (")[0]
    new = [word for word in proposed if word != "..."]
    keys = {_key_of(word) for word in new if "=" in word}
    gone = {_key_of(refused), *keys} if new else set()
    # another choice of a group takes what was said of the one before with it
    others = tuple(f"{key}." for key in keys - {_key_of(refused)})
    kept = [
        word for word in words if _key_of(word) not in gone and not _key_of(word).startswith(others)
    ]
    flags = [word for word in ("-m", "--multirun") if word in [*kept, *new]][:1]
    return [*flags, *(word for word in [*kept, *new] if word not in ("-m", "--multirun"))]


def _key_of(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]
