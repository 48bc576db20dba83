"""The folder of an exported model: what its metadata.json says, read without believing it."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from annotated_types import Ge, Le

from expkit.errors import UserError
from expkit.records.files import read_json
from expkit.records.run.metadata import RecordedDecoding, check_preprocessing
from expkit.records.run.schema import check_config
from expkit.records.safe_open import MEGA, is_file, open_regular, refuse_links, too_large
from expkit.records.typed_values import check_shape
from expkit.sanitize import one_line

METADATA = "metadata.json"
VERIFICATION = "verification.json"
SCRIPT = "predict.py"
CARD = "README.md"
RECORDS = "records"  # the run folder in it: the file's own predictions on held-out samples
VERSION = 1
LARGEST_BATCH = 4096  # images at once of a fixed number: each call is filled up to it
LARGEST_FILE = 16_000 * MEGA  # bytes: more than any image model has

Format = Literal["onnx", "torch_export", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]
MODEL_FILE: Mapping[str, str] = {
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "torch_export": "model.pt2",
}
COMPANIONS: Mapping[str, Sequence[str]] = {"model.xml": ("model.bin",)}
MAIN_OUTPUTS = ("logits", "outputs")  # the first: of classes, or the numbers themselves
OPTIONAL = ("uncertainty",)


class RecordedPreprocessing(TypedDict):
    """The part of an exported file's preprocessing that whoever runs it has to know."""

    decoding: RecordedDecoding


class About(TypedDict):
    """The facts on an exported model that this program reads again."""

    class_names: Sequence[str] | None
    target_names: Sequence[str] | None
    preprocessing: RecordedPreprocessing
    temperature: Annotated[float, Ge(1e-9), Le(1e9)]


@dataclass(frozen=True)
class ExportRecord:
    """How to run an exported file, and what it is of; the rest is for people and programs."""

    export_version: int
    format: Format
    precision: Precision
    batch: Annotated[int, Ge(1), Le(LARGEST_BATCH)] | None  # None: any number of images at once
    files: Mapping[str, str]  # the SHA-256 of each file of the model
    outputs: Sequence[str]
    run: str
    about: Mapping[str, Any]  # classes, preprocessing, figures and so on: see docs/export.md

    def to_json(self) -> dict[str, Any]:
        """One level of keys: what programs look for lies on top."""
        record = asdict(self)
        about = record.pop("about")
        return {**record, **about}


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
    def title(self) -> str:
        """The file with its format and precision: `model.onnx (onnx, fp32)`."""
        record = self.record
        only = "" if record.batch is None else f", {record.batch} images at once"
        return f"{self.model_file.name} ({record.format}, {record.precision}{only})"

    @property
    def temperature(self) -> float:
        """The temperature of the file's own softmax."""
        return float(self.record.about["temperature"])

    @property
    def decoding(self) -> Mapping[str, Any]:
        """The rule by which the file resizes an image."""
        rule: Mapping[str, Any] = self.record.about["preprocessing"]["decoding"]
        return rule

    @property
    def num_outputs(self) -> int:
        """The width of its first output: the classes, or the numbers that it predicts."""
        about = self.record.about
        return len(about["class_names"] or about["target_names"])

    @property
    def num_bytes(self) -> int:
        """The size of all files of the model."""
        return sum((self.path / name).stat().st_size for name in self.record.files)

    @property
    def is_verified(self) -> bool:
        """Tell whether the file was proved to predict what its run does."""
        return read_json(self.path / VERIFICATION).get("passed") is True

    def refuse_changed(self) -> None:
        """Refuse files of the model that are not what was exported and verified."""
        for name, expected in self.record.files.items():
            file = self.path / name
            if not is_file(file, self.path):
                raise UserError(
                    f"the exported folder '{one_line(self.path.name)}' lacks its {name}",
                    where=str(file),
                    fix=f"export it again: {self.command}",
                )
            size = file.stat().st_size
            if size > LARGEST_FILE:
                raise too_large(file, size, LARGEST_FILE)
            if sha256_of(file, self.path) != expected:
                raise UserError(
                    f"'{name}' is not the file that was exported and verified: its digest differs",
                    where=str(file),
                    fix=f"bring it back from a copy, or export it again: {self.command}",
                )

    def refuse(self, why: str, fix: str) -> UserError:
        """The answer to a command that asks of an exported model what only its run can do."""
        return UserError(
            f"'{one_line(self.path.name)}' is an exported model: {why}",
            where=str(self.model_file),
            fix=fix.replace("RUN", shlex.quote(one_line(self.record.run))),
        )

    @property
    def command(self) -> str:
        """The command that exports such a file of its run."""
        record = self.record
        batch = "" if record.batch is None else f" --batch {record.batch}"
        return (
            f"expkit export {shlex.quote(one_line(record.run))} --to NEW_FOLDER "
            f"--format {record.format} --precision {record.precision}{batch}"
        )


def is_exported(path: Path) -> bool:
    """Tell whether a folder is an exported model's."""
    try:
        return (path / METADATA).exists() and (path / RECORDS / "config.yaml").exists()
    except OSError:
        return False


def lacks_records(path: Path) -> bool:
    """Tell whether a folder is an exported model's whose records are gone."""
    try:
        models = [file for file in MODEL_FILE.values() if (path / file).exists()]
        return bool(models) and (path / METADATA).exists() and not is_exported(path)
    except OSError:
        return False


def read_exported(path: Path) -> ExportedFolder:
    """Read the metadata of an exported folder; what is missing or odd is refused."""
    file = path / METADATA
    record = read_json(file)
    refuse_links(path / RECORDS, path)
    try:
        if record.get("export_version") != VERSION:
            raise ValueError(f"it has export_version {record.get('export_version')!r:.20}")
        names = [each for each in ExportRecord.__dataclass_fields__ if each != "about"]
        check_shape({**record, "about": {}}, ExportRecord)
        check_shape(record, About)
        _check_sense(record)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UserError(
            f"'{METADATA}' is not one that this expkit can read: {one_line(str(error)):.120}",
            where=str(file),
            fix="export the model again: expkit export RUN --to FOLDER",
        ) from error
    known = {name: record[name] for name in names}
    about = {name: value for name, value in record.items() if name not in names}
    return ExportedFolder(path, ExportRecord(**known, about=about))


def _check_sense(record: Mapping[str, Any]) -> None:
    """Raise a ValueError where the parts of the metadata do not belong together."""
    file = MODEL_FILE[record["format"]]
    if record["files"].keys() != {file, *COMPANIONS.get(file, ())}:
        raise ValueError(f"its files are not those of {record['format']}")
    names, numbers = record["class_names"], record["target_names"]
    if not (names or numbers) or (names is not None and numbers is not None):
        raise ValueError("it names no classes or numbers, or both")
    wanted = {"outputs"} if names is None else {"logits", "probabilities", "prediction"}
    outputs = record["outputs"]
    if not wanted <= set(outputs) <= {*wanted, *OPTIONAL} or outputs[0] not in MAIN_OUTPUTS:
        raise ValueError("its outputs have other names")
    if len(set(outputs)) < len(outputs):
        raise ValueError("two outputs have one name")
    decoding = record["preprocessing"]["decoding"]
    if not decoding.get("size"):
        raise ValueError("preprocessing.decoding has no size")
    channels = decoding.get("channels", 3)
    check_preprocessing((channels, *decoding["size"]), {"decoding": decoding})
    if "config" in record:
        check_config(record["config"])


def sha256_of(file: Path, root: Path) -> str:
    """The SHA-256 of a file inside a folder, as `sha256sum` prints it."""
    with os.fdopen(open_regular(file, os.O_RDONLY, root), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
