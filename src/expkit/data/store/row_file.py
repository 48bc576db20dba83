"""Images read from their file by row: what is not asked for takes no memory.

Reading is as fast as looking through a mapping, and holds one batch: the kernel maps up to 2 MB
around every image that is looked at, which comes to the whole file within an epoch.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class RowFile:
    """The file below a mapped array, held open: it may be deleted meanwhile."""

    def __init__(self, store: npt.NDArray[np.uint8]) -> None:
        assert isinstance(store, np.memmap), "a resident array needs no file"
        assert store.flags.c_contiguous, "rows lie one after the other"
        self._row_shape = store.shape[1:]
        self._row_bytes = store[:1].nbytes
        self._start = store.offset
        self._descriptor = os.open(store.filename or "", os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Copies of these rows, in this order."""
        taken = np.empty((len(rows), self._row_bytes), np.uint8)
        for place, row in enumerate(rows.tolist()):
            position = self._start + row * self._row_bytes
            content = os.pread(self._descriptor, self._row_bytes, position)
            taken[place] = np.frombuffer(content, np.uint8)
        return taken.reshape(len(rows), *self._row_shape)
