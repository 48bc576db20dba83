"""Composing a config by Hydra; below this room nobody meets Hydra or a DictConfig."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from expkit.config.criteria_words import spell_criteria
from expkit.config.hydra_files import (
    BUILT_BY_HYDRA,
    callbacks_refused,
    read_checked_files,
    show_configs_as_used,
)
from expkit.config.multirun.hydra_task import Task, name_sweep
from expkit.config.override_errors import (
    explain_composition,
    explain_refusal,
    explain_sweep,
    find_fault,
    parse_override,
    spell_out_globs,
)
from expkit.config.paths import builtin_conf, conf_folders, list_choices
from expkit.config.plain_config import refuse_interpolations
from expkit.config.stage_parts import set_aside
from expkit.errors import UserError, nearest_of

FLAGS_WITH_VALUE = {
    *("--cfg", "-c", "--info", "-i", "--package", "-p"),
    *("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"),
}


# where Hydra would write, or go to; a sweep's own folder is hydra.sweep.dir, which is obeyed
HYDRAS_FOLDERS = frozenset(
    {"hydra.run.dir", "hydra.output_subdir", "hydra.job.chdir", "hydra.sweep.subdir"}
)


class OwnConfFolder(SearchPathPlugin):
    """Puts the conf/ of the working directory before the built-in one."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own, *rest = conf_folders()
        if rest:
            search_path.prepend(provider="own", path=f"file://{own}")


def compose_and_run(words: Sequence[str], task: Task) -> None:
    """Hand the words to Hydra, which calls the task once, with all jobs, or not at all."""
    prepare_hydra()
    words = spell_criteria([spell_out_mirror(word) for word in flags_last(words)])
    _refuse_idle_words(words)
    if is_sweep(words):
        _require_optuna(words)
        words = spell_out_globs(words)
        explain_sweep(set_aside(words))
        words = _with_folder(words)
    words = set_aside(words)
    sys.argv = ["expkit train", *words]

    app = hydra.main(config_path=str(builtin_conf()), config_name="config", version_base="1.3")
    try:
        app(task)()
    except SystemExit as error:  # Hydra has said why, and calls every fault 1
        if error.code:
            raise SystemExit(2) from error
    except UserError:
        raise
    except Exception as error:
        raise explain_composition(words, error) from error
    if task.failures:
        raise explain_refusal(words, task.failures[0])


def spell_out_mirror(word: str) -> str:
    """Write `mirror=FOLDER` as `mirror.folder=FOLDER`; a mapping is one already."""
    is_short = word.startswith("mirror=") and not word.startswith("mirror={")
    return word.replace("mirror=", "mirror.folder=", 1) if is_short else word


def _refuse_idle_words(words: Sequence[str]) -> None:
    """Words to Hydra that expkit would not follow, or that one run alone has no use for."""
    is_run = not is_sweep(words) and not any(word in ("--cfg", "-c", "--info") for word in words)
    for word in words:
        key, _, value = word.lstrip("+~").partition("=")
        if BUILT_BY_HYDRA.search(key):
            raise callbacks_refused(word)
        if key in HYDRAS_FOLDERS:  # Hydra would leave an empty one beside the run's
            raise UserError(
                f"'{key}' would make a folder of Hydra's beside the run's own",
                where=word,
                allowed="output_dir=FOLDER: each run gets a dated folder there; name=NAME ends it",
                fix=f"expkit train output_dir={value or 'FOLDER'}",
            )
        if is_run and re.match(r"hydra[/.](launcher|sweep(er)?)\b", key):
            raise UserError(
                f"'{key}' is of sweeps, and this is one run",
                where=word,
                fix=f"expkit train -m ... {shlex.quote(word)}   (a sweep), or leave it out",
            )


def _require_optuna(words: Sequence[str]) -> None:
    """Refuse a search where Optuna is not installed."""
    if "hydra/sweeper=optuna" in words and find_spec("optuna") is None:
        raise UserError(
            "'optuna' is not installed, which proposes the trials of a search",
            where="hydra/sweeper=optuna",
            fix='pip install "expkit[optuna]"',
        )


def change_parts(
    parts: Mapping[str, Mapping[str, Any]], words: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Parts with overrides: another choice of a group, or other values of the part that is there.

    Whether a part has such a key is for `check_config` to say.
    """
    refuse_interpolations(parts, "")  # it would be resolved beside the words
    prepare_hydra()
    words = spell_criteria(words)
    by_group: dict[str, list[str]] = {group: [] for group in parts}
    for word in words:
        group = re.split(r"[=.]", word.lstrip("+~"))[0]
        if group not in by_group or "=" not in word:
            raise UserError(
                f"'{word}' is no override of {' or '.join(parts)}",
                where=word,
                nearest=nearest_of(group, parts),
                allowed=", ".join(f"{each}=CHOICE, {each}.KEY=VALUE" for each in parts),
            )
        override = parse_override(word)
        if override.is_sweep_override() or override.is_delete():
            raise UserError(
                f"'{word}' gives no value", where=word, fix=f"one value: {group}.KEY=VALUE"
            )
        by_group[group].append(word)
    try:
        return {name: _change_part(given, name, by_group[name]) for name, given in parts.items()}
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_composition(words, error) from error


def _change_part(given: Mapping[str, Any], group: str, words: Sequence[str]) -> dict[str, Any]:
    part: Any
    if any(word.startswith(f"{group}=") for word in words):
        if (fault := find_fault(words)) is not None:  # a word that the choice does not have
            raise fault
        with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
            part = hydra.compose("config", overrides=list(words))[group]
    else:
        part = OmegaConf.create(dict(given))
        for override in map(parse_override, words):
            key = override.key_or_group.removeprefix(f"{group}.")
            OmegaConf.update(part, key, override.value(), force_add=True)
    plain = OmegaConf.to_container(part, resolve=True)
    assert isinstance(plain, dict), "a part is a mapping"
    return {str(key): value for key, value in plain.items()}


def prepare_hydra() -> None:
    """Make Hydra raise instead of print, and find the user's own conf/."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    Plugins.instance().register(OwnConfFolder)
    read_checked_files()
    show_configs_as_used()
    _forget_replaced_choices()


def _forget_replaced_choices() -> None:
    """The plugins' own choices of these names would be taken for the schemas of ours."""
    for kind in ("launcher", "sweeper"):
        registered = ConfigStore.instance().repo["hydra"][kind]
        for name in list_choices(f"hydra/{kind}", [builtin_conf()]):
            registered.pop(f"{name}.yaml", None)


def flags_last(words: Sequence[str]) -> list[str]:
    """Hydra's parser refuses overrides on both sides of a flag."""
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(word)
            continue
        flags.append(word)
        if word in FLAGS_WITH_VALUE and rest and "=" not in rest[0]:
            flags.append(rest.pop(0))
    return [*overrides, *flags]


def _with_folder(words: Sequence[str]) -> list[str]:
    """A sweep's folder has its name before Hydra begins, unless the user named it."""
    named = any(word.startswith("hydra.sweep.dir=") for word in words)
    return list(words) if named else flags_last([*words, name_sweep()])


def is_sweep(words: Sequence[str]) -> bool:
    return any(word in ("-m", "--multirun", "hydra.mode=MULTIRUN") for word in words)


def compose_output_dir(words: Sequence[str]) -> str:
    """Return where the user's own runs go: by these words, else by their config."""
    prepare_hydra()
    with hydra.initialize_config_dir(str(builtin_conf()), version_base="1.3"):
        return str(hydra.compose("config", overrides=list(words))["output_dir"])
