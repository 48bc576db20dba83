"""The folder of an exported model: what its metadata.json says, read without believing it."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from expkit.errors import UserError
from expkit.records.files import read_json
from expkit.records.safe_open import is_file, open_regular
from expkit.records.typed_values import check_shape

METADATA = "metadata.json"
VERIFICATION = "verification.json"
SCRIPT = "predict.py"
CARD = "README.md"
RECORDS = "records"  # the run folder in it: the file's own predictions on held-out samples
VERSION = 1

Format = Literal["onnx", "torch_export", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]
MODEL_FILE: Mapping[str, str] = {
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "torch_export": "model.pt2",
}


@dataclass(frozen=True)
class ExportRecord:
    """How to run an exported file, and what it is of; the rest is for people and programs."""

    export_version: int
    format: Format
    precision: Precision
    batch: int | None  # None: any number of images at once
    files: Mapping[str, str]  # the SHA-256 of each file of the model
    outputs: Sequence[str]
    run: str
    about: Mapping[str, Any]  # classes, preprocessing, figures and so on: see docs/export.md

    def to_json(self) -> dict[str, Any]:
        """One level of keys: what programs look for lies on top."""
        record = asdict(self)
        return {**record, **record.pop("about")}


@dataclass(frozen=True)
class ExportedFolder:
    """An exported model on a disk."""

    path: Path
    record: ExportRecord

    @property
    def model_file(self) -> Path:
        """The file that its runtime opens."""
        return self.path / MODEL_FILE[self.record.format]

    @property
    def num_bytes(self) -> int:
        """The size of all files of the model."""
        return sum((self.path / name).stat().st_size for name in self.record.files)

    def refuse_changed(self) -> None:
        """Refuse files of the model that are not what was exported and verified."""
        for name, expected in self.record.files.items():
            file = self.path / name
            if not is_file(file, self.path):
                raise UserError(
                    f"the exported folder '{self.path.name}' lacks its {name}",
                    where=str(file),
                    fix=f"export it again: {_again(self)}",
                )
            if sha256_of(file, self.path) != expected:
                raise UserError(
                    f"'{name}' is not the file that was exported and verified: its digest differs",
                    where=str(file),
                    fix=f"bring it back from a copy, or export it again: {_again(self)}",
                )


def is_exported(path: Path) -> bool:
    """Tell whether a folder is an exported model's."""
    try:
        return (path / METADATA).exists() and (path / RECORDS / "config.yaml").exists()
    except OSError:
        return False


def read_exported(path: Path) -> ExportedFolder:
    """Read the metadata of an exported folder; what is missing or odd is refused."""
    file = path / METADATA
    record = read_json(file)
    try:
        if record.get("export_version") != VERSION:
            raise ValueError(f"it has export_version {record.get('export_version')!r:.20}")
        names = [each for each in ExportRecord.__dataclass_fields__ if each != "about"]
        known = {name: record[name] for name in names}
        check_shape({**known, "about": {}}, ExportRecord)
        if MODEL_FILE[record["format"]] not in record["files"]:
            raise ValueError("it lists no file of the model")
        for name in record["files"]:
            if Path(name).name != name or name.startswith("."):
                raise ValueError("it lists a file outside of its folder")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"'{METADATA}' is not one that this expkit can read: {error!s:.120}",
            where=str(file),
            fix="export the model again: expkit export RUN --to FOLDER",
        ) from error
    about = {name: value for name, value in record.items() if name not in names}
    return ExportedFolder(path, ExportRecord(**known, about=about))


def sha256_of(file: Path, root: Path) -> str:
    """The SHA-256 of a file inside a folder, as `sha256sum` prints it."""
    with os.fdopen(open_regular(file, os.O_RDONLY, root), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _again(folder: ExportedFolder) -> str:
    record = folder.record
    return (
        f"expkit export {shlex.quote(record.run)} --to NEW_FOLDER --format {record.format} "
        f"--precision {record.precision}"
    )
