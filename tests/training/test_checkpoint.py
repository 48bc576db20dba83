"""Checkpoints: training goes on from one to the very bits, and reading one runs nothing."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from expkit.data.store.normalizer import fit_normalizer
from expkit.data.store.split import Split
from expkit.errors import UserError
from expkit.losses.adaptive_focal import AdaptiveFocal
from expkit.models.conv import ConvNet
from expkit.optim.schedule import Cosine
from expkit.records.run.checkpoint_digests import FILE as DIGESTS
from expkit.training import checkpoint as checkpoint_module
from expkit.training.checkpoint import (
    load_learner,
    load_weights,
    read_metadata,
    save_learner,
    save_weights,
)
from expkit.training.device import Device, Precision
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan, score, train_epochs
from expkit.training.seeding import seed_everything

MakeOptimizer = Callable[..., torch.optim.Optimizer]
OPTIMIZERS: dict[str, MakeOptimizer] = {
    "adam": partial(torch.optim.Adam, lr=0.01, fused=True),
    "adam_plain": partial(torch.optim.Adam, lr=0.01, amsgrad=True),
    "adamw": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1, fused=True),
    "sgd_momentum": partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True, fused=True),
    "sgd": partial(torch.optim.SGD, lr=0.05),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def some_split() -> Split:
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (13, 8, 8, 3), generator=draws, dtype=torch.uint8)
    normalizer = fit_normalizer(images, "dataset")
    targets = torch.arange(13) % 5
    return Split("train", images, targets, [""] * 13, list("abcde"), normalizer)


def new_learner(
    seed: int,
    make_optimizer: MakeOptimizer = OPTIMIZERS["adam"],
    *,
    precision: Precision = "fp32",
    **options: Any,
) -> Learner:
    """A net with all that holds state: convolutions channels last, running statistics, dropout."""
    device = Device(torch.device("cpu"), precision, channels_last=True, compile=False, reason="")
    seed_everything(seed, "model")
    given = {"norm": "batch", "dropout": 0.3, **options}
    model = device.place(ConvNet((4, 6), image_shape=(3, 8, 8), num_outputs=5, **given))
    optimizer = make_optimizer(model.parameters())
    return Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=Cosine().scale)


def train(learner: Learner, first: int, last: int) -> list[Epoch]:
    """Epochs first to last of 6."""
    epochs = train_epochs(
        learner, EpochPlan(some_split(), batch_size=4, max_epochs=6, seed=1), first
    )
    return [next(epochs) for _ in range(first, last + 1)]


def same_bits(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_to_the_very_bits(tmp_path: Path, name: str) -> None:
    """Three epochs, saved, and three more in a fresh learner are six in one, bit for bit."""
    path = tmp_path / "checkpoints" / "last.safetensors"
    whole = new_learner(0, OPTIMIZERS[name])
    figures = [epoch.metrics for epoch in train(whole, 1, 6)]

    first = new_learner(0, OPTIMIZERS[name])
    train(first, 1, 3)
    save_learner(path, first, {"epoch": 3})
    second = new_learner(99, OPTIMIZERS[name])
    torch.rand(5)  # another process has drawn other things
    assert load_learner(path, second)["epoch"] == 3
    resumed = [epoch.metrics for epoch in train(second, 4, 6)]

    assert resumed == figures[3:]
    assert same_bits(second.model.state_dict(), whole.model.state_dict())
    assert not same_bits(first.model.state_dict(), whole.model.state_dict())


def adaptive_learner(seed: int) -> Learner:
    learner = new_learner(seed)
    learner.loss = AdaptiveFocal(memory=20.0).build([3, 3, 3, 2, 2])
    return learner


def test_class_weights_that_follow_the_training_go_on_to_the_very_bits(tmp_path: Path) -> None:
    """They are state of the loss: with evaluations between, six epochs in one or in two parts."""
    path = tmp_path / "last.safetensors"

    def train_and_score(learner: Learner, first: int, last: int) -> list[dict[str, float]]:
        found = []
        for number in range(first, last + 1):
            (epoch,) = train(learner, number, number)
            held_out = score(learner, some_split(), 5).means()
            found.append({**epoch.metrics, "val": held_out["loss"]})
        return found

    whole, first, second = adaptive_learner(0), adaptive_learner(0), adaptive_learner(9)
    figures = train_and_score(whole, 1, 6)
    train_and_score(first, 1, 3)
    save_learner(path, first, {"epoch": 3})
    load_learner(path, second)
    assert train_and_score(second, 4, 6) == figures[3:]
    assert same_bits(second.loss.state_dict(), whole.loss.state_dict())
    assert not same_bits(second.loss.state_dict(), first.loss.state_dict())
    without = adaptive_learner(0)
    assert [epoch.metrics for epoch in train(without, 1, 6)] == [
        {k: v for k, v in each.items() if k != "val"} for each in figures
    ]


def test_state_of_the_loss_is_no_weight_of_the_model(tmp_path: Path) -> None:
    """The model alone is loaded beside it, and a checkpoint from before losses had state serves."""
    path, learner = tmp_path / "last.safetensors", adaptive_learner(0)
    train(learner, 1, 1)
    save_learner(path, learner, {"epoch": 1})
    names = {name for name in load_file(path) if name.startswith("loss:")}
    assert names == {"loss:of_samples", "loss:of_predictions", "loss:of_right"}
    load_weights(path, new_learner(1).model)
    older = new_learner(0)
    older.loss = nn.CrossEntropyLoss(torch.ones(5))
    save_learner(path, older, {"epoch": 1})
    assert not any(name.startswith("loss:") for name in load_file(path))  # the config's weights
    fresh = adaptive_learner(1)
    load_learner(path, fresh)
    assert fresh.loss.weight.tolist() == pytest.approx([1.0] * 5)


def test_saving_does_not_disturb_the_training(tmp_path: Path) -> None:
    """The learner that was saved goes on as if nothing had happened."""
    whole, saved = new_learner(0), new_learner(0)
    train(whole, 1, 4)
    train(saved, 1, 2)
    save_learner(tmp_path / "last", saved, {"epoch": 1})
    train(saved, 3, 4)
    assert same_bits(saved.model.state_dict(), whole.model.state_dict())


def test_loaded_state_lies_in_memory_as_the_weights_do(tmp_path: Path) -> None:
    """Fused optimizers walk both side by side: other strides would be read crosswise."""
    first, second = new_learner(0), new_learner(1)
    train(first, 1, 1)
    save_learner(tmp_path / "last", first, {"epoch": 1})
    load_learner(tmp_path / "last", second)
    for parameter in second.model.parameters():
        state = second.optimizer.state[parameter]
        assert state["exp_avg"].stride() == parameter.stride()
        assert torch.equal(state["exp_avg_sq"], _twin(first, second, parameter)["exp_avg_sq"])


def _twin(first: Learner, second: Learner, parameter: Tensor) -> dict[str, Tensor]:
    """The state in `first` of the parameter that stands where this one does in `second`."""
    index = next(i for i, p in enumerate(second.model.parameters()) if p is parameter)
    state: dict[str, Tensor] = first.optimizer.state[list(first.model.parameters())[index]]
    return state


def test_scale_of_fp16_gradients_comes_back(tmp_path: Path) -> None:
    """The scaler has found its scale over many steps, and does not search again."""
    first, second = new_learner(0, precision="fp16"), new_learner(0, precision="fp16")
    first.scaler.scale(torch.zeros(()))
    first.scaler.update(256.0)
    save_learner(tmp_path / "last", first, {"epoch": 1})
    load_learner(tmp_path / "last", second)
    assert second.scaler.state_dict() == first.scaler.state_dict()
    assert second.scaler.state_dict()["scale"] == 256


def test_file_is_safetensors(tmp_path: Path) -> None:
    """A length, a JSON header and raw numbers: any reader of the format opens it, by hand too."""
    learner, path = new_learner(0), tmp_path / "last.safetensors"
    train(learner, 1, 1)
    save_learner(path, learner, {"stage": "train", "epoch": 1})
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    facts = json.loads(header.pop("__metadata__")["facts"])
    assert (facts["stage"], facts["epoch"]) == ("train", 1)
    end = max(entry["data_offsets"][1] for entry in header.values())
    assert len(content) == 8 + length + end
    for name, value in learner.model.state_dict().items():
        assert torch.equal(load_file(path)[name], value)


def test_reading_unpickles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pickle nor torch.load is called on a stranger's file."""
    learner, path = new_learner(0), tmp_path / "last.safetensors"
    train(learner, 1, 1)
    save_learner(path, learner, {"epoch": 1})

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("unpickled")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(module, name, refuse)
    loaded = new_learner(1)
    load_learner(path, loaded)
    for ours, theirs in zip(loaded.model.parameters(), learner.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_weights_alone_are_the_models_state(tmp_path: Path) -> None:
    """`best` holds the model's own names and nothing else, for whoever serves it."""
    learner, path = new_learner(0), tmp_path / "best.safetensors"
    train(learner, 1, 1)
    save_weights(path, learner.model, {"epoch": 1})
    assert same_bits(load_file(path), learner.model.state_dict())
    other = new_learner(1).model
    other.load_state_dict(load_file(path))
    assert same_bits(other.state_dict(), learner.model.state_dict())


@pytest.mark.parametrize("kind", ["weights", "learner"])
def test_weights_load_from_either_kind(tmp_path: Path, kind: str) -> None:
    """From `best` or from `last`, with the facts."""
    learner, other = new_learner(0), new_learner(1).model
    train(learner, 1, 1)
    if kind == "weights":
        save_weights(tmp_path / "file", learner.model, {"epoch": 7})
    else:
        save_learner(tmp_path / "file", learner, {"epoch": 7})
    assert read_metadata(tmp_path / "file")["epoch"] == 7
    assert load_weights(tmp_path / "file", other)["epoch"] == 7
    assert same_bits(other.state_dict(), learner.model.state_dict())


def pickled() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\xff" * 4, b"\xff" * 100, pickled(), struct.pack("<Q", 2) + b"{]", "truncated"],
    ids=["missing", "empty", "short", "noise", "pickle", "header", "truncated"],
)
@pytest.mark.parametrize("read", [read_metadata, load_weights, load_learner])
def test_corrupt_file_is_a_users_error(
    tmp_path: Path, content: bytes | str | None, read: Callable[..., object]
) -> None:
    """Whatever is wrong with it, the file is named and there is no traceback."""
    learner, path = new_learner(0), tmp_path / "last.safetensors"
    if content == "truncated":
        save_learner(path, learner, {"epoch": 1})
        path.write_bytes(path.read_bytes()[:-10])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    target = {read_metadata: (), load_weights: (learner.model,), load_learner: (learner,)}[read]
    (tmp_path / DIGESTS).unlink(missing_ok=True)  # from before there were digests
    with pytest.raises(UserError, match="the checkpoint cannot be read") as caught:
        read(path, *target)
    assert caught.value.details["where"] == str(path)


def test_safetensors_of_others_are_a_users_error(tmp_path: Path) -> None:
    """A sound file without our facts is no checkpoint of ours."""
    save_file({"a": torch.zeros(1)}, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be read"):
        read_metadata(tmp_path / "file")


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    """The file and what does not fit are named."""
    save_weights(tmp_path / "best.safetensors", new_learner(0).model, {"epoch": 1})
    with pytest.raises(UserError, match="do not fit the model") as caught:
        load_weights(tmp_path / "best.safetensors", new_learner(0, hidden=(3,)).model)
    assert "'best.safetensors'" in caught.value.what
    assert "head." in (caught.value.details["where"] or "")


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (SafetensorError("No space left on device (os error 28)"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full", "interrupted"],
)
def test_failed_save_leaves_the_old_checkpoint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    """Half of the new file is removed, and the old one is still good."""
    path = tmp_path / "last.safetensors"
    save_learner(path, new_learner(0), {"epoch": 1})

    def write_half(tensors: object, aside: Path, **options: object) -> None:
        aside.write_bytes(b"half")
        raise failure

    monkeypatch.setattr(checkpoint_module, "save_file", write_half)
    with pytest.raises(raised):
        save_learner(path, new_learner(0), {"epoch": 2})
    assert {each.name for each in tmp_path.iterdir()} == {path.name, DIGESTS}
    assert read_metadata(path)["epoch"] == 1
    load_learner(path, new_learner(1))


def test_saved_file_is_readable_by_others(tmp_path: Path) -> None:
    """Not with the mode of a temporary file, and nothing lies beside it."""
    save_weights(tmp_path / "checkpoints" / "best", new_learner(0).model, {"epoch": 1})
    path, _ = sorted((tmp_path / "checkpoints").iterdir())
    assert path.name == "best"
    assert path.stat().st_mode & 0o777 == 0o644


def flip_bit(path: Path, place: int = -3) -> None:
    """Of a weight, near the end of the file: nothing that reads the format can tell."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_a_flipped_bit_is_told_from_what_was_written(tmp_path: Path, name: str) -> None:
    """The file is named, and the other epoch's weights are offered, which load in its place."""
    learner = new_learner(0)
    train(learner, 1, 1)
    save_weights(tmp_path / "best.safetensors", learner.model, {"epoch": 1})
    save_learner(tmp_path / "last.safetensors", learner, {"epoch": 1})
    path = tmp_path / name
    load_weights(path, new_learner(1).model)
    flip_bit(path)
    with pytest.raises(UserError, match="is not what was written") as caught:
        load_weights(path, new_learner(1).model)
    assert caught.value.details["where"] == str(path)
    other = "best" if name.startswith("last") else "last"
    advice = (caught.value.details["do"] or "").splitlines()[-1]
    assert advice == f"cp {other}.safetensors {name}"
    path.write_bytes((tmp_path / f"{other}.safetensors").read_bytes())
    assert load_weights(path, new_learner(1).model)["epoch"] == 1


def test_training_does_not_go_on_from_a_flipped_bit(tmp_path: Path) -> None:
    """Its stage may begin anew, without the checkpoint."""
    path = tmp_path / "run" / "checkpoints" / "train" / "last.safetensors"
    save_learner(path, new_learner(0), {"epoch": 1})
    flip_bit(path)
    with pytest.raises(UserError, match="is not what was written") as caught:
        load_learner(path, new_learner(0))
    assert f"expkit resume {tmp_path / 'run'}" in (caught.value.details["do"] or "")


def test_two_damaged_checkpoints_offer_neither(tmp_path: Path) -> None:
    """What is no better is no advice."""
    for name in ("best", "last"):
        save_weights(tmp_path / f"{name}.safetensors", new_learner(0).model, {"epoch": 1})
        flip_bit(tmp_path / f"{name}.safetensors")
    with pytest.raises(UserError) as caught:
        load_weights(tmp_path / "best.safetensors", new_learner(0).model)
    assert caught.value.details["do"] == "bring it back from a copy"


def test_a_kill_between_digest_and_checkpoint_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file is still there, and still known."""
    path = tmp_path / "last.safetensors"
    save_learner(path, new_learner(0), {"epoch": 1})

    def kill(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            save_learner(path, new_learner(5), {"epoch": 2})
    assert len((tmp_path / DIGESTS).read_text().splitlines()) == 2
    assert load_learner(path, new_learner(1))["epoch"] == 1


def test_checkpoints_from_before_there_were_digests_load(tmp_path: Path) -> None:
    """Nothing was recorded of them that they could differ from; nor of a file of another name."""
    save_weights(tmp_path / "best.safetensors", new_learner(0).model, {"epoch": 3})
    (tmp_path / DIGESTS).unlink()
    assert load_weights(tmp_path / "best.safetensors", new_learner(1).model)["epoch"] == 3
    save_weights(tmp_path / "last.safetensors", new_learner(0).model, {"epoch": 4})
    assert load_weights(tmp_path / "best.safetensors", new_learner(1).model)["epoch"] == 3


def test_the_recorded_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    """Anybody can check a checkpoint without expkit."""
    path = tmp_path / "best.safetensors"
    save_weights(path, new_learner(0).model, {"epoch": 1})
    (line,) = (tmp_path / DIGESTS).read_text().splitlines()
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert json.loads(line) == {"file": "best.safetensors", "sha256": expected}


def test_weights_where_a_learner_is_needed(tmp_path: Path) -> None:
    """`best` in the place of `last` is told as such."""
    save_weights(tmp_path / "last", new_learner(0).model, {"epoch": 1})
    with pytest.raises(UserError):
        load_learner(tmp_path / "last", new_learner(0))
