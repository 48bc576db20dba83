"""Options of datasets whose images are decoded here: how, and where they are cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from expkit.data.store.cache import Cache, default_folder
from expkit.data.store.decoding import Decoding, Interpolation
from expkit.data.store.samples import Normalization
from expkit.data.store.splitting import Selection

Side = Annotated[int, Ge(1), Le(16384)]  # pixels; more would fill the memory with one image


@dataclass(frozen=True, kw_only=True)
class Decoded(Selection):
    """The fields of datasets whose images are decoded here, and kept in a cache."""

    size: Side | Annotated[Sequence[Side], Len(2, 2)] | None = None
    crop_fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    resize: Literal["crop", "squash"] = "crop"
    interpolation: Interpolation = "bicubic"
    channels: Literal[1, 3] = 3
    normalize: Normalization = "dataset"
    cache_dir: str | None = None
    memory_fraction: Annotated[float, Ge(0), Le(1)] = 0.25

    @property
    def decoding(self) -> Decoding:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(
            size=None if size is None else (size[0], size[1]),
            crop_fraction=self.crop_fraction,
            resize=self.resize,
            interpolation=self.interpolation,
            channels=self.channels,
        )

    @property
    def cache(self) -> Cache:
        folder = Path(self.cache_dir).expanduser() if self.cache_dir else default_folder()
        return Cache(folder, self.memory_fraction)
