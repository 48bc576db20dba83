"""Weights & Biases: online a run of a project, offline a folder that `wandb sync` sends."""

from __future__ import annotations

import netrc
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from expkit.errors import UserError
from expkit.loggers.outgoing import Conclusion, Epoch, Outgoing
from expkit.records.run.sent import Sent
from expkit.records.run.writer import refuse_unwritable

MODES = {"online": "online", "shared": "online", "run": "online"} | {
    "offline": "offline",
    "dryrun": "offline",
}
CREDENTIALS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
STEP = "epoch"  # the x axis of each stage's figures, after the stage's prefix
CONCLUSION = "expkit_conclusion"  # in the run's summary
EXIT_CODES = {"finished": 0}
LONGEST_TAG, MOST_CONFIG = 64, 500_000


@dataclass(frozen=True)
class WandbLogger:
    """Writes by wandb's client."""

    project: str = "expkit"
    entity: str | None = None
    mode: Literal["online", "offline"] | None = None
    folder: str = "."

    package = "wandb"

    @property
    def chosen_mode(self) -> str:
        return self.mode or MODES.get(os.environ.get("WANDB_MODE", "online"), "")

    @property
    def place(self) -> str:
        if self.chosen_mode == "offline":
            return f"{Path(self.folder).absolute() / 'wandb'} (offline)"
        return "/".join([*([self.entity] if self.entity else []), self.project])

    def check(self, key: str) -> None:
        if not self.chosen_mode:
            raise UserError(
                f"WANDB_MODE={os.environ.get('WANDB_MODE')} keeps nothing",
                where=f"WANDB_MODE={os.environ.get('WANDB_MODE')}",
                allowed="online, offline",
                fix="leave logger=wandb out, or unset WANDB_MODE",
            )
        refuse_unwritable(Path(self.folder), f"{key}.folder=")
        if self.chosen_mode == "online" and not _has_login():
            raise UserError(
                "wandb is not logged in, and could not send anything",
                where=f"{key}.mode=online",
                fix=f"wandb login, or {key}.mode=offline   (and `wandb sync` later)",
            )

    def open(self, run: Outgoing, sent: Sent | None) -> WandbRun:
        kind = OfflineRun if self.chosen_mode == "offline" else WandbRun
        return kind.open(self, run, sent)


def _has_login() -> bool:
    """Tell whether there is a key for the server, without loading wandb."""
    if any(os.environ.get(name) for name in CREDENTIALS):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    for place in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        path = Path(place).expanduser() if place else None
        try:
            if path is not None and path.is_file() and netrc.netrc(str(path)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


@dataclass
class WandbRun:
    """A run on a server, which is asked for what it has."""

    logger: WandbLogger
    run: Outgoing
    epochs: dict[str, int] = field(default_factory=dict)
    conclusion: str | None = None
    _wandb: Any = None
    _defined: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, logger: WandbLogger, run: Outgoing, sent: Sent | None) -> WandbRun:
        opened = cls(logger, run)
        opened._begin("online")
        summary = opened._wandb.summary
        for stage in run.run.stage_names:
            last = summary.get(run.prefix_of(stage) + STEP)
            if isinstance(last, int | float):
                opened.epochs[stage] = int(last)
        opened.conclusion = summary.get(CONCLUSION)
        return opened

    def send_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Log a step an epoch, with the stage's epoch for its x axis."""
        for epoch in epochs:
            step = epoch.prefix + STEP
            for name in epoch.figures:
                if name not in self._defined:
                    self._wandb.define_metric(name, step_metric=step)
                    self._defined.add(name)
            self._wandb.log({**epoch.figures, step: epoch.number, "_timestamp": epoch.at})
            self.epochs[epoch.stage] = epoch.number

    def conclude(self, conclusion: Conclusion) -> None:
        import wandb

        images = {f"plots/{path.stem}": wandb.Image(str(path)) for path in conclusion.images}
        if images:
            self._wandb.log(images)
        for key, value in {
            **conclusion.figures,
            **conclusion.texts,
            **{f"expkit/{key}": text for key, text in conclusion.tags.items()},
            CONCLUSION: conclusion.digest,
        }.items():
            self._wandb.summary[key] = value
        verdict = f"verdict: {conclusion.tags['verdict']}"[:LONGEST_TAG]
        findings = conclusion.tags["findings"].split(", ")
        self._wandb.tags = tuple({verdict, *(each[:LONGEST_TAG] for each in findings if each)})
        self.conclusion = conclusion.digest

    def flush(self) -> None:
        """Wandb sends by itself; what it had no time for, the server lacks when it is asked."""

    def close(self, status: str) -> None:
        if self._wandb is not None:
            self._wandb.finish(exit_code=EXIT_CODES.get(status, 1))

    def _begin(self, mode: str) -> None:
        import wandb

        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
            init_timeout=60,
        )
        self._wandb = wandb.init(
            project=self.logger.project,
            entity=self.logger.entity,
            id=self.run.identity,
            name=self.run.name[:120],
            group=self.run.group,
            notes=self.run.tags.get("hypothesis"),
            config=_fitting(self.run.parameters),
            dir=self.logger.folder,
            mode=cast("Any", mode),
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=settings,
        )


@dataclass
class OfflineRun(WandbRun):
    """A folder of wandb's that holds the run from its first epoch.

    `wandb sync` of it replaces what the server has of the run, so that each epoch is there once,
    however often the run was cut off between. A folder that a kill left half is replaced here.
    """

    @classmethod
    def open(cls, logger: WandbLogger, run: Outgoing, sent: Sent | None) -> OfflineRun:
        opened = cls(logger, run)
        if sent is not None:
            opened.epochs, opened.conclusion = dict(sent.epochs), sent.conclusion
        return opened

    def send_epochs(self, epochs: Sequence[Epoch]) -> None:
        super().send_epochs(epochs if self._wandb is not None else self._begin_anew())

    def conclude(self, conclusion: Conclusion) -> None:
        if self._wandb is None:
            super().send_epochs(self._begin_anew())
        super().conclude(conclusion)

    def _begin_anew(self) -> Sequence[Epoch]:
        for left in (Path(self.logger.folder) / "wandb").glob(f"offline-run-*-{self.run.identity}"):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
        self._begin("offline")
        return self.run.epochs_after({})


def _fitting(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """As many of the parameters as a config of wandb's may hold."""
    fitting, size = {}, 0
    for key, value in parameters.items():
        size += len(key) + len(str(value))
        if size > MOST_CONFIG:
            break
        fitting[key] = value
    return fitting
