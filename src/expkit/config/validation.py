"""From plain values to a typed config, or to a message that names the key."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from expkit.config.check import check_fields, check_part
from expkit.config.places import conf_folders, list_choices
from expkit.config.schema import PARTS, Config
from expkit.errors import UserError, nearest_of

MAX_NAME_BYTES = 150  # a folder's name has room for 255, and a date stands before it


def check_config(plain: Mapping[str, Any], *, trusted: Sequence[str] | None = None) -> Config:
    """The typed config; imports nothing that a target names.

    `trusted` stands in for the config's own `trust` where the config may be a stranger's.
    """
    _check_text(plain)
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
    if "/" in name or "\0" in name or len(name.encode()) > MAX_NAME_BYTES:
        raise UserError(
            f"'{name:.60}' cannot end a folder's name",
            where=f"name={name:.60}",
            allowed=f"text without '/', at most {MAX_NAME_BYTES} bytes",
            fix="expkit train ... name=SHORTER",
        )


def _check_rate(optimizer: Mapping[str, Any]) -> None:
    """Every optimizer has a rate, and torch would refuse it only after it is loaded."""
    lr = optimizer.get("lr", 1.0)
    if isinstance(lr, int | float) and not 0 < lr < math.inf:
        raise UserError(
            f"optimizer.lr cannot be {lr}", where=f"optimizer.lr={lr}", allowed="a number > 0"
        )
