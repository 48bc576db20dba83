"""Hydra's reading of choices from files, with what would hang it refused first."""

from __future__ import annotations

from pathlib import Path

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult

from expkit.errors import UserError
from expkit.safe_yaml import refuse_bombs

MOST_WITH_ALIASES = 20_000  # values of one choice: OmegaConf takes a second for these


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
        return super().load_config(config_path)


def read_checked_files() -> None:
    """Let Hydra read the files of choices in this way from now on."""
    SourcesRegistry.instance().types[CheckedFiles.scheme()] = CheckedFiles
