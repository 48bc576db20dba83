"""Opening an exported file, which may be a stranger's."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.data.store.decoding import Decoding
from expkit.errors import UserError
from expkit.models.exported import ExportedModel
from expkit.models.runtimes import open_runtime
from expkit.records.exported import ExportedFolder


def open_exported(exported: ExportedFolder, trusted: Sequence[str]) -> ExportedModel:
    """Open an exported file by its runtime; one that torch would unpickle needs the user's word."""
    record = exported.record
    if record.format == "torch_export" and "torch_export" not in trusted:
        raise UserError(
            "a file of torch.export is unpickled when it is opened, and may run any code: open it "
            "only if you made it yourself, or trust whoever did",
            where=str(exported.model_file),
            fix="--trust torch_export",
        )
    exported.refuse_changed()
    decoding = Decoding.from_json(record.about["preprocessing"]["decoding"])
    runtime = open_runtime(record.format, exported.model_file, tuple(record.outputs))
    return ExportedModel(runtime, decoding.padded_size, record.batch, record.outputs)
