"""The device of an exported file: its own runtime's, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.errors import UserError
from expkit.records.exported import ExportedFolder

FILE_DEVICE = {"name": "cpu", "precision": "fp32", "compile": False}  # of an exported file
ALLOWED = {"name": ("cpu", "auto"), "precision": ("fp32", "auto"), "compile": (False,)}


def refuse_other_device(exported: ExportedFolder, given: Mapping[str, Any]) -> None:
    """Refuse a device or precision that is asked for: the file has its own."""
    for key, value in given.items():
        if key in ALLOWED and value not in ALLOWED[key]:
            raise UserError(
                f"an exported file is run by its own runtime on the processor, in the precision "
                f"that it was written in: {exported.title}",
                where=f"{key if key != 'name' else 'device'}: {value}",
                allowed="device=cpu, device.threads=N",
                fix=f"ask its run: {exported.record.run}\n"
                "another precision is another file: expkit export RUN --to FOLDER --precision int8",
            )
