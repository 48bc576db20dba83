"""Completions of an unfinished override, as Hydra's own completion knows them."""

from __future__ import annotations

from collections.abc import Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.plugins.completion_plugin import DefaultCompletionPlugin

from expkit.config.compose import prepare_hydra
from expkit.config.paths import builtin_conf


def complete_override(words: Sequence[str]) -> list[str]:
    """Groups, choices and keys that continue the last word, the words before it given."""
    prepare_hydra()
    line = " ".join(word for word in words if not word.startswith("-"))
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        plugin = DefaultCompletionPlugin(GlobalHydra.instance().config_loader())
        try:
            found = plugin._query("config", line)
        except HydraException:  # the words before it do not compose: nothing can be known
            return []
    return [text for text in found if not text.startswith(("hydra", "stage"))]
