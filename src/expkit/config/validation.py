"""From plain values to a typed config, or to a message that names the key."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from expkit.config.criteria_words import name_criteria
from expkit.config.paths import conf_folders, list_choices
from expkit.config.plain_config import refuse_interpolations
from expkit.config.schema import PARTS, Config, Diagnosis, Mirror, Plots, Reference
from expkit.config.stage_parts import own_parts, write_out
from expkit.config.targets.annotations import spelled
from expkit.config.targets.check import check_fields, check_part
from expkit.config.targets.module_paths import locate
from expkit.config.user_code import targets_in
from expkit.errors import UserError, nearest_of, refuse_watched
from expkit.sanitize import one_line
from expkit.tags import refuse_odd_tags

MAX_NAME_BYTES = 150  # a folder's name has room for 255, and a date stands before it


def check_config(plain: Mapping[str, Any], *, trusted: Sequence[str] | None = None) -> Config:
    """The typed config, of which expkit's own parts are sound and all code is allowed by its name.

    `trusted` takes the place of the config's own `trust` where the config may be a stranger's.
    Parts of a library or of the user's own are looked at by `check_others`, which imports them.
    """
    if plain.get("watched"):
        raise refuse_watched("config.yaml")
    _check_text(plain)
    refuse_interpolations(plain, "")
    if isinstance(plain.get("mirror"), str):  # the short form, in a YAML
        plain = {**plain, "mirror": asdict(Mirror(folder=plain["mirror"]))}
    plain = write_out(_without_null_stages(plain))
    check_fields(plain, Config, "")
    given = {field.name: plain[field.name] for field in fields(Config) if field.name in plain}
    given["criteria"] = name_criteria(plain["criteria"])
    config = Config(**given)
    _check_name(config.name)
    refuse_odd_tags(config.tags, f"tags=[{','.join(map(str, config.tags))}]")
    _check_rate(config.optimizer, "optimizer")
    if config.reference is not None:
        check_fields(config.reference, Reference, "reference")
    check_fields(config.diagnosis, Diagnosis, "diagnosis")
    _check_ignored(config.diagnosis)
    check_fields(config.plots, Plots, "plots")
    check_fields(config.mirror, Mirror, "mirror")
    if trusted is not None:
        config = replace(config, trust=list(trusted))
    if not config.procedure:
        raise UserError("the procedure has no stage", where="procedure", fix="procedure=standard")
    for name, stage in config.procedure.items():
        if not isinstance(stage, Mapping):
            raise UserError(f"the stage '{name}' is not a mapping", where=f"procedure.{name}")
        _check_rate(own_parts(plain, name).get("optimizer", {}), f"procedure.{name}.optimizer")
    _check_loggers(config.logger)
    _check_parts(config, import_others=False)
    return config


def check_others(config: Config) -> None:
    """Refuse what is wrong with parts of libraries and of the user's own: it imports them."""
    _check_parts(config, import_others=True)


def _check_parts(config: Config, *, import_others: bool) -> None:
    parts = {key: getattr(config, key) for key in PARTS}
    parts |= {f"procedure.{name}": stage for name, stage in config.procedure.items()}
    parts |= {f"logger.{name}": logger for name, logger in config.logger.items()}
    for key, part in parts.items():
        check_part(part, key, trusted=config.trust, import_others=import_others)


def refuse_misplaced_mirror(output_dir: str, config: Config) -> None:
    """Refuse a second copy that would be gone together with the first, or lie in the way."""
    mirror = config.mirror.get("folder")
    if mirror is None:
        return
    if Path(mirror).resolve() == Path.cwd().resolve():
        raise UserError(
            "the mirror would be the folder where you work: beside runs, its conf/ and modules are "
            "taken for a stranger's",
            where=f"mirror.folder={mirror}",
            fix="expkit train ... mirror=FOLDER",
        )
    if Path(mirror).resolve().is_relative_to(Path(output_dir).resolve()):
        raise UserError(
            "the mirror would lie in the output folder, and be gone with it",
            where=f"mirror.folder={mirror}, output_dir={output_dir}",
            allowed="a folder elsewhere, best on another disk or drive",
            fix="expkit train ... mirror=FOLDER",
        )


def refuse_runs_beside_code(key: str, place: str, config: Config) -> None:
    """Refuse to make runs beside the user's own modules: what lies there is code no more."""
    folder = Path(place).resolve()
    for target in targets_in(config.to_plain()):
        module, _ = locate(target)
        if module.is_known or module.package in config.trust:
            continue
        location = module.location
        if folder.is_relative_to(Path.cwd()) and location.is_relative_to(folder):
            raise UserError(
                f"runs would lie beside your own {location.name}, which is then taken for "
                "a stranger's",
                where=f"{key}={place}",
                fix="output_dir=outputs" if key == "output_dir" else f"{key}=ANOTHER_FOLDER",
            )


def _without_null_stages(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the stages that are null, as an ablation sets those that it takes away."""
    procedure = plain.get("procedure")
    if not isinstance(procedure, Mapping):
        return plain
    kept = {name: stage for name, stage in procedure.items() if stage is not None}
    return {**plain, "procedure": kept}


def _check_text(plain: Mapping[str, Any]) -> None:
    """A word that the terminal's locale could not decode cannot be written down."""
    try:
        json.dumps(plain, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the terminal's locale does not know a character: {error.object!r:.60}",
            fix="export LC_ALL=C.UTF-8   (or PYTHONUTF8=1)",
        ) from error


def _check_loggers(loggers: Mapping[str, Any]) -> None:
    for name, logger in loggers.items():
        if not isinstance(logger, Mapping) or not re.fullmatch(r"\w[\w-]{0,39}", name):
            raise UserError(
                f"the logger '{name:.40}' is not a mapping with a name",
                where=f"logger.{name:.40}",
                fix="logger=[tensorboard,mlflow]   (expkit list logger)",
            )


def _check_ignored(diagnosis: Mapping[str, Any]) -> None:
    rules = list_choices("diagnosis", conf_folders())
    for name in diagnosis.get("ignore", ()):
        if name not in rules:
            raise UserError(
                f"there is no rule '{name}'",
                where=f"diagnosis.ignore=[{name}]",
                nearest=nearest_of(name, rules),
                fix="expkit list diagnosis",
            )


def _check_name(name: str) -> None:
    if "/" in name or one_line(name) != name or len(name.encode()) > MAX_NAME_BYTES:
        raise UserError(
            f"'{name:.60}' cannot end a folder's name",
            where=f"name={name:.60}",
            allowed=f"text without '/' and control characters, at most {MAX_NAME_BYTES} bytes",
            fix="expkit train ... name=SHORTER",
        )


def _check_rate(optimizer: Mapping[str, Any], key: str) -> None:
    """Every optimizer has a rate, and torch would refuse it only after it is loaded."""
    lr = optimizer.get("lr", 1.0)
    is_number = isinstance(lr, int | float) and not isinstance(lr, bool)
    is_in_range = isinstance(lr, int | float) and 0 < lr <= sys.float_info.max
    if isinstance(lr, int | float | str) and not (is_number and is_in_range):
        shown = f"'{lr:.40}'" if isinstance(lr, str) else spelled(lr)
        raise UserError(
            f"{key}.lr cannot be {shown}",
            where=f"{key}.lr={shown}",
            allowed="a number > 0",
        )
