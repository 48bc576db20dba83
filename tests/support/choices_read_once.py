"""Shipped choices, whose files are read once a process: a third of the time of composing."""

from __future__ import annotations

import copy
from pathlib import Path

from hydra.plugins.config_source import ConfigResult

from expkit.config.hydra_files import CheckedFiles
from expkit.config.paths import builtin_conf

SHIPPED = builtin_conf().resolve()
_load_config = CheckedFiles.load_config
_known: dict[str, ConfigResult] = {}


def load_config(self: CheckedFiles, config_path: str) -> ConfigResult:
    """Read one choice as `CheckedFiles` does; a user's own may change, and is read each time."""
    if Path(self.path).resolve() != SHIPPED:
        return _load_config(self, config_path)
    if config_path not in _known:
        _known[config_path] = _load_config(self, config_path)
    return copy.deepcopy(_known[config_path])  # Hydra takes its defaults list out


def read_choices_once() -> None:
    CheckedFiles.load_config = load_config  # type: ignore[method-assign]
