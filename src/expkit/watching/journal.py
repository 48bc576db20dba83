"""Each epoch of a watched loop, measured and written down as an epoch of a run is."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from expkit.diagnosis.evidence import Evidence
from expkit.probes.layers import look_at_layers
from expkit.probes.loss import probe_loss
from expkit.probes.model import probe_model
from expkit.records.run.metadata import DatasetMetadata
from expkit.sanitize import one_line
from expkit.training.accumulator import MetricAccumulator
from expkit.training.step_stats import probe_epochs
from expkit.watching.description import describe_config, describe_data, describe_workers
from expkit.watching.epoch_stats import EpochStats
from expkit.watching.learner import KeptSamples, WatchedLearner, copied_buffers
from expkit.watching.outputs import CalledLoss, Shapes
from expkit.watching.parameters import ParameterWatch
from expkit.watching.recording import Recording
from expkit.watching.schedule import ScheduleSteps

LOOKED_AT = probe_epochs(100_000)  # nobody need say how many there will be
LEAP = 0.5  # of the lowest loss so far
HeldOut = tuple[Tensor, Tensor]


@dataclass
class Journal:
    """Turns what was seen of a loop into the records of a run."""

    learner: WatchedLearner
    recording: Recording
    asked: Mapping[str, Any]
    data: Any
    scheduler: Any
    schedule: ScheduleSteps | None
    scaler: Any
    parameters: ParameterWatch
    is_fresh: bool  # the weights are as torch draws them
    probes: bool
    shapes: Shapes | None = None
    samples: KeptSamples | None = None
    inputs_shape: tuple[int, ...] | None = None
    has_closure: bool = False
    _num_steps: int = 0
    _last_steps: int = 0  # of the epoch before
    _batch_size: int = 0
    _train: tuple[int, Sequence[int] | None] | None = None  # samples, and those of each class
    _scale: float | None = None
    _splits: dict[str, tuple[int, Sequence[int] | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scale = self._read_scale()

    def new_epoch(self) -> EpochStats:
        """Begin an epoch; its last step is taken to be where the one before ended."""
        return EpochStats(
            self.learner,
            self._num_steps,
            closely=len(self.recording.records) + 1 in LOOKED_AT,
            expected_steps=self._last_steps or self.num_batches or sys.maxsize,
        )

    @property
    def num_batches(self) -> int | None:
        """The batches that the loader says an epoch has."""
        try:
            return len(self.data)
        except TypeError:
            return None

    def write_start(self) -> None:
        """Look at the model before its first step, and at the loss."""
        samples, learner, shapes = self.samples, self.learner, self.shapes
        if not self.probes or samples is None or learner.loss is None or shapes is None:
            return
        with copied_buffers(learner.model):
            self._attempt("model", lambda: self._probe(samples))
        if shapes.kind in ("classes", "numbers"):
            targets, count = samples.targets, shapes.num_outputs
            self._attempt("loss", lambda: probe_loss(learner.loss, count, targets, learner.device))

    def _probe(self, samples: KeptSamples) -> dict[str, Any]:
        content = probe_model(self.learner, samples, len(samples))
        # which parameters are moved is seen as they move: an optimizer may not have been named
        for row in content["parameters"]:
            row["optimised"] = True
        return {**content, "optimizer_strangers": 0}

    def take_held_out(self, split: str, outputs: Tensor, targets: Tensor) -> None:
        """Keep what was predicted for held-out samples last."""
        shapes = self.shapes
        assert shapes is not None, "a batch was seen"
        counts = None
        if shapes.has_classes:
            labels = shapes.labels(targets).cpu()
            counts = labels.bincount(minlength=shapes.num_outputs).tolist()
        self._splits[split] = (len(targets), counts)
        metadata = self._describe_data()
        names = tuple(metadata.class_names or metadata.target_names or ())
        predictions = shapes.predictions(split, outputs, targets, names)
        self.recording.held_out[split] = predictions

    def describe(self) -> None:
        """Write down what the loop is, as far as it is known by now."""
        device = self.learner.device.reason
        self.recording.describe(self._describe_config(), self._describe_data(), device)

    def _describe_config(self) -> dict[str, Any]:
        return describe_config(
            self.learner,
            self.scheduler,
            self.data,
            self.asked,
            batch_size=self._batch_size,
            is_fresh=self.is_fresh,
            is_evaluated=bool(self.recording.held_out),
        )

    def _describe_data(self) -> DatasetMetadata:
        assert self.shapes is not None, "a batch was seen"
        splits = {"train": self._train or (1, None), **self._splits}
        return describe_data(self.data, self.shapes, self.inputs_shape, splits)

    def end_epoch(self, stats: EpochStats, held_out: HeldOut | None) -> None:
        """Write an epoch down, and tell what is found by now."""
        stats.steps.close()
        if self._train is None:  # the first epoch shows how many samples there are
            counts = stats.class_counts
            self._train = (stats.num_samples, None if counts is None else counts.tolist())
            self._batch_size = math.ceil(stats.num_samples / stats.steps.num_losses)
        number = len(self.recording.records) + 1
        self._num_steps += stats.steps.num_steps
        self._last_steps = stats.steps.num_steps
        train = {f"train/{name}": value for name, value in stats.accumulator.means().items()}
        validated = None if held_out is None else self._score(*held_out, closely=stats.closely)
        figures = {"step": self._num_steps, **train, **_held_out_figures(validated)}
        signals = self._signals(stats, validated)
        self.describe()
        for step in stats.steps.first_steps():
            self.recording.note("step", number, dict(step))
        self.recording.note("loop", number, self._loop(stats))
        if stats.closely or not math.isfinite(train["train/loss"]):
            signals |= self._look()
        self.recording.note("epoch", number, {**figures, **signals})
        line = {"epoch": number, **figures, "lr": self.learner.lr}
        self.recording.add_epoch(line, stats.seconds, stats.num_samples)
        if stats.closely or self._leaps():
            self.recording.diagnose()

    def write_refused(self, pair: HeldOut) -> None:
        """Write down the targets of the batch at which a loop ended by an error."""
        outputs, targets = pair
        if outputs.dim() < 2 or targets.is_floating_point() or not targets.numel():
            return
        lowest, highest = int(targets.min()), int(targets.max())
        shapes = [str(tuple(each.shape)) for each in pair]
        self.recording.note(
            "refused_targets",
            len(self.recording.records),
            {
                "lowest": lowest,
                "highest": highest,
                "num_outputs": outputs.shape[1],
                "shapes": shapes,
            },
        )
        if self.recording.folder is None:  # it was the first batch
            self.shapes = self.shapes or Shapes("classes", outputs.shape[1])
            evidence = Evidence(self._describe_config(), self._describe_data())
            self.recording.tell_without_folder("targets_do_not_fit", evidence)

    def _signals(self, stats: EpochStats, validated: MetricAccumulator | None) -> dict[str, Any]:
        """The signals of an epoch, as a run of expkit's own records them."""
        signals = {**stats.accumulator.signals(), **stats.steps.read(stats.seconds)}
        signals.pop("gradients_left", None)  # a loop may clear them before its next step
        scale, before = self._read_scale(), self._scale
        self._scale = scale
        skipped = None
        if before is not None and scale is not None and scale > 0:
            skipped = max(0, round(math.log2(before / scale)))
        signals |= {
            "lrs": [float(lr) for lr in signals["lrs"]],
            "seconds": {"steps": stats.seconds, "held_out": 0.0},
            "memory_bytes": self.learner.device.memory_bytes(),
            "loss_scale": scale,
            "skipped_steps": skipped,
            "origin": None,
        }
        for key in ("predicted", "confident_error"):
            signals[key] = {"train": signals[key]} if signals[key] else {}
        if validated is not None:
            signals["predicted"]["val"] = validated.predictions()
            if (sure := validated.confident_errors()) is not None:
                signals["confident_error"]["val"] = sure
        return signals

    def _read_scale(self) -> float | None:
        return None if self.scaler is None else float(self.scaler.get_scale())

    def _score(self, outputs: Tensor, targets: Tensor, *, closely: bool) -> MetricAccumulator:
        """Measure held-out outputs as training's are; without a loss that is not a number."""
        shapes, loss = self.shapes, self.learner.loss
        assert shapes is not None, "a batch was seen"
        value = torch.tensor(math.nan, device=outputs.device)
        if loss is not None:
            with contextlib.suppress(RuntimeError, ValueError, TypeError), torch.no_grad():
                value = loss(outputs, targets).float().mean()
                if getattr(loss, "reduction", "mean") == "sum":
                    value = value / len(targets)
        accumulator = MetricAccumulator(outputs.device, closely=closely)
        accumulator.add(value, shapes.logits(outputs), shapes.labels(targets))
        return accumulator

    def _look(self) -> dict[str, Any]:
        """The layers of the model on a few samples, as it is now."""
        samples, learner = self.samples, self.learner
        if not self.probes or samples is None or learner.loss is None:
            return {}
        return self._try(
            lambda: look_at_layers(
                learner.model, samples.inputs, samples.targets, learner.loss, learner.device
            )
        )

    def _loop(self, stats: EpochStats) -> dict[str, Any]:
        """The numbers on how the loop went about an epoch, and what it had not handed over."""
        loss, val = self.learner.loss, self.recording.held_out.get("val")
        return {
            **stats.read_loop(self.num_batches),
            **self.parameters.read(),
            "closure": self.has_closure,
            "evaluated_in_mode": dict(stats.evaluated),
            "held_out_samples": None if val is None else len(val.samples),
            "modal_layers": self.parameters.modal_layers,
            "schedule": None if self.schedule is None else self.schedule.read(),
            "workers": describe_workers(self.data),
            "loss_reduction": "unknown" if loss is None else getattr(loss, "reduction", "mean"),
            "outputs": None if self.shapes is None else self.shapes.kind,
            "handed_over": {
                "a scheduler": self.schedule is not None and self.schedule.is_countable,
                "a scaler": self.scaler is not None,
                "a loader that has a length": self.num_batches is not None,
                "a loss": loss is not None,
                "a loss that is a module": isinstance(loss, nn.Module)
                and not isinstance(loss, CalledLoss),
                "held-out outputs": val is not None,
                "a model to ask": self.probes and self.samples is not None,
            },
        }

    def _leaps(self) -> bool:
        """Tell whether the loss rose well above its lowest, or is no number."""
        losses = [record["train/loss"] for record in self.recording.records]
        return not losses[-1] <= min(losses) + LEAP * abs(min(losses))

    def _attempt(self, kind: str, measure: Callable[[], dict[str, Any]]) -> None:
        if content := self._try(measure):
            self.recording.note(kind, 0, content)

    def _try(self, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A measurement, or nothing: a model that cannot be asked may still be trained."""
        try:
            return measure()
        except Exception as error:
            reason = one_line((str(error).strip().splitlines() or [""])[0])[:200]
            self.recording.note("unmeasured", 0, {"error": f"{type(error).__name__}: {reason}"})
            return {}


def _held_out_figures(validated: MetricAccumulator | None) -> dict[str, float]:
    """The figures of the held-out samples; a loss that nobody could compute is left out."""
    means = {} if validated is None else validated.means()
    return {f"val/{name}": value for name, value in means.items() if not math.isnan(value)}
