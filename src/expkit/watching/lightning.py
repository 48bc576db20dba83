"""A callback that watches the loop of PyTorch Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from expkit.errors import UserError
from expkit.watching.collected import Collected
from expkit.watching.watch import Watch, watch


class WatchCallback(Callback):  # type: ignore[misc]
    """Watches a fit: `Trainer(callbacks=[WatchCallback(loss=nn.CrossEntropyLoss())])`.

    Batches are `(inputs, targets)`. The outputs are those of the module itself, or of the part of
    it that `module` names, as in `module="net"` where `training_step` calls `self.net(inputs)`.
    """

    def __init__(
        self, loss: Any = None, module: str = "", *, to: str | Path = "outputs", **options: Any
    ) -> None:
        self.watch: Watch | None = None
        self._loss, self._module, self._to = loss, module, to
        self._options = options
        self._collected = Collected()
        self._targets: Any = None
        self._hook: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch: the optimizers are there by now."""
        module = pl_module.get_submodule(self._module)
        schedulers = [each.scheduler for each in trainer.lr_scheduler_configs]
        self.watch = watch(
            module,
            trainer.optimizers,
            self._loss,
            data=trainer.train_dataloader,
            scheduler=schedulers[0] if schedulers else None,
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            epochs=trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None,
            to=self._to,
            **self._options,
        )
        self._hook = module.register_forward_hook(self._collected.see)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the targets of the batch that comes."""
        self._targets = batch[1] if isinstance(batch, tuple | list) and len(batch) > 1 else None
        self._collected.last = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        """Hand the batch over; Lightning has divided its loss by the batches of a step."""
        outputs = self._collected.last
        if outputs is None or self._targets is None:
            raise UserError(
                f"no {'outputs' if outputs is None else 'targets'} of a batch were seen",
                where=f"WatchCallback(module={self._module!r})",
                allowed="batches of (inputs, targets), and a module that training_step calls",
                fix='name the part that training_step calls: WatchCallback(..., module="net")',
            )
        if self.watch is not None:
            whole = loss.detach() * trainer.accumulate_grad_batches
            self.watch.step(whole, outputs, self._targets)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what the model says of held-out samples."""
        if self.watch is not None and not trainer.sanity_checking and not dataloader_idx:
            targets = batch[1] if isinstance(batch, tuple | list) and len(batch) > 1 else None
            self._collected.add(self._collected.last, targets)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch; its validation was before."""
        if self.watch is not None:
            self.watch.epoch(*self._collected.take())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the report."""
        self._leave(None)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say by what the fit ended."""
        self._leave(exception)

    def _leave(self, error: BaseException | None) -> None:
        if self._hook is not None:
            self._hook.remove()
        if self.watch is not None:
            self.watch.__exit__(None if error is None else type(error), error, None)
