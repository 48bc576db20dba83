"""Hydra's own words on sweeps and its plugins, in those of expkit and with a way out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from expkit.config.paths import conf_folders, content_of, list_choices
from expkit.errors import UserError, nearest_of


def explain_hydra(words: Sequence[str], message: str) -> UserError | None:
    """Hydra's words on sweeps and its plugins, which name no way out that expkit has."""
    several = re.search("'(.+)' requires --multirun|Ambiguous value for argument '(.+)'", message)
    if several is not None:
        word = several[1] or several[2]
        if word.startswith("logger="):
            return _several_loggers(word)
        return UserError(
            f"'{word}' gives several values, and one run takes one",
            where=word,
            fix=f"expkit train -m {search_words(word)}   (a job for each)",
        )
    if "must be a string or a list. Got NoneType" in message:
        word = next((each for each in words if each.endswith("=null")), "")
        group = word.partition("=")[0]
        has_none = "none" in list_choices(group, conf_folders())
        return UserError(
            f"'{word}' makes no choice",
            where=word,
            fix=f"expkit train {group}=none" if has_none else f"expkit list {group}",
        )
    absent = re.search("Could not override '(.+?)'", message)
    if absent is not None:
        word = next((each for each in words if each.startswith(f"{absent[1]}=")), absent[1])
        if absent[1].startswith("hydra."):
            return _no_such_engine_key(absent[1], word, words)
        return UserError(
            f"the default choice has no key '{absent[1]}'",
            where=word,
            fix=f"expkit train -m ... {shlex.quote(f'++{word}')}   (where all choices have it)",
        )
    plugin = re.search("Could not find '(hydra/(launcher|sweeper)[a-z/]*)/([^/]+)'", message)
    if plugin is None:
        return None
    group, kind, name = plugin.groups()
    word = next((each for each in words if each.lstrip("+").startswith(f"{group}=")), None)
    known = list_choices(group, conf_folders())
    if (nearest := nearest_of(name, known)) is not None or "/" in group.removeprefix("hydra/"):
        return UserError(
            f"there is no {group} called '{name}'",
            where=word,
            nearest=nearest,
            allowed=", ".join(known),
            fix=f"expkit train {group}={nearest}" if nearest else None,
        )
    fix = {
        "launcher": "expkit train -m ... launcher.jobs=2   (jobs run side by side without it)",
        "sweeper": "expkit train -m ...   (every combination; hydra/sweeper=optuna searches)",
    }[kind]
    return UserError(
        f"there is no {group} called '{name}'",
        where=word,
        allowed=", ".join([*known, "basic"]),
        fix=fix,
    )


def _several_loggers(word: str) -> UserError:
    names = word.removeprefix("logger=")
    return UserError(
        f"'{word}' gives several values, and several loggers of one run are a list",
        where=word,
        fix=f"expkit train 'logger=[{names}]'",
    )


def _no_such_engine_key(key: str, word: str, words: Sequence[str]) -> UserError:
    """The refusal of a key that a sweeper's or a launcher's choice does not have."""
    section, _, name = key.rpartition(".")
    group, known = section.replace(".", "/"), []
    chosen = [each.partition("=")[2] for each in words if each.startswith(f"{group}=")]
    path = list_choices(group, conf_folders()).get((chosen or ["expkit"])[-1])
    if path is not None:
        known = [each for each in content_of(path) if not each.startswith("_")]
    nearest = nearest_of(name, known)
    meant = f"{section}.{nearest}={word.partition('=')[2]}"
    return UserError(
        f"there is no key '{key}'",
        where=word,
        nearest=f"{section}.{nearest}" if nearest else None,
        allowed=", ".join(known) or f"{group} has no keys here: choose another one",
        fix=f"expkit train {shlex.quote(meant)}" if nearest else None,
    )


def search_words(word: str) -> str:
    """A word that gives a range is for a search, which alone draws from it."""
    search = "hydra/sweeper=optuna " if "interval(" in word else ""
    return search + shlex.quote(word)
