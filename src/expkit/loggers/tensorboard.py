"""TensorBoard: one event file a run, to which only what it lacks is appended."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from expkit.loggers.outgoing import EPOCH_SECONDS, Conclusion, Epoch, Outgoing
from expkit.records.run.sent import Sent
from expkit.records.run.writer import refuse_unwritable
from expkit.records.safe_open import make_inside, open_regular, read_file

CONCLUSION = "expkit/conclusion"  # the tag of a text: the digest of what was concluded


@dataclass(frozen=True)
class TensorBoardLogger:
    """Writes event files; the package `tensorboard` alone is needed, and no torch."""

    folder: str | None = None

    package = "tensorboard"

    @property
    def place(self) -> str:
        return "tensorboard/ of the run" if self.folder is None else self.folder

    def check(self, key: str) -> None:
        if self.folder is not None:
            refuse_unwritable(Path(self.folder), f"{key}.folder=")

    def open(self, run: Outgoing, sent: Sent | None) -> EventFile:
        own = run.run.path / "tensorboard"
        folder = own if self.folder is None else Path(self.folder) / run.run.path.absolute().name
        root = run.run.path if self.folder is None else folder
        make_inside(folder, root)
        # the number is a time to TensorBoard, and makes no file of two runs one
        name = f"events.out.tfevents.{int(run.started_at):010d}.expkit.{run.identity}"
        return EventFile.open(folder / name, root, run)


@dataclass
class EventFile:
    """A file of events, as it was found, and as it goes on.

    A last event that a kill cut off is cut away; the others tell what was sent.
    """

    stream: IO[bytes]
    run: Outgoing
    epochs: dict[str, int] = field(default_factory=dict)
    conclusion: str | None = None

    @classmethod
    def open(cls, path: Path, root: Path, run: Outgoing) -> EventFile:
        content = read_file(path, root) if path.exists() else b""
        file = open_regular(path, os.O_RDWR | os.O_CREAT, root)
        stream = os.fdopen(file, "r+b")
        events = cls(stream, run)
        end = 0
        for after, event in _events(content):
            events._recall(event)
            end = after
        stream.truncate(end)
        stream.seek(end)
        if end == 0:
            events._begin()
        return events

    def send_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Write an event an epoch, so that an epoch is there as a whole or not at all."""
        for epoch in epochs:
            values = [_scalar(name, value) for name, value in epoch.figures.items()]
            self._write(values, epoch.number, epoch.at)
            self.epochs[epoch.stage] = epoch.number

    def conclude(self, conclusion: Conclusion) -> None:
        values = [_scalar(name, value) for name, value in conclusion.figures.items()]
        values += [_text(name, text) for name, text in conclusion.texts.items()]
        images = (_image(f"plots/{path.stem}", path, self.run) for path in conclusion.images)
        values += [value for value in images if value is not None]
        # in one event with the rest: it says that the rest is there
        self._write([*values, _text(CONCLUSION, conclusion.digest)], 0, conclusion.at)
        self.conclusion = conclusion.digest

    def flush(self) -> None:
        self.stream.flush()
        os.fsync(self.stream.fileno())

    def close(self, status: str) -> None:
        self.stream.close()

    def _begin(self) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.hparams import summary_v2

        self._append(Event(wall_time=self.run.started_at, file_version="brain.Event:2"))
        parameters = summary_v2.hparams_pb(
            self.run.parameters,
            trial_id=self.run.identity,
            start_time_secs=self.run.started_at,
        )
        tags = "\n".join(f"    {key}: {text}" for key, text in self.run.tags.items())
        self._write([*parameters.value, _text("run", f"{self.run.name}\n\n{tags}")], 0, None)

    def _write(self, values: Sequence[Any], step: int, at: float | None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        when = self.run.started_at if at is None else at
        self._append(Event(wall_time=when, step=step, summary=Summary(value=values)))

    def _append(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        RecordWriter(self.stream).write(event.SerializeToString())

    def _recall(self, event: Any) -> None:
        for value in event.summary.value:
            if value.tag == CONCLUSION and value.tensor.string_val:
                self.conclusion = value.tensor.string_val[0].decode(errors="replace")
            elif value.tag.endswith(EPOCH_SECONDS):
                stage = self._stages.get(value.tag)
                if stage is not None:
                    self.epochs[stage] = max(self.epochs.get(stage, 0), event.step)

    @property
    def _stages(self) -> Mapping[str, str]:
        return {self.run.prefix_of(s) + EPOCH_SECONDS: s for s in self.run.run.stage_names}


def _events(content: bytes) -> Iterator[tuple[int, Any]]:
    """The whole events of a file, each with where it ends."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    start = 0
    while start + 12 <= len(content):
        header = content[start : start + 8]
        (length,) = struct.unpack("<Q", header)
        end = start + 12 + length + 4
        if end > len(content):
            return
        data = content[start + 12 : end - 4]
        sums = content[start + 8 : start + 12] + content[end - 4 : end]
        if sums != struct.pack("<II", masked_crc32c(header), masked_crc32c(data)):
            return
        try:
            event = Event.FromString(data)
        except DecodeError:
            return
        yield end, event
        start = end


def _scalar(name: str, value: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary.Value(tag=name, simple_value=value)


def _text(name: str, text: str) -> Any:
    """A text, which TensorBoard shows as Markdown: in it nothing is a link or an image."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    shown = text if name == CONCLUSION else re.sub(r"([\[\]<>!`*_])", r"\\\1", text)
    dim = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[shown.encode()], tensor_shape=dim)
    return Summary.Value(tag=name, tensor=tensor, metadata=create_summary_metadata("", ""))


def _image(name: str, path: Path, run: Outgoing) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    content = read_file(path, run.run.path)
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    image = Summary.Image(
        encoded_image_string=content, width=width % 2**31, height=height % 2**31, colorspace=3
    )
    return Summary.Value(tag=name, image=image)
