"""A run made again by its config, in the code of today, and what is not as it was."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expkit.config.like import LikeConfig, compose_like
from expkit.errors import UserError
from expkit.records.run.environment import describe_environment
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.mirror import Mirror
from expkit.records.run.reader import Run
from expkit.runner.run import build, check_places, make_folder, run_experiment
from expkit.runner.starting_weights import resolve_starts
from expkit.sanitize import cut_off, one_line

MAX_KEPT = 4  # settings that today's choices give otherwise, by name
MAX_VALUE = 60  # characters


def run_like(run: Run, words: Sequence[str]) -> int:
    """Train by the config of a run, with these words beside its own; say what differs."""
    _refuse_untrained(run)
    given = run.environment.get("choices", {})
    like = compose_like(run.config, run.overrides, given, words)
    for line in _introduction(run, like):
        print(line, flush=True)
    check_places(like.config)
    config = resolve_starts(like.config)
    parts = build(config)
    for line in _other_data(run, parts.metadata):
        print(line, flush=True)
    command = ["expkit", "train", "--like", str(run.path), *words]
    folder = make_folder(parts, config, like.words, command, like.choices, like=run.name)
    return run_experiment(parts, folder, mirror=Mirror.of(config.mirror, folder.path))


def _refuse_untrained(run: Run) -> None:
    """What was evaluated or put together has a command of its own."""
    command, why = None, ""
    if run.exported is not None:
        raise run.exported.refuse("it was not trained, but exported", "expkit train --like RUN")
    if run.config.get("evaluates"):
        command, why = "evaluate", "it evaluates another run"
    elif run.ensemble is not None:
        command, why = "ensemble", "it is an ensemble of others"
    if command is not None:
        raise UserError(
            f"'{run.name}' was not trained: {why}",
            where=f"--like {run.path}",
            fix=f"expkit {command} RUN ...",
        )


def _introduction(run: Run, like: LikeConfig) -> Iterator[str]:
    """The run, the code that made it where it is not that of today, and the words' changes."""
    yield f"like    {run.name}"
    yield from _other_code(run)
    for key, (old, new) in like.changed.items():
        yield f"changed {one_line(key)}: {_shown(old)} -> {_shown(new)}"
    if like.kept:
        names = ", ".join(map(one_line, like.kept[:MAX_KEPT]))
        more = len(like.kept) - MAX_KEPT
        yield (
            f"kept    as the run had them, where today's choices say otherwise: {names}"
            + (f" and {more} more" if more > 0 else "")
        )


def _other_code(run: Run) -> Iterator[str]:
    before, now = run.environment, describe_environment([], "", "")
    pairs = [
        ("the code's commit", _commit(before), _commit(now)),
        ("expkit's own code", before.get("sources"), now["sources"]),
        *(
            (name, before.get("versions", {}).get(name), version)
            for name, version in now["versions"].items()
        ),
    ]
    changed = [each for each in pairs if each[1] != each[2]]
    for what, old, new in changed:
        yield f"code    {what} was {one_line(str(old))}, and is {new} now: the numbers may differ"
    if not changed:
        yield "code    the same commit, code and versions as then"


def _commit(environment: Mapping[str, Any]) -> str:
    git = environment.get("git") or {}
    commit = str(git.get("commit") or "unknown")[:12]
    return f"{commit} with changes" if git.get("dirty") else commit


def _other_data(run: Run, metadata: DatasetMetadata) -> Iterator[str]:
    before = {name: split.fingerprint for name, split in run.dataset_as_read.splits.items()}
    now = {name: split.fingerprint for name, split in metadata.splits.items()}
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        yield f"data    other samples than {run.name} had: {', '.join(changed)}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return cut_off(one_line(text), MAX_VALUE)


def split_like(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Take `--like RUN` out of a command's words."""
    rest, named = list(words), None
    for place, word in enumerate(words):
        if word == "--like" or word.startswith("--like="):
            named = word.partition("=")[2] or (words[place + 1] if words[place + 1 :] else "")
            del rest[place : place + (1 if "=" in word else 2)]
            break
    if named is None:
        return None, rest
    if not named or named.startswith("-"):
        raise UserError("--like names no run", where="--like", fix="expkit train --like RUN ...")
    if flags := [word for word in rest if word.startswith("-")]:
        raise UserError(
            f"'{flags[0]}' does not go together with --like, which trains one run",
            where=shlex.join(words),
            fix="leave it out, or name the words yourself: expkit train -m ...",
        )
    return named, rest
