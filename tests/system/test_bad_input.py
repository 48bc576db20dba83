"""Wrong requests: one screen, exit code 2, no traceback, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from running_expkit import TINY, TINY_GATES, Done, Expkit, only_run

# what was typed, and what the answer must hold: what is wrong, and what was meant or is allowed
BEFORE_TORCH = [
    (("train", "-m", "model=glob(zz*)"), "no model is meant by it", "simple_conv"),
    (("train", "-m", "seed=glob(*)"), "'seed' is none", "expkit train -m seed=VALUE,VALUE"),
    (
        ("train", "-m", "seed=1,2", "sweep.objective=held_out/acuracy"),
        "no run measures 'held_out/acuracy'",
        "nearest  held_out/accuracy",
    ),
    (("train", "+hydra.callbacks.mine._target_=os.abort"), "Hydra's callbacks", "leave it out"),
    (("train", "+hydra={callbacks:{a:{_target_:os.abort}}}"), "Hydra's callbacks", "leave it out"),
    (("train", "+hydra.job_logging.handlers={}"), "Hydra's callbacks", "leave it out"),
    (("train", "hydra/hydra_logging=default"), "Hydra's callbacks", "leave it out"),
    (("train", "+model@hydra.callbacks.x=resnet18"), "Hydra's callbacks", "leave it out"),
    (("train", "+model._convert_=bogus"), "model._convert_ cannot be 'bogus'", "none, partial"),
    (("train", "model._partial_=2"), "model._partial_ cannot be 2", "true, false"),
    (("train", "~sweep.objective"), "'sweep.objective' cannot be left out", "objective=VALUE"),
    (("train", "-m", "seed=0,1", "~sweep"), "'sweep' cannot be left out", "leave the word out"),
    (("train", "-m", "seed=0,1", "~launcher"), "'launcher' cannot be left out", "launcher=VALUE"),
    (
        ("train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trails=3", "seed=range(3)"),
        "there is no key 'hydra.sweeper.n_trails'",
        "nearest  hydra.sweeper.n_trials",
    ),
    (
        ("train", "-m", "hydra/sweeper=optuna", "hydra/sweeper/sampler=tpee", "seed=range(3)"),
        "there is no hydra/sweeper/sampler called 'tpee'",
        "nearest  tpe",
    ),
    (
        ("train", "-m", "hydra/sweeper=optunna", "seed=range(3)"),
        "there is no hydra/sweeper called 'optunna'",
        "nearest  optuna",
    ),
    (("tarin",), "no command 'tarin'", "train"),
    (("list", "modle"), "no group 'modle'", "model"),
    (("train", "modle=simple_conv"), "no key 'modle'", "expkit train model=simple_conv"),
    (("train", "model=larger_bakbone"), "no model called", "expkit train model=larger_backbone"),
    (("train", "optimizer.lrr=1"), "no key 'optimizer.lrr'", "optimizer.lr"),
    (("train", "optimizer.amsgrad=true"), "no key", "expkit train +optimizer.amsgrad=true"),
    (("train", "optimizer.amsgrate=true"), "no key 'optimizer.amsgrate'", "optimizer"),
    (("train", "device.threads=0"), "device.threads cannot be 0", ">= 1"),
    (("train", "procedure.overfit_1.max_loss=0"), "max_loss cannot be 0", "a number > 0"),
    (("train", "augment.mixup_alpha=-1"), "augment.mixup_alpha cannot be -1", ">= 0"),
    (("train", "lr=0.1"), "no key 'lr'", "expkit train optimizer.lr=0.1"),
    (("train", "optimizer.lr=abc"), "optimizer.lr cannot be 'abc'", "a number"),
    (("train", "optimizer.lr=-1"), "optimizer.lr cannot be -1", "a number > 0"),
    (("train", "seed=x"), "seed cannot be 'x'", "a whole number >= 0"),
    (("train", "model.norm=bach"), "model.norm cannot be 'bach'", "none, batch, group"),
    (("train", "model.dropout=1.5"), "model.dropout cannot be 1.5", "< 1"),
    (("train", "model.widths=[]"), "model.widths cannot be []", "at least 1"),
    (("train", "procedure.train.max_epochs=-3"), "max_epochs cannot be -3", ">= 1"),
    (("train", "procedure.train.batch_size=0"), "batch_size cannot be 0", ">= 1"),
    (("train", "dataset.rows=0"), "dataset.rows cannot be 0", ">= 1"),
    (("train", "dataset.rows=1", "dataset.columns=1"), "needs two", "rows x columns >= 2"),
    (("train", "model._target_=expkit.models.conv.ConvNett"), "cannot be", "conv.ConvNet\n"),
    (("train", "+model.foo=1"), "no argument 'foo'", "widths"),
    (("train", "+foo=1"), "no setting 'foo'", "seed"),
    (("train", "model._target_=os.system"), "outside the known packages", "trust=[os]"),
    (("train", "model.widths=[1"), "cannot be read as an override", "key=value"),
    (("train", "criteria.accuracy=0.95"), "cannot be read", "> 0.95"),
    (("train", "+criteria.acuracy='> 0.5'"), "'acuracy' cannot be measured", "accuracy"),
    (("train", "reference={source: a log, figures: {accuracy: high}}"),
     "reference.figures cannot be", "numbers"),
    (("train", "+criteria.top5_accuracy='> 95'"), "no run meets 'top5_accuracy > 95'", "0.95"),
    (("train", "criteria.accuracy='>= 0'"), "every run meets", "between 0 and 1"),
    (("train", "augment=light", "augment.transforms.blur=gaussian_blur"), "no key",
     "+transform@augment.transforms.blur=CHOICE"),
    (("train", "model=resnet18", "model.options={drop_path_rate: 0.1}"), "has no 'drop_path_rate'",
     "'+model.options={drop_path_rate: 0.1}'"),
    (("train", "model=timm", "model.name=resnet81"), "timm has no model", "resnet18"),
    (("train", "model=timm"), "model.name must be given", "model.name="),
    (("train", "dataset=image_folder"), "dataset.root must be given", "dataset.root="),
    (("train", "datset.rows=3"), "no key 'datset'", "expkit train dataset.rows=3"),
    (("train", "criteria=none", "criteria.accuracy=1"), "no key", "+criteria.accuracy=1"),
    (("train", "dataset.piece_size=100000"), "too large", "100,000,000"),
    (("train", "name=a/b"), "cannot end a folder's name", "without '/'"),
    (("train", "output_dir="), "output_dir cannot be", "text"),
    (("train", "=1"), "", "expkit train"),
    (("train", "loss=mse"), "the loss is for regression", "loss=cross_entropy"),
    (("train", "dataset.target=position"), "for classification", "loss=mse criteria=regression"),
    (("train", "dataset.image=nowhere.png"), "no file 'nowhere.png'", "dataset.image=FILE"),
    (("train", "dataset.image=."), "is a directory", "one image file"),
    (("train", "-m", "optimizer.lrr=1,2"), "no key", "expkit train -m optimizer.lr=1,2"),
    (("train", "-m", "seed=0,1", "sweep.objective=val/acuracy"), "no run measures", "val/accuracy"),
    (("train", "-m", "model=simple_conv,deep_haed"), "no model called 'deep_haed'", "deep_head"),
    (("train", "dataset=digits", "dataset.val_fraction=0.9", "dataset.test_fraction=0.2"),
     "the split train would be empty", "together less than 1"),
    (("train", "model=logo_vit", "model.heads=3"), "128 cannot be shared among 3", "width=129"),
    (("show", "nothing"), "no run 'nothing'", "expkit train"),
    (("resume", "nothing"), "no run 'nothing'", "expkit train"),
    (("resume", "."), "is no run folder", "a path"),
    (("plot", "last"), "no run 'last'", "expkit train"),
    (("completion", "bsh"), "no completion for 'bsh'", "bash"),
]  # fmt: skip

AFTER_TORCH = [
    (("+optimizer.foo=1",), "optimizer has no argument 'foo'", "betas"),
    (("optimizer.betas=[0.9]",), "optimizer.betas cannot be [0.9]", "a list of 2 numbers"),
    (("device=cuda",), "no cuda device", "device=cpu"),
    (("device=mps",), "no mps device", "device=cpu"),
    (("loss.class_weights=[1,2]",), "6 classes and 2 weights", "a number for each class"),
    (("procedure.train.monitor=acuracy",), "no epoch records the metric 'acuracy'", "accuracy"),
    (("~procedure.train", "~procedure.overfit_1"), "no trained weights", "procedure=standard"),
    (("schedule.warmup_epochs=50",), "the warm-up is as long as the training", "< 4"),
    (("optimizer._target_=torch.optim.SparseAdam", "~optimizer.weight_decay",
      "~optimizer.fused"), "a training step on 1 sample(s) fails", "EXPKIT_TRACEBACK=1"),
    (("dataset.piece_size=2", "model.norm=batch", "procedure.train.batch_size=1"),
     "a training step on 1 sample(s) fails", "procedure.train.batch_size"),
    (("dataset.target=position", "loss=mse", "criteria=regression", "model=logo_vit",
      "model.uncertainty=true"), "model with uncertainty is trained", "model.uncertainty=false"),
    (("model=logo_vit", "dataset.piece_size=20"), "20 x 20 pixels cannot be cut into patches of 8",
     "model.stem_strides=[2, 2, 1]"),
    (("loss.class_weights=[0,1,1,1,1,1]",), "loss.class_weights cannot be", "numbers > 0"),
    (("optimizer.betas=[2,0.9]",), "optimizer cannot be built", "beta"),
]  # fmt: skip


def check_screen(done: Done, *parts: str) -> None:
    """Exit code 2 and one screen that says all of this, and no traceback."""
    assert done.code == 2, done.out + done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("expkit: ")
    assert len(done.err.splitlines()) <= 24
    # a command stays in one piece, to be copied
    assert all(len(line) <= 100 or "expkit train" in line for line in done.err.splitlines())
    for part in parts:
        assert part in done.err


@pytest.mark.broad(14)
@pytest.mark.parametrize(("words", "what", "hint"), BEFORE_TORCH)
def test_wrong_words_are_refused_before_torch(
    words: tuple[str, ...], what: str, hint: str, run_without_torch: Expkit, tmp_path: Path
) -> None:
    """Each answer names the fault and the way out, where torch cannot be imported."""
    check_screen(run_without_torch(*words), what, hint)
    assert not list(tmp_path.glob("outputs/*"))


@pytest.mark.broad(4)
@pytest.mark.parametrize(("words", "what", "hint"), AFTER_TORCH)
def test_what_only_torch_can_tell_leaves_no_folder_either(
    words: tuple[str, ...], what: str, hint: str, run_here: Expkit, tmp_path: Path
) -> None:
    """The parts are built before the folder is made."""
    check_screen(
        run_here("train", *(TINY if "~" not in words[0] else TINY_GATES), *words), what, hint
    )
    assert not list(tmp_path.glob("outputs/*"))


def test_pictures_that_are_none(run_here: Expkit, tmp_path: Path) -> None:
    """Not an image, cut off in the middle, and smaller than its grid."""
    (tmp_path / "text.png").write_text("not an image")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(data[: len(data) // 2])
    Image.new("RGB", (2, 2)).save(tmp_path / "small.png")
    check_screen(run_here("train", "dataset.image=text.png"), "cannot be read as an image")
    check_screen(run_here("train", "dataset.image=half.png"), "cannot be read as an image")
    check_screen(
        run_here("train", "dataset.image=small.png"),
        "2 x 2 pixels, too few for 38 x 25 pieces",
        "dataset.rows=2 dataset.columns=2",
    )
    assert not list(tmp_path.glob("outputs/*"))


def test_a_model_that_does_not_fit_is_told_before_the_first_step(
    run_here: Expkit, tmp_path: Path
) -> None:
    """A module of the wrong output size is refused by its shape."""
    (tmp_path / "odd_net_for_expkit.py").write_text(
        "from torch import nn\n"
        "def make(*, image_shape, num_outputs):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(16 * 16 * 3, num_outputs + 1))\n"
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "odd.yaml").write_text(
        "# One output too many\n_target_: odd_net_for_expkit.make\n_partial_: true\n"
    )
    done = run_here("train", *TINY, "model=odd")
    check_screen(done, "the model returns shape (2, 7), and this dataset wants (2, 6)")


def test_a_folder_that_cannot_be_written(run_here: Expkit, tmp_path: Path) -> None:
    """Told at once, with the way out."""
    (tmp_path / "file").write_text("")
    check_screen(
        run_here("train", *TINY, "output_dir=file/inside"), "cannot write to", "output_dir="
    )


def test_a_disk_that_fills_up_loses_nothing(
    run_here: Expkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run stops with a screen, keeps its epochs, and goes on when there is space."""
    real_write = os.write

    def write(descriptor: int, data: bytes) -> int:
        if b'"stage": "train", "epoch": 3' in data:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    done = run_here("train", *TINY, "procedure=full")
    check_screen(done, "the disk is full", "expkit resume")
    monkeypatch.setattr(os, "write", real_write)
    assert run_here("resume", "last").code == 0
    history = (only_run(tmp_path) / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in history if '"train"' in line]
    assert epochs == [1, 2, 3, 4]


@pytest.mark.slow
def test_expkit_traceback_shows_where_an_error_arose(expkit: Expkit) -> None:
    """For developers, who set EXPKIT_TRACEBACK=1."""
    done = expkit("train", "seed=x", EXPKIT_TRACEBACK="1")
    assert "Traceback" in done.err
    assert "seed cannot be 'x'" in done.err


def test_streams_that_were_closed_are_given_to_what_is_started() -> None:
    """As from a scheduler without any: a sweep's jobs print, too, and would end at once."""
    code = (
        "import os, subprocess, sys; from expkit.cli import dispatch; dispatch(['--version']);"
        "look = 'import sys; sys.exit(0 if sys.stdout and sys.stdin else 3)';"
        "sys.exit(subprocess.run([sys.executable, '-c', look]).returncode)"
    )
    words = ["sh", "-c", 'exec "$@" <&- >&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(words, check=False).returncode == 0
