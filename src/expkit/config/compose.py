"""Composing a config by Hydra; below this room nobody meets Hydra or a DictConfig."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from expkit.config.check import check_fields, check_part
from expkit.config.explain import explain_composition, explain_sweep
from expkit.config.places import builtin_conf, conf_folders
from expkit.config.schema import PARTS, Config
from expkit.errors import UserError


@dataclass(frozen=True)
class Request:
    """One run as it was asked for."""

    config: Config
    overrides: list[str]
    is_sweep_job: bool


class OwnConfFolder(SearchPathPlugin):
    """Puts the conf/ of the working directory before the built-in one."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own, *rest = conf_folders()
        if rest:
            search_path.prepend(provider="own", path=f"file://{own}")


def compose_and_run(words: Sequence[str], run: Callable[[Request], None]) -> None:
    """Hand the words to Hydra, which calls `run` once, once a job of a sweep, or not at all."""
    prepare_hydra()
    sys.argv = ["expkit train", *words]
    if _is_sweep(words):
        explain_sweep(words)

    failures: list[Exception] = []

    def task(config: DictConfig) -> None:
        try:
            run(_read_request(config))
        except Exception as error:
            failures.append(error)  # Hydra would print it in its own way

    app = hydra.main(config_path=str(builtin_conf()), config_name="config", version_base="1.3")
    try:
        app(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_composition(words, error) from error
    if failures:
        raise failures[0]


def prepare_hydra() -> None:
    """Make Hydra raise instead of print, and find the user's own conf/ and code."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    Plugins.instance().register(OwnConfFolder)
    sweep_name = f"{time.strftime('%Y%m%d_%H%M%S')}_{os.getpid()}_sweep"
    OmegaConf.register_new_resolver("sweep_name", lambda: sweep_name, replace=True)
    find_own_code()


def find_own_code() -> None:
    """A user's modules in the working directory are importable, as under `python -m`."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def _is_sweep(words: Sequence[str]) -> bool:
    return any(word in ("-m", "--multirun", "hydra.mode=MULTIRUN") for word in words)


def _read_request(config: DictConfig) -> Request:
    hydra_config = HydraConfig.get()
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(
            str(error).splitlines()[0], where=getattr(error, "full_key", None) or None
        ) from error
    assert isinstance(plain, dict), "config.yaml is a mapping"
    is_sweep_job = str(hydra_config.mode).endswith("MULTIRUN")
    if is_sweep_job:
        plain["output_dir"] = str(hydra_config.sweep.dir)
    overrides = list(hydra_config.overrides.task)
    return Request(check_config({str(k): v for k, v in plain.items()}), overrides, is_sweep_job)


def check_config(plain: Mapping[str, Any], *, trusted: Sequence[str] | None = None) -> Config:
    """The typed config, or a UserError that names the key; imports nothing that a target names."""
    check_fields(plain, "expkit.config.schema.Config", "")
    config = Config(**{field.name: plain[field.name] for field in fields(Config)})
    if config.reference is not None:
        check_fields(config.reference, "expkit.config.schema.Reference", "reference")
    trust = config.trust if trusted is None else trusted
    for key in PARTS:
        check_part(getattr(config, key), key, trusted=trust)
    lr = config.optimizer.get("lr", 1.0)  # every optimizer has it, and torch says so only later
    if isinstance(lr, int | float) and not lr > 0:
        raise UserError(
            f"optimizer.lr cannot be {lr}", where=f"optimizer.lr={lr}", allowed="a number > 0"
        )
    if not config.procedure:
        raise UserError("the procedure has no stage", where="procedure", fix="procedure=standard")
    for name, stage in config.procedure.items():
        if not isinstance(stage, Mapping):
            raise UserError(f"the stage '{name}' is not a mapping", where=f"procedure.{name}")
        check_part(stage, f"procedure.{name}", trusted=trust)
    if os.sep in config.name:
        raise UserError(f"the name '{config.name}' holds a '{os.sep}'", where="name")
    return config
