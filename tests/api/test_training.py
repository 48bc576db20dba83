"""`expkit.train`: the command's run in somebody else's process, which stays as it was."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from running_expkit import TINY, TINY_GATES, Expkit

import expkit

FULL = (*TINY, "procedure=full")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> Path:
    """An empty working directory; runs in it have no plots."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state() -> dict[str, Any]:
    """What a whole process shares."""
    return {
        "argv": list(sys.argv),
        "path": list(sys.path),
        "folder": Path.cwd(),
        "signals": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)],
        "environ": dict(os.environ),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "warnings": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr),
        "collector": gc.isenabled(),
        "threads": torch.get_num_threads(),
        "determinism": torch.get_deterministic_debug_mode(),
        "type": torch.get_default_dtype(),
        "generator": torch.get_rng_state().tolist(),
        "gradients": torch.is_grad_enabled(),
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg),
        "plugins": dict(Plugins.instance().class_name_to_class),
        "choices": str(ConfigStore.instance().repo),
    }


def test_the_run_is_the_commands(here: Path, run_here: Expkit) -> None:
    """The same numbers to the last bit, config and recorded command; it is returned, finished."""
    run = expkit.train(*FULL)
    assert run.passed
    assert run.status == "finished"
    assert run_here("train", *FULL).code == 0
    ours, theirs = (expkit.Run(each) for each in sorted(here.glob("outputs/2*")))
    assert ours == run
    assert ours.config == theirs.config
    timed = ["seconds", "samples_per_second", "wall_seconds", "at"]
    assert ours.history.drop(columns=timed).equals(theirs.history.drop(columns=timed))
    assert ours.predictions().equals(theirs.predictions())
    commands = [expkit.load_run(each)._records.environment["command"] for each in (ours, theirs)]
    assert commands[0] == commands[1] == ["expkit", "train", *FULL]


def test_the_process_stays_as_it_was(here: Path) -> None:
    """After a run, and after a refusal, whose every setting was another than a run's."""
    expkit.train(*FULL)  # what libraries set when they are imported is theirs
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    threads = torch.get_num_threads()
    gc.disable()
    try:
        torch.set_num_threads(2)
        before = state()
        with torch.no_grad():
            run = expkit.train(*FULL)
        after_run = state()
        with pytest.raises(expkit.UserError):
            expkit.train("model=simple_con")
        after_refusal = state()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
        gc.enable()
    assert after_run == before
    assert after_refusal == before
    assert run.history["train/loss"].iloc[-1] < run.history["train/loss"].iloc[0], "it learnt"


def test_an_app_of_hydra_around_it_goes_on(here: Path) -> None:
    """Its config, its plugins and what it composes afterwards are its own."""
    (here / "app").mkdir()
    (here / "app" / "main.yaml").write_text("size: 3\n")
    with hydra.initialize_config_dir(str(here / "app"), version_base="1.3"):
        before = state()
        expkit.train(*FULL)
        assert state()["hydra"] == before["hydra"]
        assert state()["plugins"] == before["plugins"]
        assert hydra.compose("main", overrides=["size=4"]).size == 4
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    ("words", "what", "advice"),
    [
        (["optimizer.lrr=1"], "there is no key 'optimizer.lrr'", 'expkit.train("optimizer.lr=1")'),
        (["model=simple_con"], "no model called 'simple_con'", 'expkit.train("model=simple_conv")'),
        (["-m", "seed=0,1"], "this word asks for a sweep", "expkit train -m seed=0,1"),
        (["seed=0,1"], "gives several values", "expkit train -m seed=0,1   (a job for each)"),
        (["--cfg", "job"], "'--cfg' is a flag", "expkit train --help   (in a terminal)"),
        ([7], "this is a int: 7", None),
        (["optimizer.lr=-1"], "optimizer.lr cannot be -1", None),
    ],
)
def test_a_wrong_word_is_one_error(
    words: list[Any], what: str, advice: str | None, here: Path
) -> None:
    """With the command's screen for its text, no cause behind it, and no folder left."""
    with pytest.raises(expkit.UserError, match=what) as caught:
        expkit.train(*words)
    error = caught.value
    assert error.details["do"] == advice
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert len(list(caught.traceback)) == 2, "the caller's line, and where it is raised"
    assert list(here.iterdir()) == []


def test_the_advice_is_taken(here: Path) -> None:
    """What a refusal proposes is a call that runs."""
    with pytest.raises(expkit.UserError) as caught:
        expkit.train(*FULL, "optimizer.lrr=0.01")
    (call,) = str(caught.value.details["do"]).splitlines()
    run = eval(call, {"expkit": expkit})
    assert run.config["optimizer"]["lr"] == 0.01


def test_a_failed_gate_is_no_exception(here: Path) -> None:
    run = expkit.train(*TINY_GATES, "procedure=overfit", "procedure.overfit_1.max_steps=1")
    assert run.status == "failed"
    assert not run.passed
    with pytest.raises(expkit.UserError, match="overfit_1 failed"):
        run.predictions()


def after_an_epoch(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen once the second epoch is done."""
    from expkit.terminal.progress import Progress

    shown = Progress.epoch_done

    def epoch_done(self: Progress, record: dict[str, Any]) -> None:
        shown(self, record)
        if record["epoch"] == 2:
            act()

    monkeypatch.setattr(Progress, "epoch_done", epoch_done)


def test_an_interruption_leaves_a_run_that_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, run_here: Expkit
) -> None:
    """SIGINT as a notebook's kernel has it; resumed, it ends with the uninterrupted numbers."""
    whole = expkit.train(*FULL)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        after_an_epoch(patch, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            expkit.train(*FULL)
    assert signal.signal(signal.SIGINT, handler) is signal.default_int_handler
    cut = expkit.load_run()
    assert cut.status == "interrupted"
    assert run_here("resume", "last").code == 0
    assert cut.status == "finished"
    assert cut.predictions().equals(whole.predictions())


def test_it_trains_in_a_thread(here: Path) -> None:
    """Where no signal can be taken, as in a server of notebooks."""
    runs = []
    thread = threading.Thread(target=lambda: runs.append(expkit.train(*FULL)))
    thread.start()
    thread.join()
    assert runs[0].passed


def test_own_code_that_was_edited_is_imported_anew(here: Path) -> None:
    """A second call in the same process is of the new text, as its record says."""
    (here / "conf" / "model").mkdir(parents=True)
    choice = "_target_: edited_net.Net\n_partial_: true\n"
    (here / "conf" / "model" / "edited.yaml").write_text(choice)
    net = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, image_shape, num_outputs, width=WIDTH):
        channels, *_ = image_shape
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__(nn.Conv2d(channels, width, 3), *pool, nn.Linear(width, num_outputs))
"""
    sizes, codes = [], []
    for width in (4, 12):
        (here / "edited_net.py").write_text(net.replace("WIDTH", str(width)))
        run = expkit.train(*FULL, "model=edited")
        sizes.append(run.model()[0].out_channels)
        codes.append(run._records.environment["own_code"])
    assert sizes == [4, 12]
    assert codes[0] != codes[1]
