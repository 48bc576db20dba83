"""Opening an exported file, which may be a stranger's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from expkit.data.store.decoding import Decoding
from expkit.errors import UserError
from expkit.models.exported import UNCERTAINTY, ExportedModel
from expkit.models.runtimes import Outputs, open_runtime
from expkit.records.exported import ExportedFolder
from expkit.records.run.reader import Run


def open_exported(
    run: Run, trusted: Sequence[str] = (), threads: int | None = None
) -> ExportedModel:
    """Open an exported file by its runtime; one that torch would unpickle needs the user's word."""
    exported = run.exported
    assert exported is not None, "asked before"
    record = exported.record
    if record.format == "torch_export" and "torch_export" not in trusted:
        raise UserError(
            "a file of torch.export is unpickled when it is opened, and may run any code: open it "
            "only if you made it yourself, or trust whoever did",
            where=str(exported.model_file),
            fix="--trust torch_export",
        )
    _refuse_other_records(run, exported)
    exported.refuse_changed()
    decoding = Decoding.from_json(exported.decoding)
    runtime = open_runtime(record.format, exported.model_file, tuple(record.outputs), threads)
    model = ExportedModel(runtime, decoding.padded_size, record.batch, record.outputs)
    shape = (1, *decoding.padded_size, decoding.channels)
    _check_outputs(model.run(np.zeros(shape, np.uint8)), exported)
    return model


def _refuse_other_records(run: Run, exported: ExportedFolder) -> None:
    """Refuse records that name other classes or another image size than the file's metadata."""
    about, data, rule = exported.record.about, run.dataset, exported.decoding
    stated = about["class_names"] or about["target_names"]
    here = data.class_names or data.target_names or ()
    shape = (rule.get("channels", 3), *rule["size"])
    if tuple(stated) != tuple(here) or shape != data.image_shape:
        raise UserError(
            "the records in this exported folder are of another model: the classes or the image "
            "size in its metadata.json are not theirs",
            where=str(run.path / "dataset.json"),
            fix=f"bring the folder back from a copy, or export it again: {exported.command}",
        )


def _check_outputs(outputs: Outputs, exported: ExportedFolder) -> None:
    """Refuse a file whose outputs are not of the classes that its metadata names."""
    width = exported.num_outputs
    shapes = {"prediction": (1,), UNCERTAINTY: (1,)}
    for name, array in outputs.items():
        kinds = "iu" if name == "prediction" else "f"
        wanted = shapes.get(name, (1, width))
        if array.shape != wanted or array.dtype.kind not in kinds:
            raise UserError(
                f"the output '{name}' of '{exported.model_file.name}' is {array.dtype} of "
                f"{list(array.shape)}, and its metadata.json names {width} classes or numbers",
                where=str(exported.model_file),
                allowed=f"{'whole numbers' if kinds == 'iu' else 'floats'} of {list(wanted)}",
                fix=f"export it again: {exported.command}",
            )
