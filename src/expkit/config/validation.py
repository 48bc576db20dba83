"""From plain values to a typed config, or to a message that names the key."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from expkit.config.paths import conf_folders, list_choices
from expkit.config.plain_data import refuse_interpolations
from expkit.config.schema import PARTS, Config
from expkit.config.targets.check import check_fields, check_part
from expkit.config.targets.resolver import KNOWN_PACKAGES, spelled_module
from expkit.config.user_code import targets_in
from expkit.errors import UserError, nearest_of
from expkit.sanitize import one_line

MAX_NAME_BYTES = 150  # a folder's name has room for 255, and a date stands before it


def check_config(plain: Mapping[str, Any], *, trusted: Sequence[str] | None = None) -> Config:
    """The typed config; imports nothing that a target names.

    `trusted` stands in for the config's own `trust` where the config may be a stranger's.
    """
    _check_text(plain)
    refuse_interpolations(plain, "")
    check_fields(plain, "expkit.config.schema.Config", "")
    given = {field.name: plain[field.name] for field in fields(Config) if field.name in plain}
    config = Config(**given)
    _check_name(config.name)
    _check_rate(config.optimizer)
    if config.reference is not None:
        check_fields(config.reference, "expkit.config.schema.Reference", "reference")
    check_fields(config.diagnosis, "expkit.config.schema.Diagnosis", "diagnosis")
    _check_ignored(config.diagnosis)
    check_fields(config.plots, "expkit.config.schema.Plots", "plots")
    trust = config.trust if trusted is None else trusted
    for key in PARTS:
        check_part(getattr(config, key), key, trusted=trust)
    if not config.procedure:
        raise UserError("the procedure has no stage", where="procedure", fix="procedure=standard")
    for name, stage in config.procedure.items():
        if not isinstance(stage, Mapping):
            raise UserError(f"the stage '{name}' is not a mapping", where=f"procedure.{name}")
        check_part(stage, f"procedure.{name}", trusted=trust)
    return config


def refuse_runs_beside_code(output_dir: str, config: Config) -> None:
    """Refuse to make runs beside the user's own modules: what lies there is code no more."""
    folder = Path(output_dir).resolve()
    for target in targets_in(config.to_plain()):
        if target.partition(".")[0] in {*KNOWN_PACKAGES, *config.trust}:
            continue
        module = spelled_module(target)
        location = Path(module.path or module.folders[0])
        if folder.is_relative_to(Path.cwd()) and location.is_relative_to(folder):
            raise UserError(
                f"runs would lie beside your own {location.name}, which is then taken for "
                "a stranger's",
                where=f"output_dir={output_dir}",
                fix="output_dir=outputs",
            )


def _check_text(plain: Mapping[str, Any]) -> None:
    """A word that the terminal's locale could not decode cannot be written down."""
    try:
        json.dumps(plain, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the terminal's locale does not know a character: {error.object!r:.60}",
            fix="export LC_ALL=C.UTF-8   (or PYTHONUTF8=1)",
        ) from error


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


def _check_rate(optimizer: Mapping[str, Any]) -> None:
    """Every optimizer has a rate, and torch would refuse it only after it is loaded."""
    lr = optimizer.get("lr", 1.0)
    if isinstance(lr, int | float) and not 0 < lr <= sys.float_info.max:
        raise UserError(
            f"optimizer.lr cannot be {lr}", where=f"optimizer.lr={lr}", allowed="a number > 0"
        )
