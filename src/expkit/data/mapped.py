"""Pictures that stay in a file: taken by index as from a tensor, and brought to the device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from expkit.data.pages import release_pages

# taken before the pages that were read for it are let go; the kernel maps neighbours with each,
# so that the process holds a few times as much
RELEASE_BYTES = 32 << 20


class MappedPictures:
    """N x H x W x C in uint8, of which only what is taken comes into memory."""

    def __init__(
        self, store: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64] | None, device: torch.device
    ) -> None:
        """`store` is a `np.memmap` of mode c: torch wants what it could write to."""
        self.device = device
        self._store = torch.from_numpy(store)
        self._rows = torch.arange(len(store)) if rows is None else torch.from_numpy(rows)
        self._file = store
        self._bytes_since_release = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._rows), *self._store.shape[1:])

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        return self._take(self._rows[chosen if isinstance(chosen, slice) else chosen.cpu()])

    def index_select(self, dim: int, chosen: Tensor) -> Tensor:
        assert dim == 0, "pictures are taken whole"
        return self[chosen]

    def _take(self, rows: Tensor) -> Tensor:
        taken = self._store.index_select(0, rows)
        self._bytes_since_release += taken.nbytes
        if self._bytes_since_release > RELEASE_BYTES:
            self._bytes_since_release = 0
            release_pages(self._file)
        return taken.to(self.device)
