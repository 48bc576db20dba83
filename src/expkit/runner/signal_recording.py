"""Measurements of a training besides its metrics, recorded for the rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from expkit.probes.model import look_at_layers, probe_loss, probe_model
from expkit.probes.precision import precision_gap
from expkit.probes.preserve_state import preserve_state
from expkit.records.files import Record
from expkit.runner.session import Session
from expkit.training.accumulator import MetricAccumulator
from expkit.training.learner import Learner
from expkit.training.loop import Epoch
from expkit.training.step_stats import probe_epochs

LEAP = 0.5  # of the lowest loss so far
NUM_PROBED = 64  # training samples that a model is asked before it trains
NUM_DIFFERENTIATED = 16  # of them, in each of two precisions
ANOTHER_SEED = 2_147_483_629  # than the run's own
NUM_ASKED = 32  # of them, at each look
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Observer:
    """Watches one learner of one stage."""

    session: Session
    learner: Learner
    probe: Batch
    probe_epochs: frozenset[int]

    @classmethod
    def of(cls, session: Session, learner: Learner, max_epochs: int) -> Observer:
        return cls(session, learner, probe_batch(session), probe_epochs(max_epochs))

    def observe_start(self) -> None:
        """The loss and the model before the first step."""
        observe_loss(self.session, self.learner)
        observe_model(self.session, self.learner)

    def observe_epoch(
        self,
        epoch: Epoch,
        held_out: MetricAccumulator | None,
        held_out_seconds: float,
        origin: Mapping[str, Any] | None,
    ) -> None:
        """Write an epoch's signals down; at looks, those of its layers too."""
        self._note_class_weights(epoch.number)
        for step in epoch.first_steps:
            self.session.note("step", epoch.number, dict(step))
        signals = dict(epoch.signals)
        is_finite = math.isfinite(epoch.metrics["loss"])
        content: dict[str, Any] = {
            "step": epoch.step,
            **{f"train/{name}": value for name, value in epoch.metrics.items()},
            **signals,
            "seconds": {**signals["seconds"], "held_out": held_out_seconds},
            "memory_bytes": self.learner.device.memory_bytes(),
            "origin": origin,
        }
        for key in ("predicted", "confident_error"):
            content[key] = {"train": signals[key]} if signals[key] else {}
        if held_out is not None:
            split = self.session.parts.metadata.monitored_split
            content |= {f"{split}/{name}": value for name, value in held_out.means().items()}
            content["predicted"][split] = held_out.predictions()
            if (sure := held_out.confident_errors()) is not None:
                content["confident_error"][split] = sure
        if epoch.number in self.probe_epochs or not is_finite:
            images, targets = self.probe
            learner = self.learner
            content |= attempt(
                self.session,
                lambda: look_at_layers(
                    learner.eval_model, images, targets, learner.loss, learner.device
                ),
            )
        self.session.note("epoch", epoch.number, content)

    def _note_class_weights(self, number: int) -> None:
        """Record the weights of a loss whose classes' weights follow the training."""
        followed: Any = getattr(self.learner.loss, "followed_weights", None)
        if followed is not None:
            names = self.session.parts.metadata.class_names
            weights = followed().tolist()
            content = {"class_names": list(names or range(len(weights))), "weights": weights}
            self.session.note("class_weights", number, content)

    def is_probe_epoch(self, records: Sequence[Record]) -> bool:
        """Tell whether rules run after this epoch: on a schedule, and where the loss leaps."""
        losses = [record["train/loss"] for record in records]
        best = min(losses)
        leaps = not losses[-1] <= best + LEAP * abs(best)  # so does a NaN
        return records[-1]["epoch"] in self.probe_epochs or leaps


def probe_batch(session: Session) -> Batch:
    """A few training samples, evenly spaced, as the model is given them."""
    few = session.train_split.spread_out(NUM_ASKED)
    return next(few.batches(len(few)))


def attempt(session: Session, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A measurement, or nothing: a net that cannot be measured may still be trained."""
    try:
        return measure()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        reported = f"not all could be measured: {type(error).__name__}: {reason}"
        session.folder.log(f"note    {session.stage}: {reported}")
        return {}


def observe_loss(session: Session, learner: Learner) -> None:
    metadata, split = session.parts.metadata, session.train_split

    def measure() -> dict[str, Any]:
        return probe_loss(learner.loss, metadata.num_outputs, split.targets, learner.device)

    if content := attempt(session, measure):
        session.note("loss", 0, content)


def observe_model(session: Session, learner: Learner, epoch: int = 0) -> None:
    split = session.train_split
    content = attempt(session, lambda: probe_model(learner, split, NUM_PROBED))
    if not content:
        return
    # a large net is shown fewer samples
    count = min(NUM_DIFFERENTIATED, content["num_samples"])
    content |= attempt(session, lambda: {"precision_gap": precision_gap(learner, split, count)})
    stage = session.parts.stages[session.stage]
    has_loaded = any(
        getattr(stage, key, None) is not None for key in ("start_from", "start_from_run")
    )
    has_frozen = any(not row["trainable"] for row in content["parameters"])
    if has_frozen and not epoch and not has_loaded:
        content |= attempt(session, lambda: {"frozen_drawn": frozen_drawn(session, learner)})
    session.note("model", epoch, content)


def frozen_drawn(session: Session, learner: Learner) -> list[str]:
    """The frozen parameters that come out otherwise under another seed: drawn, and not designed."""
    with preserve_state(learner.model):
        torch.manual_seed(ANOTHER_SEED)
        others = dict(session.parts.make_model().named_parameters())
    frozen = {name: p for name, p in learner.model.named_parameters() if not p.requires_grad}
    return [n for n, p in frozen.items() if n in others and not p.cpu().equal(others[n])]
