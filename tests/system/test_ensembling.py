"""Runs put together by the command: figures by hand, and whatever takes a run takes it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_once import made_once
from PIL import Image
from running_expkit import Done, Expkit, train_quietly
from safetensors.torch import load_file

from expkit.data.datasets.digits import Digits
from expkit.data.store.progress import silent
from expkit.diagnosis.evidence import Evidence
from expkit.records.run.reader import Run
from expkit.runner.restoring import restore
from expkit.training.checkpoint import load_weights, save_weights

DIGITS = (
    *("dataset=digits", "dataset.limit=12", "procedure=full", "procedure.train.max_epochs=2"),
    *("model.norm=batch", "model.widths=[4,8]", "optimizer.lr=0.01", "criteria=none"),
    *("device.precision=fp32", "device.threads=1", "device=cpu"),
)
Ensemble = Callable[..., tuple[Done, Run | None]]


@pytest.fixture
def members(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> list[Run]:
    """Two seeds of one recipe, and a third run that began as the first did."""

    def train(_: Path) -> None:
        train_quietly(*DIGITS, "seed=0", "name=m0")
        train_quietly(*DIGITS, "seed=1", "name=m1")
        train_quietly(*DIGITS, "seed=0", "optimizer.lr=0.02", "name=m2")

    made = made_once(tmp_path_factory, "digits_members", train)
    for run in made.glob("outputs/2*"):
        shutil.copytree(run, tmp_path / "outputs" / run.name)
    return [Run(next((tmp_path / "outputs").glob(f"*_m{place}"))) for place in range(3)]


@pytest.fixture
def ensemble(run_here: Expkit, members: list[Run], tmp_path: Path) -> Ensemble:
    """Runs `expkit ensemble WORDS`; the folder that it left, where it left one."""

    def run(*words: str) -> tuple[Done, Run | None]:
        before = set((tmp_path / "outputs").glob("2*"))
        done = run_here("ensemble", *words)
        made = set((tmp_path / "outputs").glob("2*")) - before
        assert len(made) <= 1
        return done, Run(made.pop()) if made else None

    return run


def table(run: Run) -> dict[str, np.ndarray]:
    return {split: each.probabilities for split, each in run.predictions.items()}  # type: ignore[union-attr]


def outputs_of(run: Run, count: int = 8) -> torch.Tensor:
    """What a restored model says of a few images."""
    images = torch.from_numpy(Digits().read(silent).splits["test"].images[:count])
    restored = restore(run)
    with torch.no_grad():
        outputs: torch.Tensor = restored.model(restored.normalizer(images).permute(0, 3, 1, 2))
    return outputs


def test_its_predictions_are_the_mean_of_its_members(
    ensemble: Ensemble, members: list[Run]
) -> None:
    """On every split, from the recorded probabilities; the page says what it gains."""
    done, run = ensemble("m0", "m1", "m2")
    assert done.code == 0, done.err
    assert run is not None
    assert run.status == "finished"
    for split, ours in table(run).items():
        mean = np.mean([table(each)[split] for each in members], axis=0)
        np.testing.assert_allclose(ours, mean, atol=2e-6)
    record = run.ensemble
    assert record is not None
    assert [each.run for each in record.members] == [each.name for each in members]
    assert [each.overrides for each in record.members] == [each.overrides for each in members]
    assert record.num_parameters == 3 * record.members[0].num_parameters
    assert run.summary is not None
    assert run.summary["ensemble"]["times_parameters"] == 3
    assert "worth" in done.out
    assert "## Members" in (run.path / "report.md").read_text()


def test_it_needs_its_members_no_more(
    ensemble: Ensemble, members: list[Run], run_here: Expkit, tmp_path: Path
) -> None:
    """Their folders are gone: it predicts, is evaluated, compared and shown as any run."""
    _, run = ensemble("m0", "m1", "--name", "pair")
    assert run is not None
    expected = table(run)["test"][0]
    outputs = [outputs_of(each) for each in members[:2]]
    for each in members[1:]:
        shutil.rmtree(each.path)
    mean = torch.stack([each.softmax(1) for each in outputs]).mean(0)
    torch.testing.assert_close(outputs_of(run).softmax(1), mean, atol=1e-6, rtol=0)
    samples = Digits(limit=12).read(silent).splits["test"]
    Image.fromarray(samples.images[0, :, :, 0]).save(tmp_path / "first.png")
    done = run_here("predict", "pair", "first.png", "--csv", "out.csv", "--top", "10")
    assert done.code == 0, done.err
    with (tmp_path / "out.csv").open() as file:
        (row,) = csv.DictReader(file)
    found = [float(row[name]) for name in run.dataset.class_names or ()]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert run_here("compare", "pair", "m0").code == 0
    assert "members" in run_here("show", "pair").out
    assert run_here("diagnose", "pair").code == 0
    assert "nothing to resume" in run_here("resume", "pair").out
    done = run_here("evaluate", "pair", "--name", "again")
    assert done.code == 0, done.err
    again = Run(next((tmp_path / "outputs").glob("*_again")))
    np.testing.assert_allclose(table(again)["test"], table(run)["test"], atol=1e-6)


def test_a_mean_of_logits_is_one(ensemble: Ensemble, members: list[Run]) -> None:
    _, run = ensemble("m0", "m2", "--combine", "logits")
    assert run is not None
    mean = (outputs_of(members[0]) + outputs_of(members[2])) / 2
    torch.testing.assert_close(outputs_of(run), mean)


def test_a_soup_is_the_mean_of_weights_with_batch_norm_made_anew(
    ensemble: Ensemble, members: list[Run]
) -> None:
    """The weights by hand from the files; the first layer's statistics from the training images."""
    done, run = ensemble("m0", "m2", "--combine", "soup", "--name", "soup")
    assert run is not None, done.err
    assert "began from different weights" not in done.out  # one seed: one start
    soup, *theirs = (load_file(each.weights) for each in (run, members[0], members[2]))
    for name, value in soup.items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(value, (theirs[0][name] + theirs[1][name]) / 2)
    train = Digits(limit=12).read(silent).splits["train"]
    restored = restore(run)
    images = restored.normalizer(torch.from_numpy(train.images)).permute(0, 3, 1, 2)
    convolution, norm = restored.model.backbone[0][:2]  # type: ignore[index, union-attr]
    with torch.no_grad():
        inside = convolution(images)
    torch.testing.assert_close(norm.running_mean, inside.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, inside.var((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert run.config["model"] == members[0].config["model"]


@pytest.mark.slow
def test_a_soup_of_other_starts_is_warned_of(ensemble: Ensemble) -> None:
    done, run = ensemble("m0", "m1", "--combine", "soup")
    assert run is not None
    assert "began from different weights" in done.out


def rewrite(run: Run, change: Callable[[torch.nn.Module], None]) -> None:
    """Other weights for a run, as a stage of it would have kept them."""
    model = restore(run).model
    metadata = load_weights(run.weights, model)
    with torch.no_grad():
        change(model)
    save_weights(run.weights, model, metadata)


def test_a_greedy_soup_leaves_out_what_makes_val_worse(
    ensemble: Ensemble, members: list[Run]
) -> None:
    """A member whose outputs are turned round spoils any soup; its record says 0 % on val."""

    def turn(model: torch.nn.Module) -> None:
        model.head[-1].weight.mul_(-50)  # type: ignore[index, union-attr, operator]

    rewrite(members[1], turn)
    done, run = ensemble("m0", "m1", "m2", "--combine", "greedy_soup", "--name", "greedy")
    assert run is not None, done.err
    record = run.ensemble
    assert record is not None
    assert not record.members[1].is_used
    used = [load_file(members[place].weights) for place in (0, 2) if record.members[place].is_used]
    mean = torch.stack([each["head.0.weight"] for each in used]).mean(0)
    torch.testing.assert_close(load_file(run.weights)["head.0.weight"], mean)
    assert "tried on val" in done.out


def test_the_very_same_weights_are_refused(ensemble: Ensemble, members: list[Run]) -> None:
    """A copy of a run's weights in another run, whatever its file is called."""
    shutil.copy(members[0].weights, members[1].weights)
    shutil.copy(members[0].weights.parent / "digests.jsonl", members[1].weights.parent)
    done, run = ensemble("m0", "m1")
    assert (done.code, run) == (2, None)
    assert "the very same weights" in done.err


def test_weights_that_do_not_fit_are_refused(ensemble: Ensemble, members: list[Run]) -> None:
    """No folder is left, and the first tensors that differ are named."""

    def widen(model: torch.nn.Module) -> None:
        model.head[-1] = torch.nn.Linear(9, 10)  # type: ignore[index, union-attr, operator]

    rewrite(members[1], widen)
    for words in ((), ("--combine", "soup")):
        done, run = ensemble("m0", "m1", *words)
        assert (done.code, run) == (2, None)
        assert "do not fit the model" in done.err
        assert "head.0.weight" in done.err


def test_other_data_than_the_members_had_is_refused(ensemble: Ensemble) -> None:
    """Its figures would not be beside theirs; nor would its images be prepared alike."""
    done, run = ensemble("m0", "m1", "dataset.limit=6")
    assert (done.code, run) == (2, None)
    assert "the data is not what it was" in done.err


def test_words_are_refused_as_everywhere(ensemble: Ensemble) -> None:
    """Before torch is asked; the advice is a whole command."""
    done, run = ensemble("m0", "m1", "optimizer.lr=1")
    assert (done.code, run) == (2, None)
    assert "no override of dataset or criteria or device" in done.err
    done, run = ensemble("m0")
    assert "two members or more" in done.err


@pytest.mark.slow
def test_records_go_where_the_user_says(ensemble: Ensemble, tmp_path: Path) -> None:
    done, run = ensemble(
        "m0", "m1", "output_dir=mine", "criteria.accuracy='> 0.999'", "--name", "x"
    )
    assert run is None
    (mine,) = (tmp_path / "mine").glob("*_x")
    assert done.code == 1  # its criterion is not met
    assert Run(mine).config["criteria"] == {"accuracy": "> 0.999"}


def test_one_that_was_cut_off_goes_on(
    ensemble: Ensemble, members: list[Run], run_here: Expkit
) -> None:
    """From nothing but its config; without a member it says which is missing."""
    _, run = ensemble("m0", "m1")
    assert run is not None
    whole = load_file(run.weights)
    (run.path / "stages.jsonl").unlink()
    (run.path / "ensemble.json").unlink()
    shutil.rmtree(run.path / "checkpoints")
    done = run_here("resume", run.name)
    assert done.code == 0, done.err
    assert all(torch.equal(value, whole[name]) for name, value in load_file(run.weights).items())
    (run.path / "stages.jsonl").unlink()
    shutil.rmtree(members[1].path)
    done = run_here("resume", run.name)
    assert done.code == 2
    assert "not there any more" in done.err
    assert members[1].name in done.err


def test_findings_of_it_speak_of_its_members(ensemble: Ensemble, members: list[Run]) -> None:
    """A missed criterion advises what trained the best member, and nothing that it never did."""
    _, run = ensemble("m0", "m1", "criteria.accuracy='> 0.9999'")
    assert run is not None
    assert run.summary is not None
    record = run.ensemble
    assert record is not None
    found = {each["rule"]: each for each in run.summary["findings"]}
    assert "criterion_missed" in found
    training = {"overfitting", "underfitting", "still_improving", "lr_too_high", "lr_too_low"}
    assert not training & found.keys()
    evidence = Evidence.of(run)
    assert (
        evidence.overrides
        == record.members[record.best].overrides
        == members[record.best].overrides
    )
    assert not evidence.trains
    assert Evidence.of(members[0]).trains


@pytest.mark.slow
def test_a_sweep_names_its_seeds(ensemble: Ensemble, members: list[Run], tmp_path: Path) -> None:
    """Any folder of runs does; an unfinished one is left out with a word."""
    folder = tmp_path / "seeds"
    for each in members:
        shutil.copytree(each.path, folder / each.name)
    stages = folder / members[2].name / "stages.jsonl"
    stages.write_text(stages.read_text().splitlines(keepends=True)[0])
    done, run = ensemble("seeds")
    assert run is not None, done.err
    assert f"left out: {members[2].name} (interrupted)" in done.out
    assert len(json.loads((run.path / "ensemble.json").read_text())["members"]) == 2


@pytest.mark.slow
def test_a_regression_has_the_mean_of_its_outputs(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, run_here: Expkit
) -> None:
    """Without a word on how; probabilities are refused with the way that is right."""
    words: tuple[Any, ...] = (
        *("dataset.rows=2", "dataset.columns=3", "dataset.piece_size=16"),
        *("dataset.target=position", "loss=mse", "criteria=none", "procedure=full"),
        *("device.precision=fp32", "device.threads=1", "procedure.train.max_epochs=2"),
    )

    def train(_: Path) -> None:
        train_quietly(*words, "seed=0", "name=p0")
        train_quietly(*words, "seed=1", "name=p1")

    made = made_once(tmp_path_factory, "position_members", train)
    shutil.copytree(made / "outputs", tmp_path / "outputs")
    assert run_here("ensemble", "p0", "p1", "--combine", "probabilities").code == 2
    done = run_here("ensemble", "p0", "p1", "--name", "both")
    assert done.code == 0, done.err
    tables = {
        name: Run(next((tmp_path / "outputs").glob(f"*_{name}"))).predictions["train"].predictions
        for name in ("p0", "p1", "both")
    }
    np.testing.assert_allclose(tables["both"], (tables["p0"] + tables["p1"]) / 2, atol=1e-5)
    assert "root mean square" in done.out
