"""MLflow: a run of an experiment, in a SQLite file or on a tracking server."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from expkit.errors import UserError
from expkit.loggers.outgoing import EPOCH_SECONDS, Conclusion, Epoch, Outgoing
from expkit.records.run.sent import Sent
from expkit.records.run.writer import refuse_unwritable

IDENTITY, CONCLUSION = "expkit.identity", "expkit.conclusion"  # tags
# what MLflow takes in a batch, and how long a name and a value may be
MOST_METRICS, MOST_PARAMETERS = 1000, 100
LONGEST_NAME, LONGEST_PARAMETER, LONGEST_TAG = 250, 6000, 5000
STATUSES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
SQLITE = "sqlite:///"
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


@dataclass(frozen=True)
class MlflowLogger:
    """Writes to a tracking store by MLflow's client, which keeps no state of a process."""

    tracking_uri: str | None = None
    experiment: str = "expkit"

    package = "mlflow"

    @property
    def place(self) -> str:
        return self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"

    def check(self, key: str) -> None:
        place = urlsplit(self.place)
        if place.password and self.tracking_uri:
            raise UserError(
                "a password would stand in the run's config.yaml",
                where=f"{key}.tracking_uri",
                fix="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment",
            )
        if place.scheme in ("", "file"):
            raise UserError(
                f"MLflow keeps no runs in a folder any more: '{self.place}'",
                where=f"{key}.tracking_uri={self.place}",
                allowed="sqlite:///FILE.db, or a server: http://HOST:5000",
                fix=f"{key}.tracking_uri={SQLITE}mlflow.db",
            )
        if self.place.startswith(SQLITE):
            self._check_file(Path(self.place.removeprefix(SQLITE)), key)

    def _check_file(self, file: Path, key: str) -> None:
        try:
            refuse_unwritable(file.absolute().parent, key)
        except UserError as error:
            raise UserError(
                error.what,
                where=f"{key}.tracking_uri={self.place}",
                fix=f"{key}.tracking_uri={SQLITE}FOLDER/mlflow.db, in a folder that can be written",
            ) from error

    def open(self, run: Outgoing, sent: Sent | None) -> MlflowRun:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.place)
        found = MlflowRun(client, _find_or_make(client, self.experiment, run), run)
        found.recall()
        return found


def _find_or_make(client: Any, experiment: str, run: Outgoing) -> str:
    """The id of the run in the store, found by its identity."""
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known is not None else _make(client, experiment)
    found = client.search_runs([experiment_id], f"tags.`{IDENTITY}` = '{run.identity}'")
    if found:
        return str(found[0].info.run_id)
    made = client.create_run(
        experiment_id,
        start_time=int(1000 * run.started_at),
        tags={IDENTITY: run.identity},
        run_name=run.name,
    )
    return str(made.info.run_id)


def _make(client: Any, experiment: str) -> str:
    try:
        return str(client.create_experiment(experiment))
    except Exception:  # another process was faster
        known = client.get_experiment_by_name(experiment)
        if known is None:
            raise
        return str(known.experiment_id)


@dataclass
class MlflowRun:
    """A run in the store."""

    client: Any
    id: str
    run: Outgoing
    epochs: dict[str, int] = field(default_factory=dict)
    conclusion: str | None = None

    def recall(self) -> None:
        """Ask the store what it has, and give it the config where that is not there."""
        found = self.client.get_run(self.id)
        self.conclusion = found.data.tags.get(CONCLUSION)
        for stage in self.run.run.stage_names:
            name = _name(self.run.prefix_of(stage) + EPOCH_SECONDS)
            if name in found.data.metrics:
                history = self.client.get_metric_history(self.id, name)
                self.epochs[stage] = max(int(point.step) for point in history)
        self._give_parameters(found.data.params)
        self._tag(self.run.tags)
        if self.conclusion is None:
            self.client.update_run(self.id, status="RUNNING")

    def send_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Send whole epochs in each batch, which is kept as a whole or not at all."""
        from mlflow.entities import Metric

        for batch in _batches(epochs):
            points = [
                Metric(_name(name), value, int(1000 * epoch.at), epoch.number)
                for epoch in batch
                for name, value in epoch.figures.items()
            ]
            self.client.log_batch(self.id, metrics=points)
            self.epochs.update({epoch.stage: epoch.number for epoch in batch})

    def conclude(self, conclusion: Conclusion) -> None:
        from mlflow.entities import Metric

        at = int(1000 * conclusion.at)
        points = [Metric(_name(name), value, at, 0) for name, value in conclusion.figures.items()]
        for start in range(0, len(points), MOST_METRICS):
            self.client.log_batch(self.id, metrics=points[start : start + MOST_METRICS])
        self._tag({**conclusion.texts, **conclusion.tags})
        for path in conclusion.images:
            self.client.log_artifact(self.id, str(path.absolute()), "plots")
        self._tag({CONCLUSION: conclusion.digest})  # last: it says that the rest is there
        self.conclusion = conclusion.digest

    def flush(self) -> None:
        """MLflow has kept it when it returns."""

    def close(self, status: str) -> None:
        if status in STATUSES:
            self.client.set_terminated(self.id, STATUSES[status])

    def _give_parameters(self, known: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        given = {
            _name(key): str(value)[:LONGEST_PARAMETER] for key, value in self.run.parameters.items()
        }
        new = [Param(key, value) for key, value in given.items() if key not in known]
        for start in range(0, len(new), MOST_PARAMETERS):
            self.client.log_batch(self.id, params=new[start : start + MOST_PARAMETERS])

    def _tag(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        made = [RunTag(_name(key), text[:LONGEST_TAG]) for key, text in tags.items()]
        for start in range(0, len(made), MOST_PARAMETERS):
            self.client.log_batch(self.id, tags=made[start : start + MOST_PARAMETERS])


def _batches(epochs: Sequence[Epoch]) -> Iterator[list[Epoch]]:
    batch: list[Epoch] = []
    size = 0
    for epoch in epochs:
        if batch and size + len(epoch.figures) > MOST_METRICS:
            yield batch
            batch, size = [], 0
        batch.append(epoch)
        size += len(epoch.figures)
    if batch:
        yield batch


def _name(name: str) -> str:
    """A name as MLflow takes it, which is a path to it too."""
    known = re.sub(r"[^\w./ -]" if sys.platform == "win32" else r"[^\w./: -]", "_", name)
    parts = [part if part.strip(".") else "_" for part in known.split("/")]
    return "/".join(parts)[:LONGEST_NAME].rstrip("/. ") or "_"
