"""trackio: a run of a project in its local database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.loggers.outgoing import EPOCH_SECONDS, Conclusion, Epoch, Outgoing
from expkit.records.run.sent import Sent
from expkit.records.run.writer import refuse_unwritable

CONCLUSION = "expkit/conclusion"
REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")  # `trackio sync` sends what is kept here


@dataclass(frozen=True)
class TrackioLogger:
    """Writes into the local database; `trackio sync` brings it to a Space."""

    project: str = "expkit"
    folder: str | None = None

    package = "trackio"

    @property
    def place(self) -> str:
        folder = self.folder or os.environ.get("TRACKIO_DIR")
        return f"{self.project} in {folder}" if folder else self.project

    def check(self, key: str) -> None:
        if self.folder is not None:
            refuse_unwritable(Path(self.folder), f"{key}.folder=")
        if not any(each.isalnum() for each in self.project):
            raise UserError(
                f"trackio has no project '{self.project}'",
                where=f"{key}.project={self.project}",
                allowed="letters, digits, - and _",
            )

    def open(self, run: Outgoing, sent: Sent | None) -> TrackioRun:
        if self.folder is not None:  # which it reads when it is loaded, and once
            os.environ["TRACKIO_DIR"] = str(Path(self.folder).absolute())
        for name in REMOTE:
            os.environ.pop(name, None)
        found = TrackioRun(self, run)
        found.recall()
        return found


@dataclass
class TrackioRun:
    """A run in the database, which is read back: trackio drops what it cannot write."""

    logger: TrackioLogger
    run: Outgoing
    epochs: dict[str, int] = field(default_factory=dict)
    conclusion: str | None = None
    _trackio: Any = None

    @property
    def name(self) -> str:
        """Its name there, which is all that tells runs of one name apart."""
        return f"{self.run.name}-{self.run.identity[:6]}"

    def recall(self) -> None:
        """Ask the database what it has."""
        from trackio.sqlite_storage import SQLiteStorage

        self.epochs, self.conclusion = {}, None
        stages = {self.run.prefix_of(s) + EPOCH_SECONDS: s for s in self.run.run.stage_names}
        for row in SQLiteStorage.get_logs(self.logger.project, self.name):
            for name, stage in stages.items():
                if name in row:
                    self.epochs[stage] = max(self.epochs.get(stage, 0), int(row["step"]))
            self.conclusion = row.get(CONCLUSION, self.conclusion)

    def send_epochs(self, epochs: Sequence[Epoch]) -> None:
        self._begin()
        for epoch in epochs:
            self._trackio.log(dict(epoch.figures), step=epoch.number)
            self.epochs[epoch.stage] = epoch.number

    def conclude(self, conclusion: Conclusion) -> None:
        import trackio

        self._begin()
        images = {f"plots/{path.stem}": trackio.Image(str(path)) for path in conclusion.images}
        texts = {**conclusion.texts, **{f"expkit/{k}": v for k, v in conclusion.tags.items()}}
        row = {**conclusion.figures, **texts, **images, CONCLUSION: conclusion.digest}
        self._trackio.log(row, step=max(self.epochs.values(), default=0))
        self.conclusion = conclusion.digest

    def flush(self) -> None:
        """End trackio's run, which writes it, and see that it is there."""
        if self._trackio is None:
            return
        meant = dict(self.epochs), self.conclusion
        self.close("")
        self.recall()
        if (self.epochs, self.conclusion) != meant:
            raise OSError("trackio could not write to its database")

    def close(self, status: str) -> None:
        if self._trackio is not None:
            from trackio import context_vars

            self._trackio.finish()
            context_vars.current_run.set(None)  # else it is finished once more at exit
            self._trackio = None

    def _begin(self) -> None:
        if self._trackio is None:
            import trackio

            self._trackio = trackio.init(
                project=self.logger.project,
                name=self.name,
                group=self.run.group,
                config={
                    **self.run.parameters,
                    **{f"expkit.{k}": v for k, v in self.run.tags.items()},
                },
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
