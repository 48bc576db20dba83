"""The shape of a whole config; the one place that says what its root may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Reference:
    """Figures of somebody else for the same set-up; null takes an inherited figure back."""

    source: str
    figures: dict[str, float | None]


@dataclass(frozen=True)
class Diagnosis:
    """The findings that stop a run early, and the rules that are not asked."""

    stop_on: Literal["never", "fatal", "warning"] = "never"
    ignore: Sequence[str] = ()


@dataclass(frozen=True)
class Plots:
    """The images of every page: a run's, a sweep's, a comparison's, the notebook's."""

    format: Literal["png", "svg", "pdf"] = "png"
    draw: bool = True


@dataclass(frozen=True)
class Mirror:
    """The folder that keeps a second copy of each run, and how often it is written."""

    folder: Annotated[str, MinLen(1)] | None = None
    every_epochs: Annotated[int, Ge(1)] | None = None  # both null: after every epoch
    every_minutes: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True)
class Sweep:
    """The settings by which a sweep is judged; no run of it knows of them."""

    objective: str = "accuracy"  # any metric of its runs, of a split: train/accuracy
    reuse: bool = False


@dataclass(frozen=True)
class Config:
    """One run's config as plain values; parts are mappings with a `_target_`."""

    name: Annotated[str, MinLen(1)]
    seed: Annotated[int, Ge(0)]
    output_dir: Annotated[str, MinLen(1)]
    hypothesis: str
    compared_with: list[str]
    reference: dict[str, Any] | None
    trust: list[str]
    evaluates: str | None
    criteria: dict[str, Any]
    model: dict[str, Any]
    dataset: dict[str, Any]
    augment: dict[str, Any]
    device: dict[str, Any]
    procedure: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    loss: dict[str, Any]
    diagnosis: dict[str, Any] = field(default_factory=lambda: asdict(Diagnosis()))
    plots: dict[str, Any] = field(default_factory=lambda: asdict(Plots()))
    mirror: dict[str, Any] = field(default_factory=lambda: asdict(Mirror()))
    tags: list[str] = field(default_factory=list)
    logger: dict[str, Any] = field(default_factory=dict)  # by name, of which there may be several

    def of_stage(self, name: str) -> Config:
        """The config as it is for one stage, with the parts that it has of its own."""
        from expkit.config.stage_parts import own_parts

        own: dict[str, Any] = dict(own_parts({"procedure": self.procedure}, name))
        return replace(self, **own)

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, as written to config.yaml."""
        return asdict(self)


# the root's keys that are parts; procedure is a mapping of them
PARTS = ("dataset", "augment", "model", "loss", "optimizer", "schedule", "device")
