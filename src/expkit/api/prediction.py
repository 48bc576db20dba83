"""New images to a run's model: as files, a folder, PIL images or arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from expkit.api.frames import cleaned, probability_columns
from expkit.api.images import as_sources
from expkit.errors import UserError
from expkit.records.run.reader import Run as Records

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from expkit.api.images import Images
    from expkit.runner.restoring import Restored

TOP = 3  # classes that a row names, as the command's default


def predict_images(
    run: Records,
    images: Images,
    restore: Callable[[str | None, Sequence[str], float], Restored],
    device: str | None,
    trust: Sequence[str],
    batch_size: int,
) -> pd.DataFrame:
    """Return a row an image, in the columns of `expkit predict --csv`."""
    run.weights  # noqa: B018 - whether there are any is asked before anything else
    paths, sources = as_sources(images)
    from expkit.runner.prediction_manner import Manner
    from expkit.runner.prediction_table import PredictionTable

    manner = Manner.of(run, ())
    table = PredictionTable.of(run, TOP, manner, every=True)
    restored = restore(device, trust, manner.temperature)
    from expkit.runner.inference import predict_files
    from expkit.runner.torch_state import torch_left_as_it_was

    table = table.of_model(restored)
    with torch_left_as_it_was():
        rows = [table.row(each) for each in predict_files(restored, paths, batch_size, sources)]
    return _frame(rows, table.header_of(probability_columns(table.class_names or ())))


def _frame(rows: Sequence[Sequence[str]], header: Sequence[str]) -> pd.DataFrame:
    """Return the cells of the CSV; those of numbers as such, NaN where a file was not read."""
    import pandas as pd

    frame = pd.DataFrame(cleaned(list(rows)), columns=cleaned(list(header)))
    texts = {"file", "prediction", "decision", "probabilities", "error"}
    texts |= {f"top{rank}" for rank in range(2, TOP + 1)}
    for column in [each for each in frame.columns if each not in texts]:
        frame[column] = pd.to_numeric(frame[column])
    return frame


def preprocess_images(images: Images, restored: Restored) -> Tensor:
    """Return images as the batch that the model was trained on."""
    import numpy as np
    import torch

    from expkit.data.store.decoding import UnreadableImageError, decode_all
    from expkit.data.store.progress import silent
    from expkit.runner.evaluation_data import decoding_of

    paths, sources = as_sources(images)
    decoded: list[Any] = []
    results = decode_all(sources, decoding_of(restored.run.dataset), silent)
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, UnreadableImageError):
            raise UserError(f"'{path}' cannot be read: {result}", where=str(path))
        decoded.append(result)
    images_BHWC = torch.from_numpy(np.stack(decoded)).to(restored.device.torch_device)
    return restored.normalizer(images_BHWC).permute(0, 3, 1, 2)
