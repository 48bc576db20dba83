"""Starting from another run: what is taken, written down, refused, and needed later."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made_once import made_once
from PIL import Image
from running_expkit import Expkit, train_quietly
from safetensors.torch import load_file

from expkit.errors import UserError
from expkit.records.run.checkpoint_digests import digest_of
from expkit.records.run.reader import Run
from expkit.runner.stages import training
from expkit.runner.starting_weights import find_start

TINY_DIGITS = (
    "dataset=digits",
    "dataset.limit=8",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
    "procedure=full",
    "~procedure.evaluate",
    "procedure.train.max_epochs=2",
)


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Run:
    """A run of digits that pre-trains and then trains, as the only one in the test's folder."""

    def train(_: Path) -> None:
        train_quietly(
            *TINY_DIGITS[:5],
            "procedure=simclr",
            "~procedure.preflight",
            "procedure.pretrain.max_epochs=1",
            "+stage@procedure.train=train",
            "procedure.train.start_from=pretrain",
            "procedure.train.max_epochs=2",
            "name=source",
        )

    (made,) = made_once(tmp_path_factory, "source", train).glob("outputs/2*")
    return Run(shutil.copytree(made, tmp_path / "outputs" / made.name))


def weights(run: Path, stage: str, which: str = "best") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / stage / f"{which}.safetensors")


def made(folder: Path, name: str) -> Path:
    (run,) = folder.glob(f"outputs/*_{name}")
    return run


def test_a_trained_run_gives_head_and_backbone_and_is_written_down(
    run_here: Expkit, tmp_path: Path, source: Run
) -> None:
    """The same classes: all tensors are taken. `last` is a path in the config from then on."""
    done = run_here(
        "train",
        *TINY_DIGITS,
        "procedure.train.start_from_run=last",
        "name=next",
        "optimizer.lr=1e-9",
    )
    assert done.code == 0, done.err
    assert "6 tensors of the backbone taken, and those of the head" in " ".join(done.out.split())
    run = made(tmp_path, "next")
    before, after = weights(source.path, "train"), weights(run, "train")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert after[name].allclose(tensor, atol=1e-6), name
    stage = Run(run).config["procedure"]["train"]
    assert stage["start_from_run"] == str(source.path.resolve())
    assert Run(run).environment["started_from"]["train"] == {
        "run": source.name,
        "path": str(source.path.resolve()),
        "stage": "train",
        "epoch": source.stages[1].best_epoch,
        "sha256": digest_of(source.checkpoint("train", "best")),
    }


def grey_folder(folder: Path) -> None:
    """Two classes of grey images of 8 x 8, of another kind than digits."""
    draws = np.random.default_rng(0)
    for name, most in (("dark", 100), ("light", 256)):
        for number in range(20):
            path = folder / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draws.integers(0, most, (8, 8), np.uint8)).save(path)


def test_a_stage_of_another_run_gives_its_backbone_to_other_classes(
    run_here: Expkit, tmp_path: Path, source: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backbone is equal, the head as this run draws it; other preprocessing is said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    grey_folder(tmp_path / "images")
    words = (
        *TINY_DIGITS[2:],
        "dataset=image_folder",
        "dataset.root=images",
        "dataset.channels=1",
        "procedure.train.trainable=head",
    )
    for stage in ("pretrain", "train"):
        asked = [
            f"procedure.train.start_from_run={source.path}",
            f"procedure.train.start_from={stage}",
        ]
        done = run_here("train", *words, *asked, f"name=from_{stage}")
        assert done.code == 0, done.err
        said = " ".join(done.out.split())
        assert "6 tensors of the backbone taken, the head drawn anew" in said
        assert "normalizer: by channel" in said
        theirs, ours = (
            weights(source.path, stage),
            weights(made(tmp_path, f"from_{stage}"), "train"),
        )
        for name in (name for name in theirs if name.startswith("backbone.")):
            assert ours[name].equal(theirs[name]), name
        assert ours["head.0.weight"].shape[0] == 2


def test_a_resumed_run_needs_the_other_no_more_once_it_has_a_checkpoint(
    run_here: Expkit, tmp_path: Path, source: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the numbers of the uninterrupted one, after the other run is gone."""
    asked = f"procedure.train.start_from_run={source.path.name}"
    assert run_here("train", *TINY_DIGITS, asked, "name=whole").code == 0
    plain, cut = training.score, [1, 2]

    def score(*given: object, **named: object) -> object:
        cut.pop()
        if not cut:
            raise KeyboardInterrupt
        return plain(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "score", score)
    assert run_here("train", *TINY_DIGITS, asked, "name=cut").code == 130
    monkeypatch.setattr(training, "score", plain)
    shutil.rmtree(source.path)
    run = made(tmp_path, "cut")
    assert run_here("resume", str(run)).code == 0
    whole, resumed = (weights(made(tmp_path, name), "train", "last") for name in ("whole", "cut"))
    assert whole.keys() == resumed.keys()
    assert all(resumed[name].equal(whole[name]) for name in whole)


def test_a_run_cut_off_before_a_checkpoint_refuses_other_weights(
    run_here: Expkit, tmp_path: Path, source: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would start from is not what it began with."""
    plain = training.score

    def stop(*given: object, **named: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "score", stop)
    asked = f"procedure.train.start_from_run={source.path.name}"
    assert run_here("train", *TINY_DIGITS, asked, "name=cut").code == 130
    monkeypatch.setattr(training, "score", plain)
    kept = source.path / "checkpoints" / "train"
    shutil.copy(kept / "last.safetensors", kept / "best.safetensors")
    (kept / "digests.jsonl").unlink()
    done = run_here("resume", str(made(tmp_path, "cut")))
    assert done.code == 2
    assert "are not what they were when this run began" in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["model.widths=[8,16,32]"],
            "backbone.0.0.weight: 16 x 1 x 3 x 3 there, 8 x 1 x 3 x 3 here",
        ),
        (["model.norm=batch"], "backbone.0.1.weight: none there, 16 here"),
        (["procedure.train.start_from=pretrian"], "nearest pretrain"),
        (["procedure.train.start_from_run=nowhere"], "there is no run 'nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    run_here: Expkit, tmp_path: Path, source: Run, words: list[str], said: str
) -> None:
    """With the first tensors that differ; no folder is left."""
    asked = f"procedure.train.start_from_run={source.path.name}"
    done = run_here("train", *TINY_DIGITS, asked, *words)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert len(list(tmp_path.glob("outputs/*"))) == 1


@pytest.mark.parametrize("spoil", ["flip", "link", "folder_link", "pickle"])
def test_a_strangers_weights_are_data(
    run_here: Expkit, tmp_path: Path, source: Run, spoil: str
) -> None:
    """A flipped bit, a link out of the folder and what is no safetensors are refused."""
    path = source.checkpoint("train", "best")
    if spoil == "flip":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    elif spoil == "link":
        outside = path.rename(tmp_path / "outside.safetensors")
        path.symlink_to(outside)
    elif spoil == "folder_link":
        outside = path.parent.rename(tmp_path / "outside")
        path.parent.symlink_to(outside)
    else:
        torch.save({"weights": torch.ones(1)}, path)
        (path.parent / "digests.jsonl").unlink()
    asked = f"procedure.train.start_from_run={source.path}"
    done = run_here("train", *TINY_DIGITS, asked, "procedure.train.start_from=train")
    assert done.code == 2, done.out
    assert len(list(tmp_path.glob("outputs/*"))) == 1


def test_a_job_of_a_sweep_names_the_run(source: Run) -> None:
    """`last` would be another run for each job; a single run has its path by then."""
    with pytest.raises(UserError, match="another run for each"):
        find_start("last", None, "procedure.train")
    assert find_start(str(source.path), None, "procedure.train").stage == "train"
