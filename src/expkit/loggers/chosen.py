"""The loggers that a config chooses, built and refused early."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from expkit.config.choice_defaults import chosen_values
from expkit.config.instantiate import build_part
from expkit.config.paths import conf_folders, list_choices
from expkit.loggers.destination import Logger, require_package

Parts = Mapping[str, Mapping[str, Any]]


def build_loggers(parts: Parts, trusted: Collection[str] = ()) -> dict[str, Logger]:
    """The loggers by name; none of their packages is loaded."""
    return {name: build_part(part, f"logger.{name}", trusted) for name, part in parts.items()}


def check_loggers(parts: Parts, trusted: Collection[str] = ()) -> None:
    """Refuse what is known to fail, before torch is loaded and any folder is made."""
    for name, logger in build_loggers(parts, trusted).items():
        require_package(logger, name)
        logger.check(f"logger.{name}")


def known_loggers() -> dict[str, Mapping[str, Any]]:
    """The loggers of all choices in the user's own conf/ and the built-in one, by name."""
    found: dict[str, Mapping[str, Any]] = {}
    for choice in list_choices("logger", conf_folders()):
        found.update(chosen_values({"logger": choice})["logger"])
    return found


def changed_words(parts: Parts) -> list[str]:
    """The settings that differ from the choices' own, as words: `logger.mlflow.experiment=pits`."""
    known = known_loggers()
    return [
        f"logger.{name}.{key}={'null' if value is None else value}"
        for name, part in parts.items()
        for key, value in part.items()
        if known.get(name, {}).get(key) != value
    ]
