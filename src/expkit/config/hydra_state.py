"""Hydra's own state, which a program that composes configs of its own may be in the middle of."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

FULL_ERROR = "HYDRA_FULL_ERROR"


@contextmanager
def hydra_left_as_it_was() -> Iterator[None]:
    """Let a config be composed within another app of Hydra's, which notices nothing of it.

    It finds its plugins, its sources, its choices and its config again as they were.
    """
    plugins, sources, store = Plugins.instance(), SourcesRegistry.instance(), ConfigStore.instance()
    before = [(each, dict(vars(each))) for each in Singleton._instances.values()]
    shown, told = Hydra.get_sanitized_cfg, os.environ.get(FULL_ERROR)
    found = plugins.plugin_type_to_subclass_list
    plugins.plugin_type_to_subclass_list = defaultdict(
        list, {kind: list(classes) for kind, classes in found.items()}
    )
    plugins.class_name_to_class = dict(plugins.class_name_to_class)
    sources.types = dict(sources.types)
    store.repo = deepcopy(store.repo)
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        for instance, attributes in before:
            for name, value in attributes.items():
                setattr(instance, name, value)
        Hydra.get_sanitized_cfg = shown  # type: ignore[method-assign]
        os.environ.pop(FULL_ERROR, None)
        if told is not None:
            os.environ[FULL_ERROR] = told
