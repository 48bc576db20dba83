"""The dataset's and a first experiment's YAML from a folder of images, with what was seen."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from expkit.config.paths import builtin_conf, list_choices
from expkit.config.user_code import own_folder
from expkit.errors import UserError
from expkit.projects.config_texts import dataset_yaml, experiment_yaml
from expkit.projects.image_source import find_source
from expkit.projects.look import look_at
from expkit.projects.look_screen import screen_lines
from expkit.projects.proposal import propose
from expkit.records.files import write_aside
from expkit.terminal.progress import ReadingBar

CONF = Path("conf")


def write_configs(given: Path, name: str | None) -> str:
    """Write conf/dataset/NAME.yaml and conf/experiment/NAME.yaml; the screen on what was seen."""
    _refuse_idle_conf()
    with _as_asked(given):
        source = find_source(given)
        name = _name(source.place, name)
        paths = [CONF / group / f"{name}.yaml" for group in ("dataset", "experiment")]
        _refuse_existing(paths, name)
        with contextlib.closing(ReadingBar()) as bar:
            look = look_at(source, bar)
    proposal = propose(look)
    texts = [dataset_yaml(look, name), experiment_yaml(look, proposal, name)]
    _write(dict(zip(paths, texts, strict=True)))
    return "\n".join(screen_lines(look, proposal, name, paths))


def _refuse_idle_conf() -> None:
    if own_folder() is None:
        raise UserError(
            "a conf/ in this folder would not be read: a run lies here, which may be a stranger's",
            where=str(Path.cwd()),
            fix="cd to the folder of your project, in which outputs/ lies",
        )


@contextlib.contextmanager
def _as_asked(given: Path) -> Iterator[None]:
    """Say `--from` where a dataset's refusal names the key of a config."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(
            f"'{given}' cannot be read: {reason}",
            where=str(error.filename or given),
            fix="a folder that you may read: expkit init --from FOLDER",
        ) from error
    except UserError as error:
        _rethrow(error)


def _rethrow(error: UserError) -> NoReturn:
    def asked(text: str | None) -> str | None:
        return text and re.sub(r"\bdataset\.(root|table)=", "--from ", text)

    fix = asked(error.details["do"])
    if fix and "dataset." in fix:  # a setting, which is given where there is a dataset
        fix = f"mend the data, or name a dataset yourself, with {fix}"
    raise UserError(
        error.what,
        where=asked(error.details["where"]),
        nearest=error.details["nearest"],
        allowed=asked(error.details["allowed"]),
        fix=f"expkit init {fix}" if fix and fix.startswith("--from ") else fix,
    ) from error


def _name(place: Path, given: str | None) -> str:
    """The choices' name: the one that was asked for, else the folder's or the table's."""
    if given is not None:
        if not re.fullmatch(r"[A-Za-z]\w{0,39}", given, re.ASCII):
            raise UserError(
                f"a dataset cannot be called '{given}'",
                where=f"expkit init {given} --from ...",
                allowed="at most 40 letters, digits and _, from a letter on",
            )
        return given
    stem = place.resolve().stem if place.is_file() else place.resolve().name
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:40]
    name = name if name[:1].isalpha() else f"images_{name}".rstrip("_")
    return f"{name}_images" if _is_builtin(name) else name


def _is_builtin(name: str) -> bool:
    built = [builtin_conf()]
    return any(name in list_choices(group, built) for group in ("dataset", "experiment"))


def _refuse_existing(paths: list[Path], name: str) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise UserError(
                f"there is a '{path}' already",
                where=f"expkit init {name} --from ...",
                fix="another name: expkit init NAME --from FOLDER",
            )


def _write(texts: dict[Path, str]) -> None:
    """All files, or none of them."""
    new: list[Path] = []
    try:
        for path, text in texts.items():
            new += [each for each in (path.parent, CONF) if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(path, text.encode())
            new.insert(0, path)
    except OSError as error:
        for each in new:
            with contextlib.suppress(OSError):
                each.rmdir() if each.is_dir() else each.unlink()
        raise UserError(
            f"nothing can be written here: {os.strerror(error.errno or 5)}",
            where=str(error.filename or Path.cwd()),
            fix="cd to a folder of your own",
        ) from error
