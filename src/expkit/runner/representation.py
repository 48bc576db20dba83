"""Watching features while they are pre-trained: what val shows of them, beside an untrained net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from expkit.data.store.split import Split
from expkit.metrics.mcnemar import McNemar
from expkit.metrics.representations import (
    effective_rank,
    embedding_std,
    predict_by_linear_probe,
    predict_by_neighbours,
)
from expkit.runner.components import Parts
from expkit.runner.session import Session
from expkit.training.contrastive import ContrastiveModel
from expkit.training.inference import compute_outputs

if TYPE_CHECKING:
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]

MOST_SAMPLES = 5_000  # of a split, evenly spaced: a probe is to be quick
BATCH_SIZE = 256
METHODS = {
    "knn_accuracy": predict_by_neighbours,
    "linear_probe_accuracy": predict_by_linear_probe,
}


@dataclass(frozen=True)
class Watch:
    """Measures one model's features: its embeddings' std and rank, and what val says of them."""

    session: Session
    model: ContrastiveModel
    known: Split  # training samples
    asked: Split | None  # of val
    untrained: dict[str, Bools]  # which of them the model had right before it was trained

    @classmethod
    def of(cls, session: Session, model: ContrastiveModel) -> Watch:
        """Look at the model before it is trained; say so where val cannot tell anything."""
        parts, reason = session.parts, cls.reason_not_to(session.parts)
        if reason is not None:
            session.display.say(
                f"note    {session.stage}: no nearest neighbours and linear probes: {reason}"
            )
        asked = None if reason is not None else parts.splits["val"].spread_out(MOST_SAMPLES)
        known = session.train_split.spread_out(MOST_SAMPLES)
        watch = cls(session, model, known, asked, {})
        watch.untrained.update(watch._ask()[1])
        return watch

    @staticmethod
    def reason_not_to(parts: Parts) -> str | None:
        """The reason why features are not probed; None where they are."""
        if parts.metadata.task != "classification":
            return "the targets of this dataset are numbers, not classes"
        return None if "val" in parts.splits else "there is no val to measure them on"

    def observe(self, epoch: int) -> dict[str, float]:
        """Note how good the features are now; return the accuracies."""
        embeddings, is_right = self._ask()
        figures = {name: float(right.mean()) for name, right in is_right.items()}
        content: dict[str, Any] = {"heads": embeddings, **figures}
        if self.asked is not None and is_right:
            content |= {"split": self.asked.name, "num_samples": len(self.asked)}
            for name, right in is_right.items():
                pairs = McNemar.of(right, self.untrained[name])
                content[f"{name}_against_untrained"] = {
                    "only_now": pairs.only_ours,
                    "only_untrained": pairs.only_theirs,
                    "untrained": float(self.untrained[name].mean()),
                }
        self.session.note("representation", epoch, content)
        return figures

    def _ask(self) -> tuple[dict[str, dict[str, float]], dict[str, Bools]]:
        """Each head's std and rank, and which samples each method has right; none after a NaN."""
        known = self._features(self.known)
        if not known.isfinite().all():
            return {}, {}
        embeddings = {name: self._embed(known, name) for name in self.model.projections}
        heads = {
            name: {"std": embedding_std(each), "effective_rank": effective_rank(each)}
            for name, each in embeddings.items()
        }
        if self.asked is None:
            return heads, {}
        asked = self._features(self.asked).cpu().numpy()
        if not np.isfinite(asked).all():
            return heads, {}
        truth, classes = (each.targets.cpu().numpy() for each in (self.asked, self.known))
        is_right = {
            name: predict(known.cpu().numpy(), classes, asked) == truth
            for name, predict in METHODS.items()
        }
        return heads, is_right

    def _features(self, split: Split) -> torch.Tensor:
        batches = (images for images, _ in split.batches(BATCH_SIZE))
        return compute_outputs(self.model, batches, self.session.parts.device)

    @torch.no_grad()
    def _embed(self, features: torch.Tensor, head: str) -> npt.NDArray[np.float32]:
        embeddings: npt.NDArray[np.float32] = self.model.project(features, head).cpu().numpy()
        return embeddings
