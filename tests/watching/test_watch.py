"""The face of expkit.watch: what it takes, what it refuses, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from watched_loops import NUM_CLASSES, Loop, make_loader, make_samples, watched

import expkit
from expkit.errors import UserError
from expkit.records.run.reader import Run


def short() -> Loop:
    return Loop(loader=make_loader(64))


def test_the_numbers_are_the_loops_own(tmp_path: Path) -> None:
    """Loss and accuracy by hand: the mean over batches of the model as it was at each."""
    loop, seen = short(), []
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.01)

    def body(watch: Any) -> None:
        loop.model.train()
        for images, targets in loop.loader:
            loop.optimizer.zero_grad()
            outputs = loop.model(images)
            loss = loop.criterion(outputs, targets)
            loss.backward()
            loop.optimizer.step()
            seen.append((loss.item(), int((outputs.argmax(1) == targets).sum())))
        watch.epoch(*loop.evaluate())

    run, _ = watched(loop, tmp_path, body)
    (record,) = run.history
    assert record["train/loss"] == pytest.approx(sum(loss for loss, _ in seen) / 4)
    assert record["train/accuracy"] == pytest.approx(sum(right for _, right in seen) / 64)
    outputs, targets = loop.evaluate()
    assert record["val/loss"] == pytest.approx(float(loop.criterion(outputs, targets)))
    assert record["step"] == 4
    val = run.predictions["val"]
    assert (val.targets == targets.numpy()).all()
    assert val.probabilities == pytest.approx(outputs.softmax(1).numpy(), abs=1e-5)  # type: ignore[union-attr]


def test_a_function_as_the_loss_is_handed_over(tmp_path: Path) -> None:
    """Before the backward pass, or after it: each batch counts once."""
    for is_early in (True, False):
        loop = short()
        loop.criterion = nn.functional.cross_entropy

        def body(watch: Any, loop: Loop = loop, is_early: bool = is_early) -> None:
            for images, targets in loop.loader:
                loop.optimizer.zero_grad()
                outputs = loop.model(images)
                loss = loop.criterion(outputs, targets)
                if is_early:
                    watch.step(loss, outputs, targets)
                loss.backward()
                if not is_early:
                    watch.step(loss, outputs, targets)
                loop.optimizer.step()
            watch.epoch()

        run, _ = watched(loop, tmp_path, body)
        (record,) = (each for each in run.signals if each["kind"] == "loop")
        assert (record["batches"], record["samples"]) == (4, 64)
        assert record["loss_factors"] == ([1.0, 1.0] if is_early else None)


def test_a_loop_that_never_ends_an_epoch(tmp_path: Path) -> None:
    """All of it stands as one."""
    loop = short()
    run, _ = watched(loop, tmp_path, lambda _: [loop.train_epoch() for _ in range(2)])
    (record,) = run.history
    assert record["step"] == 8
    assert run.status == "finished"


def test_a_test_split_and_criteria(tmp_path: Path) -> None:
    loop = short()

    def body(watch: Any) -> None:
        loop.run(watch, epochs=1)
        watch.evaluate(*loop.evaluate())

    run, _ = watched(loop, tmp_path, body, criteria={"accuracy": "> 0.99"})
    assert run.dataset.judged_split == "test"
    assert run.summary is not None
    assert [each["met"] for each in run.summary["criteria"]] == [False]


def test_an_interrupted_loop(tmp_path: Path) -> None:
    """Ctrl-C: what was seen is kept, and the run says that it was cut off."""
    loop = short()
    watch = expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False)
    loop.train_epoch()
    with pytest.raises(KeyboardInterrupt), watch:
        raise KeyboardInterrupt
    assert watch.path is not None
    run = Run(watch.path)
    assert run.status == "interrupted"
    assert len(run.history) == 1


def test_a_loop_that_raises(tmp_path: Path) -> None:
    """Its own error comes through, and the run failed by it."""
    loop = short()
    watch = expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False)
    loop.train_epoch()
    with pytest.raises(ZeroDivisionError), watch:
        raise ZeroDivisionError("by \x1b[31mme")
    assert watch.path is not None
    (result,) = Run(watch.path).stages
    assert not result.passed
    assert "ZeroDivisionError: by" in result.reason
    assert "\x1b" not in result.reason


def test_a_loop_of_no_step_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = short()
    with expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()
    assert "saw no step" in capsys.readouterr().out


class Holder:
    """Not a module."""


LAZY = nn.Sequential(nn.LazyLinear(4))
PLAIN = nn.Linear(2, 2)
SGD = torch.optim.SGD(PLAIN.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ((Holder(), SGD), {}, "the model is Holder"),
        ((PLAIN, PLAIN), {}, "the optimizer is Linear"),
        ((PLAIN, []), {}, "the optimizer is nothing"),
        ((nn.Linear(2, 2), SGD), {}, "moves none of this model's parameters"),
        ((PLAIN, SGD, 3), {}, "the loss is int"),
        ((nn.DataParallel(PLAIN), SGD), {}, "a DataParallel cannot be watched"),
        ((torch.compile(PLAIN), SGD), {}, "a OptimizedModule cannot be watched"),
        ((LAZY, SGD), {}, "lazy layers"),
        ((PLAIN, SGD), {"scheduler": 3}, "the scheduler is int"),
        ((PLAIN, SGD), {"scaler": 3}, "the scaler is int"),
        ((PLAIN, SGD), {"name": "a/b"}, "cannot be called 'a/b'"),
        ((PLAIN, SGD), {"criteria": {"accuracy": "good"}}, "good"),
        ((PLAIN, SGD), {"to": "/dev/null/out"}, "cannot write"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    given: Any, options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """At once, and no hook is set."""
    with pytest.raises(UserError) as caught:
        expkit.watch(*given, **{"to": tmp_path, **options})
    assert words in caught.value.screen()
    assert not PLAIN._forward_hooks
    assert list(tmp_path.iterdir()) == []


def test_a_second_watch_on_the_same_model(tmp_path: Path) -> None:
    loop = short()
    with (
        expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path),
        pytest.raises(UserError, match="watched already"),
    ):
        expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda w, o, t: w.epoch(o), "both are needed"),
        (lambda w, o, t: w.epoch(o[:3], t), "do not fit"),
        (lambda w, o, t: w.epoch(o[:, :2], t), "do not fit"),
        (lambda w, o, t: w.epoch(o, t + 1), "none of the 4 classes"),
        (lambda w, o, t: w.epoch("outputs", t), "outputs are str"),
        (lambda w, o, t: w.step(1.0, o, t), "which are tensors"),
        (lambda w, o, t: w.step(o.mean(), o[:3], t), "do not fit"),
        (lambda w, o, t: w.evaluate(o, t, split="train"), "no held-out split 'train'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, call: Any, words: str) -> None:
    """One readable error where it is handed over; the loop can go on by what it says."""
    loop = short()
    with expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False) as it:
        loop.train_epoch()
        with pytest.raises(UserError) as caught:
            call(it, *loop.evaluate())
        assert words in caught.value.screen()
        it.epoch(*loop.evaluate())
    assert it.path is not None
    assert len(Run(it.path).history) == 1


def test_an_epoch_of_which_nothing_was_seen(tmp_path: Path) -> None:
    """A function as the loss that is not handed over; and an epoch that ends twice."""
    loop = short()
    with expkit.watch(loop.model, loop.optimizer, to=tmp_path) as it:
        loop.train_epoch()
        with pytest.raises(UserError, match="4 steps of the optimizer and no loss"):
            it.epoch()
    with expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path, plots=False) as it:
        loop.train_epoch()
        it.epoch()
        with pytest.raises(UserError, match="no step was seen"):
            it.epoch()
    with pytest.raises(UserError, match="is closed"):
        it.epoch()


def test_outputs_that_no_metric_is_of(tmp_path: Path) -> None:
    """A map of classes for each image is refused at the first batch."""
    images, targets = make_samples(64, seed=1)
    maps = targets[:, None, None].expand(-1, 8, 8)
    loop = Loop(
        model=nn.Conv2d(3, NUM_CLASSES, 1),
        loader=[(images, maps)],
    )
    with (
        expkit.watch(loop.model, loop.optimizer, loop.criterion, to=tmp_path),
        pytest.raises(UserError, match="are none that"),
    ):
        loop.train_epoch()


def test_names_of_classes_come_from_the_data(tmp_path: Path) -> None:
    loop = short()
    loop.loader.dataset.classes = ["a", "b", "c", "d"]
    run, _ = watched(loop, tmp_path)
    assert run.dataset.class_names == ("a", "b", "c", "d")
    assert run.dataset.splits["train"].class_counts == (16,) * 4
    assert run.dataset.splits["train"].fingerprint is None, "nobody looked at the bytes"


def test_steps_without_an_end_are_cut_into_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What waits on the device is bounded."""
    monkeypatch.setattr("expkit.watching.epoch_stats.MOST_STEPS", 5)
    loop = Loop()
    run, _ = watched(loop, tmp_path, lambda _: [loop.train_epoch() for _ in range(2)])
    assert [record["step"] for record in run.history] == [5, 10, 15, 20]
    assert "they end an epoch" in capsys.readouterr().out


def test_a_loop_that_diverges_is_recorded_and_said_so(tmp_path: Path) -> None:
    """Losses that are no numbers end nothing."""
    loop = Loop(make_optimizer=lambda p: torch.optim.SGD(p, lr=1e6))
    run, findings = watched(loop, tmp_path)
    assert len(run.history) == 3
    assert any(each.severity == "fatal" for each in findings)


def test_numbers_to_predict(tmp_path: Path) -> None:
    """Outputs of one number a sample, and of two."""
    for count in (1, 2):
        images, targets = make_samples(64, seed=1)
        values = targets[:, None].float().expand(-1, count).contiguous()
        torch.manual_seed(0)
        loop = Loop(
            model=nn.Sequential(nn.Flatten(), nn.Linear(192, count)),
            criterion=nn.MSELoss(),
            loader=[(images, values)] * 4,
        )
        loop.val = (images, values)
        run, _ = watched(loop, tmp_path)
        assert run.dataset.task == "regression"
        assert run.dataset.num_outputs == count
        assert run.summary is not None
        assert run.summary["metrics"]["val"]["rmse"] == pytest.approx(
            run.history[-1]["val/loss"] ** 0.5, rel=1e-4
        )


def test_one_logit_a_sample(tmp_path: Path) -> None:
    """Two classes: probability and accuracy are those of the sigmoid."""
    images, targets = make_samples(64, seed=1)
    labels = (targets % 2).float()
    torch.manual_seed(0)
    loop = Loop(
        model=nn.Sequential(nn.Flatten(), nn.Linear(192, 1), nn.Flatten(0)),
        criterion=nn.BCEWithLogitsLoss(),
        loader=[(images, labels)] * 4,
    )
    loop.val = (images, labels)
    run, _ = watched(loop, tmp_path)
    outputs, _ = loop.evaluate()
    val = run.predictions["val"]
    assert val.probabilities[:, 1] == pytest.approx(outputs.sigmoid().numpy(), abs=1e-5)  # type: ignore[union-attr]
    right = float(((outputs > 0) == (labels > 0)).float().mean())
    assert run.history[-1]["val/accuracy"] == pytest.approx(right)
