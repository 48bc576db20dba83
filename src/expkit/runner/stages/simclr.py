"""Pre-training without labels, by two views of each image (SimCLR, arXiv:2002.05709)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from expkit.data.store.memory_mapped import MappedImages
from expkit.data.store.split import Split, batch_bounds, place_images
from expkit.errors import UserError
from expkit.optim.groups import parameter_groups
from expkit.optim.parameter_names import modules_of_head
from expkit.optim.sam import is_sharpness_aware
from expkit.records.files import Record
from expkit.records.run.metadata import StageResult
from expkit.runner.components import Parts, Stage
from expkit.runner.pretraining_views import check_views
from expkit.runner.representation import Watch
from expkit.runner.session import Session
from expkit.runner.stages import arguments
from expkit.training.contrastive import (
    AllViews,
    ContrastiveModel,
    classifier_inputs,
    contrastive_epoch,
    forward_backward,
    projection_head,
)
from expkit.training.learner import Learner
from expkit.training.loop import EpochPlan
from expkit.training.seeding import seed_everything

FEWEST_IMAGES = 2


@dataclass(frozen=True)
class SimCLR(arguments.SimCLR):
    """Trains the backbone to find, among a batch, the other view of each image.

    Each head has views and projections of its own; the loss is the mean of theirs. Labels, where
    there are any, only tell how good the features are: no step of it depends on them.
    """

    # a stage that starts from this one takes its backbone alone
    trains_backbone = True

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """Refuse views that cannot be made or do not differ, and a batch that cannot be learnt."""
        check_views(self.heads, key, parts)
        self._check_schedule(key, parts)
        self._check_monitor(key, parts)
        split = self._split(parts, key)
        if len(split) < FEWEST_IMAGES:
            raise UserError(
                "one image has no other to be told from",
                where=f"{key}: {len(split)} image",
                allowed=f"at least {FEWEST_IMAGES} images",
            )
        with parts.trial_model() as net:
            self._try_step(replace(parts, device=parts.uncompiled), net, split, key)

    def _check_schedule(self, key: str, parts: Parts) -> None:
        name = parts.key_of("schedule")
        if parts.schedule.watched_metric is not None:
            raise UserError(
                "a schedule that follows a metric of training has none to follow here",
                where=f"{key}, {name}.metric={parts.schedule.watched_metric}",
                fix=f"{key}.schedule=cosine, or another that follows the epochs",
            )
        if parts.schedule.warmup_epochs >= self.max_epochs:
            raise UserError(
                "the warm-up is as long as the pre-training: its learning rate would never be "
                "reached",
                where=f"{name}.warmup_epochs={parts.schedule.warmup_epochs:g}, "
                f"{key}.max_epochs={self.max_epochs}",
                allowed=f"warmup_epochs < {self.max_epochs}",
            )

    def _check_monitor(self, key: str, parts: Parts) -> None:
        reason = Watch.reason_not_to(parts)
        if self.monitor != "loss" and reason is not None:
            raise UserError(
                f"{self.monitor} is not measured here: {reason}",
                where=f"{key}.monitor={self.monitor}",
                fix=f"{key}.monitor=loss",
            )

    def _try_step(self, parts: Parts, net: nn.Module, split: Split, key: str) -> None:
        """One step on the smallest batch of an epoch: what cannot be trained fails here."""
        smallest = min(stop - start for start, stop in batch_bounds(len(split), self.batch_size))
        learner = self.new_learner(parts, self._model(parts, net, key), key, [])
        few = split.spread_out(smallest)
        try:
            learner.train_mode()
            images, _ = next(few.batches(smallest, augment=AllViews(self.heads)))
            for _ in forward_backward(learner, images, list(self.heads), self.temperature):
                pass
            learner.step()
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"a step of pre-training on {smallest} images fails: {error}",
                where=f"{key}: {parts.inputs.config.model['_target_']}",
                fix="EXPKIT_TRACEBACK=1 expkit train ...   (shows where)",
            ) from error

    def _split(self, parts: Parts, key: str) -> Split:
        """The images that are trained on: the training split's, those of a folder, or both."""
        train = parts.splits["train"]
        unlabelled = parts.inputs.unlabelled.get(key.removeprefix("procedure."))
        if unlabelled is None:
            return train
        own, device = unlabelled.samples, parts.device.torch_device
        images: Tensor | MappedImages = place_images(own, device)
        names, targets = list(own.names), torch.from_numpy(own.targets).to(device)
        if self.with_train:
            images = _join(train.images_NHWC, images, key)
            names = [*train.sample_names, *names]
            targets = torch.zeros(len(names), dtype=torch.int64, device=device)
        return replace(
            train,
            images_NHWC=images,
            targets=targets,
            sample_names=names,
            class_names=None,
        )

    def _model(self, parts: Parts, net: nn.Module, key: str) -> ContrastiveModel:
        """The net with fresh heads, as wide as what it gives its classifier."""
        num_features = self._count_features(parts, net, key)
        hidden_size = self.hidden_size or num_features
        projections = {
            name: projection_head(num_features, hidden_size, self.embedding_size)
            for name in self.heads
        }
        model = ContrastiveModel(net, projections, key)
        model.projections.to(parts.device.torch_device)
        return model

    def _count_features(self, parts: Parts, net: nn.Module, key: str) -> int:
        classifier = next(iter(modules_of_head(net, key)))
        images_BCHW, _ = next(parts.splits["train"].spread_out(2).batches(2))
        was_training = net.training
        with torch.no_grad():
            features_BD = classifier_inputs(
                net.eval(), classifier, parts.device.arrange(images_BCHW)
            )
        net.train(was_training)
        return features_BD.shape[1]

    def new_learner(
        self, parts: Parts, model: nn.Module, key: str, records: list[Record]
    ) -> Learner:
        """The model with what it learns by."""
        lr, where = parts.inputs.config.optimizer.get("lr"), parts.key_of("optimizer")
        if lr is None:
            raise UserError(f"{where}.lr must be given", fix=f"+{where}.lr=0.001")
        optimizer = parts.make_optimizer(parameter_groups(model, lr=float(lr), key=key))
        if is_sharpness_aware(optimizer):
            raise UserError(
                "sam passes a batch twice by its labels, and pre-training has none",
                where=f"{where}: sam",
                fix=f"expkit train ... {key}.optimizer=adam   (the other stages keep sam)",
            )
        schedule = parts.schedule
        return Learner(
            model,
            optimizer,
            nn.Identity(),  # NT-Xent needs no targets, and no module
            parts.device,
            scale=lambda epochs, max_epochs: schedule.scale(epochs, max_epochs, records),
            max_gradient_norm=self.max_gradient_norm,
        )

    def run(self, session: Session) -> StageResult:
        """Pre-train, and record, measure and keep every epoch; a resumed stage goes on."""
        key = f"procedure.{session.stage}"
        parts, records = session.parts, list[Record]()
        model = self._begin(session, key)
        watch = Watch.of(session, model)
        learner = self.new_learner(parts, model, key, records)
        records += session.resume(learner)
        if not records:
            watch.observe(0)
        session.display.stage_started(session.stage, self.max_epochs)
        plan = EpochPlan(
            self._split(parts, key),
            self.batch_size,
            self.max_epochs,
            session.seed,
            stage=session.stage,
        )
        # a resumed run is diagnosed where the uninterrupted one was
        stopped_by = session.diagnosis.check() if self._is_probed(len(records)) else None
        while stopped_by is None and self._reason(records) is None:
            epoch = contrastive_epoch(learner, plan, self.heads, self.temperature, len(records) + 1)
            is_probed = self._is_probed(epoch.number)
            figures = watch.observe(epoch.number) if is_probed else {}
            records.append(session.record(epoch, figures, kind="pretrain"))
            if self._best(records) == epoch.number:
                session.save_backbone(model.net, epoch.number)
            session.save(learner, epoch.number, is_best=False)
            stopped_by = session.diagnosis.check() if is_probed else None
        reason = self._reason(records) or ""
        if stopped_by is not None:
            saved = self.max_epochs - len(records)
            reason = (
                f"ended after epoch {len(records)} by {stopped_by.rule} ({stopped_by.severity}): "
                f"{saved} of {self.max_epochs} epochs saved"
            )
        finite = all(math.isfinite(record["pretrain/loss"]) for record in records)
        best = self._best(records)
        passed = finite and best is not None and stopped_by is None
        result = session.result("SimCLR", passed=passed, reason=reason, records=records)
        return replace(result, best_epoch=best)

    def _begin(self, session: Session, key: str) -> ContrastiveModel:
        """The model as the stage's first epoch meets it."""
        net = session.new_model()
        seed_everything(session.seed, "projections")
        return self._model(session.parts, net, key)

    def _is_probed(self, number: int) -> bool:
        return number % self.probe_every == 0 or number in (1, self.max_epochs)

    def _best(self, records: Sequence[Record]) -> int | None:
        """The first epoch with the best monitored figure; None while there is none."""
        is_loss = self.monitor == "loss"
        name, sign = ("pretrain/loss", 1) if is_loss else (f"val/{self.monitor}", -1)
        finite = [r for r in records if math.isfinite(r.get(name, math.nan))]
        best = min(finite, key=lambda record: sign * record[name], default=None)
        return None if best is None else int(best["epoch"])

    def _reason(self, records: Sequence[Record]) -> str | None:
        """The reason to end after these epochs, or None where pre-training goes on."""
        if not records:
            return None
        epoch, loss = int(records[-1]["epoch"]), records[-1]["pretrain/loss"]
        if not math.isfinite(loss):
            return f"the loss became {loss} in epoch {epoch}"
        if epoch >= self.max_epochs:
            return f"{epoch} of {self.max_epochs} epochs; best epoch {self._best(records)}"
        return None


def _join(first: Tensor | MappedImages, second: Tensor | MappedImages, key: str) -> Tensor:
    """Both in memory, one after the other."""
    if isinstance(first, MappedImages) or isinstance(second, MappedImages):
        raise UserError(
            "images that are left in their file cannot be put beside others",
            where=f"{key}.images, {key}.with_train=true",
            fix=f"{key}.with_train=false   (or a larger dataset.memory_fraction)",
        )
    return torch.cat([first, second])
