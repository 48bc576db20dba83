"""What loggers hold of a run, read by each package's own reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32_768, 7  # of wandb's files, which are LevelDB's logs
WHOLE, FIRST, LAST = 1, 2, 4


@dataclass(frozen=True)
class Held:
    """A run as a logger holds it."""

    points: dict[str, list[tuple[int, float]]]  # by name: epoch and value, in order
    texts: dict[str, str] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    status: str = ""


def read_tensorboard(folder: Path) -> Held:
    """By TensorBoard's own accumulator."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    every = {"scalars": 0, "images": 0, "tensors": 0}
    events = EventAccumulator(str(folder), size_guidance=every)
    events.Reload()
    tags = events.Tags()
    texts = {
        name: events.Tensors(name)[-1].tensor_proto.string_val[0].decode()
        for name in tags["tensors"]
        if events.Tensors(name)[-1].tensor_proto.string_val
    }
    points = {n: [(each.step, each.value) for each in events.Scalars(n)] for n in tags["scalars"]}
    return Held(points, texts, tags["images"])


def read_mlflow(uri: str, name: str, experiment: str = "expkit") -> Held:
    """By MLflow's client, which keeps a store by its address: let that be whole."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    runs = client.search_runs([known.experiment_id])
    (run,) = [each for each in runs if each.info.run_name == name]
    points = {
        metric: sorted(
            (point.step, point.value)
            for point in client.get_metric_history(run.info.run_id, metric)
        )
        for metric in run.data.metrics
    }
    images = [each.path for each in client.list_artifacts(run.info.run_id, "plots")]
    return Held(points, dict(run.data.tags), images, dict(run.data.params), run.info.status)


def read_wandb(folder: Path) -> Held:
    """The records of the one offline run that is there."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("offline-run-*/*.wandb")
    held = Held({})
    for data in _records(file.read_bytes()):
        record = Record.FromString(data)
        if record.HasField("history"):
            row = {_key(item): json.loads(item.value_json) for item in record.history.item}
            for name, value in row.items():
                if name.startswith("plots/"):
                    held.images.append(name)
                elif not name.startswith("_"):
                    step = row.get(f"{name.split('/')[0]}/epoch", row.get("epoch", 0))
                    held.points.setdefault(name, []).append((step, value))
        if record.HasField("summary"):
            held.texts.update({_key(i): json.loads(i.value_json) for i in record.summary.update})
        if record.HasField("run"):
            given = record.run.config.update
            held.parameters.update({_key(i): json.loads(i.value_json) for i in given})
    return held


def _key(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def _records(content: bytes) -> Iterator[bytes]:
    assert content[:4] == b":W&B"
    place, record = 7, b""
    while place + HEADER <= len(content):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        place += HEADER
        record = (b"" if kind in (WHOLE, FIRST) else record) + content[place : place + size]
        place += size
        if kind in (WHOLE, LAST):
            yield record


def read_trackio(name: str, project: str = "expkit") -> Held:
    """By trackio's storage; its folder is an environment variable of the process."""
    from trackio.sqlite_storage import SQLiteStorage

    (known,) = [each for each in SQLiteStorage.get_runs(project) if each.startswith(name)]
    held = Held({})
    for row in SQLiteStorage.get_logs(project, known):
        for key, value in row.items():
            if isinstance(value, int | float) and key != "step":
                held.points.setdefault(key, []).append((row["step"], value))
            elif isinstance(value, dict):
                held.images.append(key)
            else:
                held.texts[key] = value
    return held
