"""Hydra's reading of choices from files, what would hang it refused first, and its showing them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from expkit.config.criteria_words import name_criteria
from expkit.config.stage_parts import write_out
from expkit.errors import UserError
from expkit.safe_yaml import refuse_bombs

MOST_WITH_ALIASES = 20_000  # values of one choice: OmegaConf takes a second for these
# keys below which Hydra itself builds whatever is named, before anything is checked
SECTIONS = ("callbacks", "job_logging", "hydra_logging")
BUILT_BY_HYDRA = re.compile(rf"(^|[@:/])hydra([./]({'|'.join(SECTIONS)})\b|$)")


def callbacks_refused(where: str) -> UserError:
    """The answer to a key of Hydra's that runs code which nobody has looked at."""
    return UserError(
        "Hydra's callbacks and its logging are not the user's to set: they build whatever class "
        "is named there, and each run has its log.txt",
        where=where,
        allowed="of Hydra's own: hydra/launcher, hydra/sweeper, their keys, hydra.sweep.dir",
        fix="leave it out",
    )


class CheckedFiles(FileConfigSource):
    """Files of choices, of which OmegaConf will write out every alias."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one choice, or refuse it by its file and line."""
        path = Path(self.path) / self._normalize_file_name(config_path)
        if path.is_file():
            try:
                refuse_bombs(path.read_bytes(), MOST_WITH_ALIASES)
            except (yaml.MarkedYAMLError, UnicodeDecodeError) as error:
                mark = getattr(error, "problem_mark", None)
                raise UserError(
                    f"'{path.name}' cannot be read: {getattr(error, 'problem', None) or error}",
                    where=f"{path}: line {mark.line + 1}" if mark else str(path),
                    fix="write out what its aliases (*NAME) stand for, as far as it is needed",
                ) from error
        result = super().load_config(config_path)
        if _builds_by_hydra(self._normalize_file_name(config_path), result):
            raise callbacks_refused(str(path))
        return result


def _builds_by_hydra(name: str, result: ConfigResult) -> bool:
    """Tell whether a file fills a section of Hydra's in which classes are named."""
    package = result.header.get("package")
    folder = name.rpartition("/")[0].replace("/", ".")
    place = folder if package in (None, "_group_") else str(package).replace("_group_", folder)
    keys = [] if place in ("_global_", "") else place.split(".")
    given: Any = result.config
    if not keys and not (isinstance(given, DictConfig) and "hydra" in given):
        return False
    if keys and keys[0] != "hydra":
        return False
    for key in reversed(keys):
        given = {key: given}
    plain = OmegaConf.to_container(OmegaConf.create(given), resolve=False)
    section = plain.get("hydra") if isinstance(plain, dict) else None
    return isinstance(section, dict) and any(section.get(key) for key in SECTIONS)


def read_checked_files() -> None:
    """Let Hydra read the files of choices in this way from now on."""
    SourcesRegistry.instance().types[CheckedFiles.scheme()] = CheckedFiles


_hydras_own = Hydra.get_sanitized_cfg


def _as_used(self: Hydra, cfg: DictConfig, cfg_type: str) -> DictConfig:
    shown = _hydras_own(self, cfg, cfg_type)
    plain = OmegaConf.to_container(shown, resolve=False)
    if cfg_type == "hydra" or not isinstance(plain, dict):
        return shown
    whole = write_out({str(key): value for key, value in plain.items()})
    return OmegaConf.create({**whole, "criteria": name_criteria(whole.get("criteria") or {})})


def show_configs_as_used() -> None:
    """Let `--cfg` print what a run has, and not how its words wait to be written out."""
    Hydra.get_sanitized_cfg = _as_used  # type: ignore[method-assign]
