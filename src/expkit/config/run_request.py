"""The request of a user, as Hydra composed it."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from expkit.config.multirun.ablation import without_mark
from expkit.config.schema import Config, Sweep
from expkit.config.stage_parts import as_typed
from expkit.config.targets.check import check_fields, check_part
from expkit.config.validation import (
    check_config,
    refuse_misplaced_mirror,
    refuse_runs_beside_code,
)
from expkit.errors import UserError

# the root's keys that say how a sweep runs; its runs do not know of them
OF_THE_SWEEP = ("launcher", "sweep", "ablation")


@dataclass(frozen=True)
class Request:
    """One run as it was asked for; it is checked when its config is first looked at."""

    composed: DictConfig
    overrides: list[str]
    sweep_dir: str | None  # of a job of a sweep
    number: int  # within its sweep
    engine: Mapping[str, Any] | None = None  # of a cluster, in place of the `launcher` part
    choices: Mapping[str, str] = field(default_factory=dict)  # by group, the default ones too

    @classmethod
    def of(cls, config: DictConfig) -> Request:
        """From what Hydra hands to the task, while HydraConfig tells of it."""
        hydra = HydraConfig.get()
        in_sweep = str(hydra.mode).endswith("MULTIRUN")
        return cls(
            config,
            as_typed(without_mark(hydra.overrides.task)),
            str(hydra.sweep.dir) if in_sweep else None,
            int(hydra.job.num) if in_sweep else 0,
            choices=current_choices(),
        )

    @property
    def is_sweep_job(self) -> bool:
        return self.sweep_dir is not None

    @functools.cached_property
    def config(self) -> Config:
        plain = {key: value for key, value in self._plain.items() if key not in OF_THE_SWEEP}
        output_dir = plain.get("output_dir")
        if self.sweep_dir is not None:
            plain["output_dir"] = self.sweep_dir
        config = check_config(self._without_other_stages(plain))
        if self.sweep_dir is None:
            self._refuse_words_of_sweeps()
        self._refuse_folds_without_fold(config)
        refuse_misplaced_mirror(str(output_dir), config)
        refuse_runs_beside_code("output_dir", str(output_dir), config)
        if config.mirror.get("folder") is not None:
            refuse_runs_beside_code("mirror.folder", str(config.mirror["folder"]), config)
        return config

    def _without_other_stages(self, plain: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where a word chooses the procedure, leave out what a recipe says of stages it lacks."""
        procedure = plain.get("procedure")
        is_chosen = any(_key_of(word) == "procedure" for word in self.overrides)
        if not isinstance(procedure, Mapping) or not is_chosen:
            return plain
        kept = {
            name: stage
            for name, stage in procedure.items()
            if not isinstance(stage, Mapping)
            or "_target_" in stage
            or self._words_of(f"procedure.{name}.")
        }
        return {**plain, "procedure": kept}

    def _words_of(self, *keys: str) -> list[str]:
        """The words typed for these keys, or for what is below them."""
        return [word for word in self.overrides if _key_of(word).startswith(keys)]

    def _refuse_words_of_sweeps(self) -> None:
        """A wrong word is wrong without a sweep too, and a right one would do nothing."""
        _ = self.sweep, self.launcher
        for word in self._words_of("launcher", "sweep."):
            raise UserError(
                f"'{_key_of(word)}' is of sweeps, and this is one run",
                where=word,
                fix=f"expkit train -m ... {shlex.quote(word)}   (a sweep), or leave it out",
            )

    def _refuse_folds_without_fold(self, config: Config) -> None:
        """A number of folds alone divides nothing, and every run would be the same."""
        if self._words_of("dataset.num_folds") and config.dataset.get("fold") is None:
            count = config.dataset.get("num_folds")
            raise UserError(
                "the number of folds says nothing of which fold is held out",
                where=f"dataset.num_folds={count}, dataset.fold=null",
                allowed=f"dataset.fold=0 to {int(count or 1) - 1}",
                fix=f"expkit train ... dataset.num_folds={count} dataset.fold=0\n"
                f"all of them: expkit train -m ... 'dataset.fold=range({count})'",
            )

    @functools.cached_property
    def sweep(self) -> Sweep:
        """Return how the whole sweep is judged, and what of it need not run."""
        given = self._of_the_sweep("sweep")
        check_fields(given, Sweep, "sweep")
        for known in fields(Sweep):
            if known.name not in given:
                raise _deleted(f"sweep.{known.name}")
        return Sweep(**given)

    def _of_the_sweep(self, key: str) -> Mapping[str, Any]:
        """Return what is said of sweeps, which every config has unless a word deletes it."""
        given = self._plain.get(key)
        if not isinstance(given, Mapping):
            raise _deleted(key)
        return given

    @property
    def change(self) -> str | None:
        """Which change of an ablation this job is; None of the recipe itself."""
        change: str | None = self.ablation.get("change")
        return change

    @property
    def ablation(self) -> Mapping[str, Any]:
        """Its changes, seeds and claims as they were composed; empty of an ordinary sweep."""
        return self._plain.get("ablation") or {}

    @functools.cached_property
    def launcher(self) -> Mapping[str, Any]:
        """The part that runs the jobs, on this machine or by the engine of a cluster."""
        if self.engine is not None:
            self._refuse_local_words()
            check_part(self.engine, "hydra.launcher")
            return self.engine
        launcher = self._of_the_sweep("launcher")
        check_part(launcher, "launcher", trusted=self._plain["trust"])
        return launcher

    def _refuse_local_words(self) -> None:
        """A timeout that nobody keeps is worse than none."""
        for word in self._words_of("launcher"):
            raise UserError(
                f"'{_key_of(word)}' is of sweeps on this machine, and a cluster's engine runs "
                "these jobs",
                where=word,
                fix=f"leave it out; the engine's own keys: {', '.join(self._engine_keys)}",
            )

    @property
    def _engine_keys(self) -> list[str]:
        return [f"hydra.launcher.{key}" for key in self.engine or () if key != "_target_"][:8]

    @functools.cached_property
    def _plain(self) -> dict[str, Any]:
        try:
            plain = OmegaConf.to_container(self.composed, resolve=True, throw_on_missing=True)
        except MissingMandatoryValue as error:
            raise UserError(
                f"{error.full_key} must be given",
                where=error.full_key,
                fix=f"expkit train ... {error.full_key}=VALUE",
            ) from error
        except OmegaConfBaseException as error:
            raise UserError(
                str(error).splitlines()[0], where=getattr(error, "full_key", None) or None
            ) from error
        assert isinstance(plain, dict), "config.yaml is a mapping"
        return {str(key): value for key, value in plain.items()}


def _deleted(key: str) -> UserError:
    """The refusal of a word that takes away what every sweep must know."""
    return UserError(
        f"'{key}' cannot be left out",
        where=f"~{key}",
        fix=f"leave the word out, or give a value: {key}=VALUE",
    )


def _key_of(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def current_choices() -> dict[str, str]:
    """Return Hydra's choice for each group, defaults included, while HydraConfig is set."""
    chosen = HydraConfig.get().runtime.choices
    return {
        str(group): str(name)
        for group, name in chosen.items()
        if name and group not in OF_THE_SWEEP and not {"/", "@"} & set(group)
    }
