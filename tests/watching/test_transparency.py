"""Watching changes no number of a training, and leaves no hook behind."""

from __future__ import annotations

import copy
import io
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from watched_loops import Loop, make_loader

import expkit


class Drawing(Loop):
    """Draws from every generator in each step, and clips; dropout draws, too."""

    def train_step(self, images: Tensor, targets: Tensor) -> None:
        noise = random.random() + float(np.random.rand())
        self.optimizer.zero_grad()
        outputs = self.model(images + noise * torch.randn_like(images))
        self.criterion(outputs, targets).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def train(*, to: Path | None, scaler: bool = False, **options: Any) -> tuple[Any, ...]:
    """Weights, buffers, optimizer and generators after three epochs; unwatched without `to`."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(7)
    loop = Drawing(loader=make_loader(shuffle=True))
    torch.manual_seed(7)
    loop.scheduler = torch.optim.lr_scheduler.StepLR(loop.optimizer, 1, gamma=0.9)
    watch = None
    if to is not None:
        watch = expkit.watch(
            loop.model,
            loop.optimizer,
            loop.criterion,
            data=loop.loader,
            scheduler=loop.scheduler,
            to=to,
            plots=False,
            **options,
        )
    for _ in range(3):
        loop.train_epoch()
        outputs = loop.evaluate()
        if watch is not None:
            watch.epoch(*outputs)
        loop.scheduler.step()
    if watch is not None:
        watch.close()
        assert watch.failure is None
    state = {**loop.model.state_dict(), "outputs": outputs[0]}
    momenta = [each["momentum_buffer"] for each in loop.optimizer.state.values()]
    draws = (random.random(), float(np.random.rand()), float(torch.rand(())))
    return state, momenta, draws, loop.optimizer.param_groups[0].keys(), loop


def test_not_a_bit_of_a_training_changes(tmp_path: Path) -> None:
    """Weights, statistics, momenta, generators and the optimizer's options are the same."""
    state, momenta, draws, keys, _ = train(to=None)
    seen = train(to=tmp_path)
    assert state.keys() == seen[0].keys()
    assert all(torch.equal(state[name], seen[0][name]) for name in state)
    assert all(torch.equal(a, b) for a, b in zip(momenta, seen[1], strict=True))
    assert draws == seen[2]
    assert keys == seen[3]


def hooks_of(loop: Loop) -> dict[str, int]:
    """The hooks on a loop's parts, by where they are."""
    modules = [*loop.model.modules(), loop.criterion]
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    found = {name: sum(len(getattr(m, name)) for m in modules) for name in names}
    for name in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
        found[name] = len(getattr(loop.optimizer, name))
    found["parameters"] = sum(
        len(each._backward_hooks or ()) + len(getattr(each, "_post_accumulate_grad_hooks", 0) or ())
        for each in loop.model.parameters()
    )
    found["scaler"] = 0 if loop.scaler is None else int("unscale_" in vars(loop.scaler))
    return found


@pytest.mark.parametrize("how", ["close", "leave", "error"])
def test_every_hook_is_gone_afterwards(tmp_path: Path, how: str) -> None:
    """By `close`, at the end of the block, and where an exception leaves it."""
    loop = Loop(loader=make_loader(64))
    loop.scaler = torch.amp.GradScaler("cpu")
    before = hooks_of(loop)
    watch = expkit.watch(
        loop.model, loop.optimizer, loop.criterion, scaler=loop.scaler, to=tmp_path, plots=False
    )
    loop.train_epoch()
    assert hooks_of(loop) != before
    if how == "close":
        watch.close()
    elif how == "leave":
        with watch:
            pass
    else:
        with pytest.raises(ZeroDivisionError), watch:
            raise ZeroDivisionError
    assert hooks_of(loop) == before
    loop.train_epoch()
    assert all(not each._backward_hooks for each in loop.model.parameters())


def test_a_model_may_be_watched_again_once_it_is_not_any_more(tmp_path: Path) -> None:
    loop = Loop(loader=make_loader(64))
    for _ in range(2):
        watch = expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False)
        loop.train_epoch()
        watch.close()
    assert len(list(tmp_path.iterdir())) == 2


def test_copies_of_a_watched_model_are_not_watched(tmp_path: Path) -> None:
    """An average of weights, a pickle and a checkpoint carry no hook of ours."""
    loop = Loop(loader=make_loader(64))
    with expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False) as it:
        loop.train_epoch()
        twin = copy.deepcopy(loop.model)
        again = pickle.loads(pickle.dumps(loop.model))
        torch.save(loop.model.state_dict(), io.BytesIO())
        it.epoch()
        for model in (twin, again):
            model(loop.val[0])
        assert it._observer.epoch.started is None, "nothing of the copies is seen"


def test_a_fault_of_the_watching_ends_it_and_not_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and leaves no hook."""
    from expkit.watching.epoch_stats import EpochStats

    loop = Loop(loader=make_loader(64))
    before = hooks_of(loop)

    def fail(*_: Any) -> None:
        raise RuntimeError("made up")

    monkeypatch.setattr(EpochStats, "see_inputs", fail)
    with expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False) as it:
        loop.train_epoch()
        it.epoch(*loop.evaluate())
    assert isinstance(it.failure, RuntimeError)
    assert "expkit.watch has stopped watching: RuntimeError: made up" in capsys.readouterr().err
    assert hooks_of(loop) == before
