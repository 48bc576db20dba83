"""A callback that watches the Trainer of Hugging Face transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from expkit.watching.collected import Collected
from expkit.watching.outputs import main_output
from expkit.watching.watch import Watch, watch


class WatchCallback(TrainerCallback):  # type: ignore[misc]
    """Watches a training: `Trainer(..., callbacks=[WatchCallback()])`.

    The model is called with `labels` and returns its loss and logits, as those for image
    classification do.
    """

    def __init__(self, *, to: str | Path = "outputs", **options: Any) -> None:
        self.watch: Watch | None = None
        self._to, self._options = to, options
        self._collected = Collected()
        self._hook: Any = None
        self._has_epoch = False  # that is over, but for its evaluation

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Begin to watch."""
        model, scheduler = given["model"], given.get("lr_scheduler")
        optimizer = given["optimizer"]
        self.watch = watch(
            model,
            getattr(optimizer, "optimizer", optimizer),  # accelerate's has it within
            data=given.get("train_dataloader"),
            scheduler=getattr(scheduler, "scheduler", scheduler),
            epochs=int(args.num_train_epochs) or None,
            to=self._to,
            **self._options,
        )
        self._hook = model.register_forward_hook(self._see, with_kwargs=True)

    def _see(self, _: Any, __: Any, named: Any, output: Any) -> None:
        """Keep what is said of held-out samples: those that go forward without gradients."""
        if not torch.is_grad_enabled():
            self._collected.add(main_output(output), named.get("labels"))

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Wait for the evaluation that may follow."""
        self._has_epoch = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the epoch with its evaluation."""
        self._end_epoch()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End an epoch that was not evaluated."""
        self._end_epoch()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the report."""
        self._end_epoch()
        if self._hook is not None:
            self._hook.remove()
        if self.watch is not None:
            self.watch.close()

    def _end_epoch(self) -> None:
        if self.watch is not None and self._has_epoch:
            self.watch.epoch(*self._collected.take())
        self._has_epoch = False
