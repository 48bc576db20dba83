"""Images that stay in a file: taken by index as from a tensor, and brought to the device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from expkit.data.store.row_file import RowFile


class MappedImages:
    """N x H x W x C in uint8, of which only what is taken comes into memory."""

    def __init__(
        self, store: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64] | None, device: torch.device
    ) -> None:
        self.device = device
        self._store = store
        self._file = RowFile(store)
        self._rows = np.arange(len(store)) if rows is None else rows
        self._image_shape = store.shape[1:]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._image_shape)

    def select(self, chosen: Tensor) -> MappedImages:
        """Some of them, still in their file."""
        return MappedImages(self._store, self._rows[chosen.cpu().numpy()], self.device)

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        places = chosen if isinstance(chosen, slice) else chosen.cpu().numpy()
        return torch.from_numpy(self._file.read(self._rows[places])).to(self.device)

    def index_select(self, dim: int, chosen: Tensor) -> Tensor:
        assert dim == 0, "images are taken whole"
        return self[chosen]
