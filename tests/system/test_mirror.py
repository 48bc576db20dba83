"""A machine that vanishes: its runs go on from their mirror, to the numbers they would have had."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from made_once import made_once
from running_expkit import TINY, Expkit, expkit_command, only_run, train_quietly

from expkit.runner import session as session_module
from expkit.runner.session import Session

WORDS = (
    *TINY,
    "procedure=full",
    "model.norm=batch",
    "model.dropout=0.1",
    "procedure.train.max_epochs=8",
    "name=mirrored",
)
TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")


def numbers(run: Path) -> list[dict[str, object]]:
    """The history without what a clock says."""
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def results(run: Path) -> Mapping[str, bytes]:
    """The weights and the predictions, to the byte."""
    checkpoints = {path.name: path.read_bytes() for path in run.glob("checkpoints/*/*.safetensors")}
    assert {"best.safetensors", "last.safetensors"} <= checkpoints.keys()
    return {**checkpoints, "predictions.csv": (run / "predictions.csv").read_bytes()}


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody interrupted, and that has no mirror."""
    made = made_once(tmp_path_factory, "never_mirrored", lambda _: train_quietly(*WORDS))
    return only_run(made)


class MachineGoneError(BaseException):
    """Ends a process in the middle, as far as it can be done within one."""


def vanish_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine go once an epoch is recorded and its copy is whole."""
    save = Session.save

    def save_and_vanish(self: Session, learner: object, number: int, *, is_best: bool) -> None:
        save(self, learner, number, is_best=is_best)
        if number == epoch:
            self.finish_mirror()
            raise MachineGoneError

    monkeypatch.setattr(session_module.Session, "save", save_and_vanish)


def test_a_run_goes_on_from_its_mirror_to_the_same_bytes(
    tmp_path: Path, whole: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """History, weights and predictions, with batch norm and dropout in the net; outputs are gone.

    It goes on in the mirror, which has no second copy, and says so.
    """
    with monkeypatch.context() as patch:
        vanish_after(3, patch)
        with pytest.raises(MachineGoneError):
            run_here("train", *WORDS, "mirror=drive")
    shutil.rmtree(tmp_path / "outputs")
    (copy,) = (tmp_path / "drive").iterdir()
    assert len(numbers(copy)) == 3

    done = run_here("resume", str(copy))

    assert done.code == 0, done.err
    assert "goes on in its mirror" in done.out
    assert numbers(copy) == numbers(whole)
    assert results(copy) == results(whole)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_a_mirror_that_goes_on(
    tmp_path: Path, whole: Path, expkit: Expkit
) -> None:
    """By kill -9, in the middle of whatever is being copied; every second epoch is copied."""
    words = expkit_command(["train", *WORDS, "mirror=drive", "mirror.every_epochs=2"])
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("drive/*/checkpoints/train/last.safetensors")):
        assert time.monotonic() < deadline, "nothing was copied"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    shutil.rmtree(tmp_path / "outputs")
    (copy,) = (tmp_path / "drive").glob("2*")

    done = expkit("resume", str(copy))

    assert done.code == 0, done.err
    assert numbers(copy) == numbers(whole)
    assert results(copy) == results(whole)


@pytest.mark.draws
@pytest.mark.slow
def test_a_whole_runs_mirror_is_a_run_like_it(tmp_path: Path, run_here: Expkit) -> None:
    """Everything but the lock and what is said of the mirror itself; it shows as finished."""
    assert run_here("train", *WORDS, "mirror=drive", "mirror.every_minutes=600").code == 0
    run, copy = only_run(tmp_path), next((tmp_path / "drive").iterdir())
    places = {path.relative_to(run) for path in run.rglob("*")}
    assert {path.relative_to(copy) for path in copy.rglob("*")} == places
    for place in places:
        if (run / place).is_file():
            assert (copy / place).read_bytes() == (run / place).read_bytes(), place
    shutil.rmtree(tmp_path / "outputs")
    assert "finished" in run_here("show", str(copy)).out


def test_a_run_outlives_its_mirror_and_says_so(
    tmp_path: Path, whole: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the terminal once, with the disk's words, and in the summary; the numbers are the same."""
    from expkit.records.run import mirror as mirror_module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mirror_module, "copy_aside", full)
    done = run_here("train", *WORDS, "mirror=drive")
    assert done.code == 0
    assert done.out.count("the mirror could not be written: no space left on device") == 1
    run = only_run(tmp_path)
    assert numbers(run) == numbers(whole)
    findings = json.loads((run / "summary.json").read_text())["findings"]
    (found,) = [each for each in findings if each["rule"] == "mirror_failed"]
    assert found["evidence"]["error"] == "no space left on device"
    assert found["sentence"].startswith("the mirror is behind the run")
    assert done.out.count("mirror_failed") == 1  # in the closing screen alone


@pytest.mark.slow
def test_a_recorded_mirror_is_used_where_a_copy_is_in_it(
    tmp_path: Path, whole: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run from elsewhere has no say in where files go here; the user's word has."""
    with monkeypatch.context() as patch:
        vanish_after(3, patch)
        with pytest.raises(MachineGoneError):
            run_here("train", *WORDS, "mirror=drive")
    run, copy = only_run(tmp_path), next((tmp_path / "drive").iterdir())
    for name in ("outputs", "drive"):
        shutil.copytree(tmp_path / name, tmp_path / "kept" / name)

    # it is there: the mirror is kept up
    assert run_here("resume", "last").code == 0
    assert results(copy) == results(run) == results(whole)

    # it is not: nothing is made, and what is printed to do makes it
    for name in ("outputs", "drive"):
        shutil.rmtree(tmp_path / name)
    shutil.copytree(tmp_path / "kept" / "outputs", tmp_path / "outputs")
    with monkeypatch.context() as patch:
        vanish_after(5, patch)
        with pytest.raises(MachineGoneError):
            run_here("resume", "last")
    assert not (tmp_path / "drive").exists()
    done = run_here("resume", "last", "mirror=drive")
    assert done.code == 0
    assert results(copy) == results(run) == results(whole)


@pytest.mark.broad(5)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mirror=outputs",), "would lie in the output folder"),
        (("mirror=outputs/mirror",), "would lie in the output folder"),
        (("output_dir=a/b", "mirror=x/../a/b/c"), "would lie in the output folder"),
        (("mirror=.",), "the folder where you work"),
        (("mirror=taken/below",), "not a directory"),
        (("mirror=/proc/mirror",), "cannot write to '/proc/mirror'"),
        (("mirror.every_epochs=0", "mirror=drive"), "mirror.every_epochs cannot be 0"),
        (("mirror.every_minutes=-1", "mirror=drive"), "mirror.every_minutes cannot be -1"),
        (("mirror.evry_epochs=1",), "there is no key 'mirror.evry_epochs'"),
        (("mirror=5",), "mirror.folder cannot be 5"),
        (("-m", "seed=0,1", "mirror=outputs"), "would lie in the output folder"),
    ],
)
def test_a_mirror_in_a_wrong_place_is_refused_before_anything_is_made(
    words: tuple[str, ...], said: str, tmp_path: Path, run_without_torch: Expkit
) -> None:
    """In one screen, without torch; nothing is left."""
    (tmp_path / "taken").write_text("a file")
    done = run_without_torch("train", *TINY, *words)
    assert done.code == 2
    assert said in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.slow
def test_a_recipe_may_name_its_mirror_in_short(
    tmp_path: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mirror: FOLDER` in a YAML is `mirror.folder`; the mirror is no setting of the run."""
    recipe = tmp_path / "conf" / "experiment" / "mine.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("# @package _global_\n# mine\nmirror: drive\n")
    assert run_here("train", *TINY, "procedure=full", "experiment=mine").code == 0
    (copy,) = (tmp_path / "drive").iterdir()
    assert copy.name == only_run(tmp_path).name


@pytest.mark.slow
def test_each_job_of_a_sweep_is_mirrored_under_its_own_name(
    tmp_path: Path, run_here: Expkit
) -> None:
    """In the folder of its sweep; a job goes on from there as any run, though the sweep is gone."""
    words = ("-m", *TINY, "procedure=full", "seed=0,1", "launcher.jobs=1", "mirror=drive")
    assert run_here("train", *words).code == 0
    (sweep,) = (tmp_path / "outputs").glob("2*")
    copies = sorted((tmp_path / "drive" / sweep.name).iterdir())
    assert [copy.name for copy in copies] == sorted(path.name for path in sweep.glob("2*"))
    assert [results(copy) == results(sweep / copy.name) for copy in copies] == [True, True]
    shutil.rmtree(tmp_path / "outputs")
    (copies[0] / "stages.jsonl").unlink()  # as if it had been cut off
    done = run_here("resume", str(copies[0]))
    assert done.code == 0, done.err
    assert "goes on in its mirror" in done.out
