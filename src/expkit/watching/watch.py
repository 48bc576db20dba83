"""expkit.watch: our diagnosis on any PyTorch loop, by hooks and by what the loop hands over."""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from expkit.diagnosis.finding import Finding, counted
from expkit.errors import UserError
from expkit.metrics.criteria import parse_criterion
from expkit.runner.run import check_output
from expkit.sanitize import one_line
from expkit.watching.description import check_name, name_of
from expkit.watching.epoch_stats import MOST_STEPS, EpochStats
from expkit.watching.journal import HeldOut, Journal
from expkit.watching.learner import Optimizers, WatchedLearner, device_of, is_freshly_drawn
from expkit.watching.observer import Observer
from expkit.watching.outputs import CalledLoss, as_tensor
from expkit.watching.parameters import ParameterWatch
from expkit.watching.recording import Recording
from expkit.watching.schedule import ScheduleSteps
from expkit.watching.unsupported import refuse_unsupported

Loss = Callable[..., Tensor]
_watched: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    loss: Loss | None = None,
    *,
    data: Any = None,
    scheduler: Any = None,
    scaler: Any = None,
    epochs: int | None = None,
    name: str = "loop",
    to: str | Path = "outputs",
    hypothesis: str = "",
    criteria: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
    probes: bool = True,
    plots: bool = True,
) -> Watch:
    """Watch a training loop: record it as a run, and say what is wrong with it while it goes on.

    A loss that is a module is seen where the loop calls it; of one that is a function, hand each
    batch over by `watch.step(loss, outputs, targets)`, before its backward pass. End every epoch
    with `watch.epoch(val_outputs, val_targets)`, or `watch.epoch()` without held-out samples.
    """
    return Watch(
        model,
        optimizer,
        loss,
        data=data,
        scheduler=scheduler,
        scaler=scaler,
        asked={
            "name": check_name(name),
            "to": Path(to),
            "epochs": epochs,
            "hypothesis": hypothesis,
            "criteria": dict(criteria or {}),
            "ignore": ignore,
        },
        probes=probes,
        plots=plots,
    )


class Watch:
    """A loop that is watched, from here until `close`, or until the `with` block ends."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
        loss: Loss | None,
        *,
        data: Any,
        scheduler: Any,
        scaler: Any,
        asked: Mapping[str, Any],
        probes: bool,
        plots: bool,
    ) -> None:
        each: list[Any] = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        refuse_unsupported(model, each, loss, scheduler, scaler)
        for metric, condition in asked["criteria"].items():
            parse_criterion(metric, condition)
        if model in _watched:
            raise UserError(
                "this model is watched already",
                where="expkit.watch(model, ...)",
                fix="close the other watch first: watch.close()",
            )
        check_output(asked["to"])
        self.failure: BaseException | None = None  # of the watching itself, which ended by it
        self._plots, self._has_ended = plots, False
        called = loss if loss is None or isinstance(loss, nn.Module) else CalledLoss(loss)
        learner = WatchedLearner(model, Optimizers(each), called, device_of(model))
        scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._recording = Recording(asked["to"], asked["name"])
        self._journal = Journal(
            learner=learner,
            recording=self._recording,
            asked=asked,
            data=data,
            scheduler=scheduler,
            schedule=None
            if scheduler is None
            else ScheduleSteps(scheduler, may_skip_steps=scaler is not None),
            scaler=scaler,
            parameters=ParameterWatch(model, each),
            is_fresh=is_freshly_drawn(model),
            probes=probes,
        )
        loss_name = "" if called is None else name_of(called)
        self._observer = Observer(learner, loss_name, scaler, self)
        self._observer.open()
        _watched.add(model)

    @property
    def path(self) -> Path | None:
        """The run folder; None before the first epoch has ended."""
        return None if self._recording.folder is None else self._recording.folder.path

    @property
    def findings(self) -> list[Finding]:
        """The findings by now, worst first."""
        return self._recording.findings()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(error)

    def step(self, loss: Tensor, outputs: Any, targets: Tensor) -> None:
        """Hand a batch of training over, where the loss is no module that can be seen.

        Before `loss.backward()` it is seen by how much the loss is scaled on its way back, too.
        """
        self._refuse_ended("step")
        if not isinstance(loss, Tensor) or not isinstance(targets, Tensor):
            raise UserError(
                "a step has a loss, outputs and targets, which are tensors",
                where=f"watch.step({type(loss).__name__}, ..., {type(targets).__name__})",
                fix="watch.step(loss, outputs, targets)",
            )
        if self.failure is None:
            self._observer.call(self._observer.hand_over, loss, outputs, targets)

    def epoch(self, outputs: Any = None, targets: Any = None) -> None:
        """End an epoch; with the outputs and targets of held-out samples, where there are any."""
        self._refuse_ended("epoch")
        if (outputs is None) != (targets is None):
            raise UserError(
                "held-out outputs are measured by their targets, and both are needed",
                where="watch.epoch(outputs, targets)",
                fix="watch.epoch(val_outputs, val_targets), or watch.epoch() without any",
            )
        if self.failure is not None:
            return
        if not self._observer.epoch.has_seen_training:
            raise _unseen(self._observer.epoch.steps.num_steps)
        with self._own_calls():
            pair = None if outputs is None else self._hold_out("epoch", "val", outputs, targets)
            self._end_epoch(pair)

    def evaluate(self, outputs: Any, targets: Any, split: str = "test") -> None:
        """Hand over what the trained model predicts for held-out samples, for the report."""
        self._refuse_ended("evaluate")
        if split not in ("val", "test"):
            raise UserError(
                f"there is no held-out split '{split}'", where=f"split={split}", allowed="val, test"
            )
        if self.failure is not None:
            return
        if self._observer.shapes is None:
            raise _unseen(0)
        with self._own_calls():
            self._hold_out("evaluate", split, outputs, targets)

    def close(self) -> None:
        """End the watching: the hooks are gone, and the report is written."""
        self._end(None)

    # what the observer asks and tells

    def new_epoch(self) -> EpochStats:
        """Begin to count anew."""
        return self._journal.new_epoch()

    def batch_begins(self) -> None:
        """The first batch of all has come."""
        if self._journal.schedule is not None:
            self._journal.schedule.batch_begins()

    def step_begins(self) -> None:
        """The first step of all is about to be taken: the model is as it was made."""
        if self._journal.schedule is not None:
            self._journal.schedule.step_begins()
        self._tell_journal()
        with self._own_calls():
            self._journal.write_start()

    def gradients_are_there(self) -> None:
        """The first step of an epoch is about to be taken, or was by a closure."""
        self._journal.parameters.see_gradients()

    def epoch_is_full(self) -> None:
        """An epoch has more steps than are kept on the device."""
        self._recording.say(
            f"note    watch.epoch() was not called for {MOST_STEPS:,} steps: they end an epoch"
        )
        with self._own_calls():
            self._end_epoch(None)

    def failed(self, error: BaseException) -> None:
        """A fault of the watching ends it, and not the loop."""
        self.failure = error
        self._stop_hooks()
        with contextlib.suppress(OSError):
            print(
                f"note    expkit.watch has stopped watching: {type(error).__name__}: "
                f"{one_line(str(error))[:200]}\n        the loop goes on as it was",
                file=sys.stderr,
                flush=True,
            )

    def _stop_hooks(self) -> None:
        self._observer.close()
        _watched.discard(self._journal.learner.model)

    @contextlib.contextmanager
    def _own_calls(self) -> Iterator[None]:
        """Do our own work between the loop's; a fault of it ends the watching alone."""
        try:
            with self._observer.own_calls(), torch.random.fork_rng(devices=[]):
                yield
        except UserError:
            raise
        except Exception as error:
            self.failed(error)

    def _tell_journal(self) -> None:
        """Hand on what the first batches have shown."""
        observer, journal = self._observer, self._journal
        journal.shapes, journal.samples = observer.shapes, observer.samples
        journal.inputs_shape, journal.has_closure = observer.inputs_shape, observer.has_closure

    def _end_epoch(self, held_out: HeldOut | None) -> None:
        self._tell_journal()
        self._journal.end_epoch(self._observer.epoch, held_out)
        self._observer.start_epoch()

    def _hold_out(self, method: str, split: str, outputs: Any, targets: Any) -> HeldOut:
        """Take held-out outputs over; those that do not fit training's are refused."""
        self._tell_journal()
        shapes = self._observer.shapes
        assert shapes is not None, "a batch was seen"
        logits, labels = as_tensor(outputs, "outputs").float(), as_tensor(targets, "targets")
        labels = labels.to(logits.device)
        shapes.refuse_unfit(logits, labels, where=f"watch.{method}(outputs, targets), of {split}")
        self._journal.take_held_out(split, logits, labels)
        return logits, labels

    def _refuse_ended(self, what: str) -> None:
        if self._has_ended:
            raise UserError(
                "this watch is closed",
                where=f"watch.{what}(...)",
                fix="make another one: expkit.watch(model, optimizer, loss)",
            )

    # the end

    def _end(self, error: BaseException | None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        try:
            with self._own_calls():
                self._write_end(error)
        except UserError:
            if error is None:  # else the loop's own error is the one to be seen
                raise
        finally:
            self._stop_hooks()

    def _write_end(self, error: BaseException | None) -> None:
        recording, stats = self._recording, self._observer.epoch
        if self.failure is None and stats.has_seen_training:
            self._end_epoch(None)
        if error is not None and self._observer.last_pair is not None:
            self._journal.write_refused(self._observer.last_pair)
        if recording.folder is None:
            if self.failure is None:
                recording.say("note    expkit.watch saw no step of a loop, and wrote nothing down")
            return
        if self.failure is None:
            self._journal.describe()
        passed, reason = self._outcome(error)
        peak = self._journal.learner.device.peak_memory_bytes()
        plots = self._plots and passed is not None
        recording.finish(passed=passed, reason=reason, peak_bytes=peak, plots=plots)

    def _outcome(self, error: BaseException | None) -> tuple[bool | None, str]:
        """Whether the loop came to its end, None where it was interrupted; and a sentence on it."""
        epochs = len(self._recording.records)
        if error is None:
            stopped = "" if self.failure is None else ", until the watching failed"
            return True, f"watched {counted(epochs, 'epoch')} of a loop{stopped}"
        if isinstance(error, KeyboardInterrupt):
            return None, ""
        text = one_line(str(error).strip().partition("\n")[0])[:200]
        return False, f"the loop ended in epoch {epochs} by {type(error).__name__}: {text}"


def _unseen(num_steps: int) -> UserError:
    """Return the refusal of an epoch of which nothing was seen, with what shows more."""
    seen = f"{counted(num_steps, 'step')} of the optimizer and no loss" if num_steps else "no step"
    return UserError(
        f"{seen} was seen since the last epoch ended",
        where="watch.epoch(...)",
        allowed="a loss that is an nn.Module, given as loss= and called by the loop; or "
        "watch.step(loss, outputs, targets) for every batch",
        fix="hand each batch over before its backward pass: "
        "watch.step(loss, outputs, targets); loss.backward(); optimizer.step()",
    )
