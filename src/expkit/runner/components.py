"""The parts of a run, built once from the config, each tried before the first step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from expkit.config.build_errors import explain_failure
from expkit.config.instantiate import build_part
from expkit.config.schema import Config
from expkit.config.stage_parts import OWN_PARTS, own_parts
from expkit.data.store.split import Split, place_splits
from expkit.errors import UserError
from expkit.losses.custom import refuse_mixed
from expkit.models.uncertainty import predicts_uncertainty
from expkit.optim.sam import refuse_unfit
from expkit.probes.preserve_state import preserve_state
from expkit.records.run.metadata import DatasetMetadata, StageResult
from expkit.records.run.reader import Run
from expkit.runner.custom_parts import as_augmentation, as_schedule, require, wrong_part
from expkit.runner.exported_files import open_exported
from expkit.runner.loaded_inputs import LoadedInputs
from expkit.runner.part_types import ScheduleSource
from expkit.runner.recorded_preprocessing import adopt_preprocessing
from expkit.training.augmentation import AugmentationSource
from expkit.training.device import Device
from expkit.training.learner import Learner

MakeOptimizer = Callable[[Any], torch.optim.Optimizer]


class Stage(Protocol):
    """A step of a procedure: a small frozen dataclass of plain values."""

    def check(self, key: str, parts: Parts, before: Mapping[str, Stage]) -> None:
        """Refuse, before anything runs, what this stage could not do."""

    def run(self, session: Any) -> StageResult:
        """Do the work of this stage; `session` is a runner.session.Session."""


@dataclass(frozen=True)
class StageParts:
    """The parts that a stage has of its own; None where it has the run's."""

    keys: Mapping[str, str]
    make_optimizer: MakeOptimizer | None
    schedule: ScheduleSource | None
    loss: nn.Module | None


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of, built before its first step."""

    inputs: LoadedInputs
    splits: Mapping[str, Split]
    device: Device
    loss: nn.Module
    gate_loss: nn.Module
    schedule: ScheduleSource
    stages: Mapping[str, Stage]
    make_model: Callable[..., nn.Module]
    make_optimizer: MakeOptimizer
    augmentation: AugmentationSource
    evaluated: Run | None  # another run, whose weights take the place of training
    num_parameters: int = 0  # of the model
    of_stages: Mapping[str, StageParts] = field(default_factory=dict)  # where they have their own
    keys: Mapping[str, str] = field(default_factory=dict)  # of parts that are a stage's own

    def of_stage(self, name: str) -> Parts:
        """The parts as a stage has them: its own optimizer, schedule and loss, else the run's."""
        own = self.of_stages.get(name)
        if own is None:
            return self
        inputs = replace(
            self.inputs,
            config=self.inputs.config.of_stage(name),
            loss=self.inputs.stage_losses.get(name, self.inputs.loss),
        )
        return replace(
            self,
            inputs=inputs,
            keys=own.keys,
            loss=own.loss or self.loss,
            schedule=own.schedule or self.schedule,
            make_optimizer=own.make_optimizer or self.make_optimizer,
        )

    def key_of(self, group: str) -> str:
        """The key under which the config has the optimizer, the schedule or the loss."""
        return self.keys.get(group, group)

    @property
    def metadata(self) -> DatasetMetadata:
        return self.inputs.metadata

    @property
    def seed(self) -> int:
        return self.inputs.config.seed

    @property
    def uncompiled(self) -> Device:
        """For trials: compiling would take longer than they tell."""
        return replace(self.device, compile=False)

    @contextmanager
    def trial_model(self) -> Iterator[nn.Module]:
        """Lend the one model that all checks are made on: each finds it ready to learn."""
        model = self._trial_model
        wants_gradient = [parameter.requires_grad for parameter in model.parameters()]
        try:
            with preserve_state(model):
                yield model
        finally:
            for parameter, flag in zip(model.parameters(), wants_gradient, strict=True):
                parameter.requires_grad_(flag)
                parameter.grad = None

    @cached_property
    def _trial_model(self) -> nn.Module:
        return self.device.place(self.make_model())


def build_parts(inputs: LoadedInputs) -> Parts:
    """Build all parts; whatever is wrong with one of them is said here and not an hour later."""
    config, metadata = inputs.config, inputs.metadata
    choice = require(
        build_part(config.device, "device", config.trust), "device", config.device, "open"
    )
    device = choice.open()
    if not isinstance(device, Device):
        raise wrong_part("device", device, config.device)
    splits: Mapping[str, Split] = place_splits(inputs.dataset, device.torch_device)
    evaluated = None if config.evaluates is None else Run(Path(config.evaluates)).trained
    if evaluated is not None:
        splits = adopt_preprocessing(splits, evaluated, device)
    else:
        normalizer = splits["train"].normalizer.to_json()
        metadata = replace(
            metadata, preprocessing={**metadata.preprocessing, "normalizer": normalizer}
        )
    trained_on = metadata if evaluated is None else evaluated.dataset_as_read
    counts = trained_on.splits["train"].class_counts
    augmentation = as_augmentation(
        build_part(config.augment, "augment", config.trust), config.augment
    )
    losses = {"": inputs.loss.build(counts)}
    losses |= {name: source.build(counts) for name, source in inputs.stage_losses.items()}
    for name, loss in losses.items():
        target = config.of_stage(name).loss["_target_"]
        _check_augmentation(augmentation, metadata, loss.to(device.torch_device), str(target))
    parts = Parts(
        inputs=replace(inputs, metadata=metadata),
        splits=splits,
        augmentation=augmentation,
        evaluated=evaluated,
        device=device,
        loss=losses[""],
        gate_loss=inputs.loss.build(counts, plain=True).to(device.torch_device),
        schedule=_build_schedule(config, "schedule"),
        stages={
            name: _build_stage(name, node, config.trust) for name, node in config.procedure.items()
        },
        make_model=_model_maker(config, metadata, evaluated),
        make_optimizer=partial(
            _make_optimizer, config.optimizer, config.trust, "optimizer", device
        ),
        of_stages={
            name: _build_stage_parts(config, name, losses.get(name), device)
            for name in config.procedure
            if own_parts({"procedure": config.procedure}, name)
        },
    )
    _try_out(parts)
    before: dict[str, Stage] = {}
    for name, stage in parts.stages.items():
        stage.check(f"procedure.{name}", parts.of_stage(name), before)
        before[name] = stage
    with parts.trial_model() as model:
        count = sum(parameter.numel() for parameter in model.parameters())
    return replace(parts, num_parameters=count)  # and without the model of the checks


def _model_maker(
    config: Config, metadata: DatasetMetadata, evaluated: Run | None
) -> Callable[..., nn.Module]:
    """The config's net for this data, or the exported file that is evaluated."""
    if evaluated is not None and evaluated.exported is not None:
        return partial(open_exported, evaluated, config.trust, config.device.get("threads"))
    return partial(
        make_model,
        config.model,
        config.trust,
        image_shape=metadata.image_shape,
        num_outputs=metadata.num_outputs,
    )


def _build_stage(name: str, node: Mapping[str, Any], trusted: Sequence[str]) -> Stage:
    key = f"procedure.{name}"
    plain = {group: value for group, value in node.items() if group not in OWN_PARTS}
    stage: Stage = require(build_part(plain, key, trusted), key, node, "check", "run")
    return stage


def _build_stage_parts(
    config: Config, name: str, loss: nn.Module | None, device: Device
) -> StageParts:
    own = own_parts({"procedure": config.procedure}, name)
    keys = {group: f"procedure.{name}.{group}" for group in own}
    here, make = config.of_stage(name), None
    if "optimizer" in own:
        make = partial(_make_optimizer, here.optimizer, here.trust, keys["optimizer"], device)
    # a scheduler of torch is read off at the optimizer's learning rate
    is_new = bool({"optimizer", "schedule"} & own.keys())
    schedule = _build_schedule(here, keys.get("schedule", "schedule")) if is_new else None
    return StageParts(keys, make, schedule, loss)


def _build_schedule(config: Config, key: str) -> ScheduleSource:
    node, lr = config.schedule, float(config.optimizer.get("lr", 1.0))
    return as_schedule(build_part(node, key, config.trust), node, lr, key)


def _check_augmentation(
    augmentation: AugmentationSource, metadata: DatasetMetadata, loss: nn.Module, target: str
) -> None:
    augmentation.check(metadata.image_shape)
    if augmentation.mixes and metadata.task != "classification":
        raise UserError(
            "mixed images have mixed classes, and this dataset's targets are numbers",
            where="augment.mixup_alpha, augment.cutmix_alpha",
            fix="expkit train ... augment.mixup_alpha=0 augment.cutmix_alpha=0",
        )
    if augmentation.mixes:
        # a copy: one with state would take the made-up batch into it
        refuse_mixed(copy.deepcopy(loss), metadata.num_outputs, target)


def make_model(
    node: Mapping[str, Any],
    trusted: Sequence[str] = (),
    *,
    image_shape: tuple[int, int, int],
    num_outputs: int,
) -> nn.Module:
    """The net: a partial target wants the data's shape, any other makes what is called with it."""
    make = build_part(node, "model", trusted)
    if isinstance(make, nn.Module):
        raise UserError(
            "the model was built without knowing the data's shape",
            where=f"model._target_={node['_target_']}",
            fix="add `_partial_: true` to its YAML: it is then called with image_shape "
            "and num_outputs",
        )
    if not callable(make):
        raise wrong_part("model", make, node)
    net: nn.Module = explain_failure(
        node, "model", lambda: make(image_shape=image_shape, num_outputs=num_outputs)
    )
    if not isinstance(net, nn.Module):
        raise wrong_part("model", net, node)
    lazy = [name for name, p in net.named_parameters() if isinstance(p, UninitializedParameter)]
    if lazy:
        raise UserError(
            f"the model has parameters without a shape: {', '.join(lazy[:3])}",
            where=f"model._target_={node['_target_']}",
            fix="give its lazy layers their sizes, which image_shape and num_outputs tell",
        )
    return net


def _make_optimizer(
    node: Mapping[str, Any], trusted: Sequence[str], key: str, device: Device, groups: Any
) -> torch.optim.Optimizer:
    make = build_part({**node, "_partial_": True}, key, trusted)
    made = explain_failure(node, key, lambda: make(groups))
    if not isinstance(made, torch.optim.Optimizer):
        raise wrong_part(key, made, node)
    refuse_unfit(made, device.precision, key)
    return made


def _try_out(parts: Parts) -> None:
    """Two samples through a model: what does not fit fails here."""
    evaluated, num_outputs = parts.evaluated, parts.metadata.num_outputs
    if evaluated is not None and evaluated.exported is not None:
        num_outputs = evaluated.dataset.num_outputs  # with classes that a stage has given
    images_BCHW, _ = next(next(iter(parts.splits.values())).spread_out(2).batches(2))
    node = parts.inputs.config.model

    wanted = (len(images_BCHW), num_outputs)
    try:
        with parts.trial_model() as model, torch.no_grad():
            _refuse_uncertain_numbers(model, parts)
            outputs = model.eval()(parts.device.arrange(images_BCHW))
    except UserError:  # it cannot be built
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        shape = " x ".join(map(str, parts.metadata.image_shape))
        raise UserError(
            f"the model cannot take images of {shape}: {reason}",
            where=f"model._target_={node['_target_']}",
            fix="another size, where the data has one: dataset.size=224\n"
            "a transformer of timm takes small images by '+model.options={patch_size: 4}'\n"
            "EXPKIT_TRACEBACK=1 expkit train ...   (shows where)",
        ) from error
    given = tuple(getattr(outputs, "shape", ()))
    if given != wanted:
        raise UserError(
            f"the model returns {f'shape {given}' if given else type(outputs).__name__}, "
            f"and this dataset wants {wanted}",
            where=f"model._target_={node['_target_']}",
            allowed="an output for each class, or for each number to predict",
        )


def _refuse_uncertain_numbers(model: nn.Module, parts: Parts) -> None:
    """The noise that such a model learns is that of logits, under a softmax."""
    if predicts_uncertainty(model) and parts.metadata.task != "classification":
        raise UserError(
            "a model with uncertainty is trained by its classes' probabilities, and this dataset's "
            "targets are numbers",
            where="model.uncertainty=true",
            fix="model.uncertainty=false",
        )


def try_step(parts: Parts, learner: Learner, num_samples: int, key: str) -> None:
    """One training step of a learner that is then dropped: what cannot be trained fails here."""
    images_BCHW, targets = next(parts.splits["train"].spread_out(num_samples).batches(num_samples))
    try:
        learner.train_mode()
        learner.forward_backward(images_BCHW, targets)
        learner.step()
    except Exception as error:
        names = [parts.inputs.config.model["_target_"], parts.inputs.config.optimizer["_target_"]]
        raise UserError(
            f"a training step on {num_samples} sample(s) fails: {error}",
            where=f"{key}: {', '.join(names)}",
            fix="EXPKIT_TRACEBACK=1 expkit train ...   (shows where)",
        ) from error
