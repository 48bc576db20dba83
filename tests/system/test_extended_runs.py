"""A training that goes on beyond its end, against one that was as long from the start."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_once import made_once
from running_expkit import TINY, Expkit, only_run, train_quietly

from expkit.cli import dispatch
from expkit.records.files import read_json, read_lines
from expkit.records.run.digest import read_digest
from expkit.records.run.extensions import read_extensions
from expkit.records.run.reader import Run
from expkit.reports.runs.listing import list_entries

TIMES = ("seconds", "samples_per_second", "wall_seconds", "at")
SMALL = (*TINY, "procedure=full", "procedure.train.patience=null")


def train(words: Sequence[str], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    train_quietly(*SMALL, *words, f"output_dir={folder}/outputs")
    return only_run(folder)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A finished run of three epochs."""
    made = made_once(tmp_path_factory, "short", lambda place: train(SHORT, place))
    return shutil.copytree(only_run(made), tmp_path / "outputs" / only_run(made).name)


SHORT = ("procedure.train.max_epochs=3", "name=short")


def history_of(path: Path) -> list[dict[str, object]]:
    lines = read_lines(path / "history.jsonl")
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def predictions_of(path: Path) -> str:
    return (path / "predictions.csv").read_text()


@pytest.mark.parametrize("schedule", ["constant", pytest.param("plateau", marks=pytest.mark.slow)])
def test_three_epochs_and_two_more_are_five(
    schedule: str, tmp_path: Path, run_here: Expkit
) -> None:
    """To the last bit: history, weights, optimizer and predictions; earlier results stay aside."""
    words = [f"schedule={schedule}"]
    if schedule == "plateau":
        words += ["schedule.patience=1", "schedule.metric=accuracy"]
    short = train([*SHORT, *words], tmp_path / "short")
    long = train([*words, "procedure.train.max_epochs=5", "name=short"], tmp_path / "long")
    before = read_json(short / "summary.json")
    done = run_here("resume", str(short), "procedure.train.max_epochs=5")
    assert done.code == 0, done.err
    assert history_of(short) == history_of(long)
    assert predictions_of(short) == predictions_of(long)
    for name in ("best", "last"):
        place = f"checkpoints/train/{name}.safetensors"
        assert (short / place).read_bytes() == (long / place).read_bytes()
    ours, theirs = read_json(short / "summary.json"), read_json(long / "summary.json")
    assert ours["metrics"] == theirs["metrics"]
    assert [stage["num_epochs"] for stage in ours["stages"] if stage["stage"] == "train"] == [5]
    (extension,) = read_extensions(short)
    assert extension.before["metrics"] == before["metrics"]
    assert read_json(short / "before_extension_1" / "summary.json") == before
    assert "extended after epoch 3" in done.out
    assert "train was extended after epoch 3" in (short / "report.md").read_text()
    digests = read_digest(short), read_digest(long)
    assert digests[0] is not None
    assert digests[1] is not None
    assert (digests[0].job, digests[0].num_epochs) == (digests[1].job, 5)
    assert "procedure.train.max_epochs=5" in digests[0].overrides
    assert "has finished" in run_here("resume", str(short)).out


def test_an_extension_that_is_cut_off_is_resumed(
    short: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the run is interrupted, and nobody takes its old results for the new."""
    from expkit.runner.session import Session

    save, saved = Session.save, list[int]()

    def stop(self: Session, *words: object, **more: object) -> None:
        save(self, *words, **more)  # type: ignore[arg-type]
        saved.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "save", stop)
    assert run_here("resume", str(short), "procedure.train.max_epochs=6").code == 130
    monkeypatch.setattr(Session, "save", save)
    run = Run(short)
    assert (run.status, len(run.history)) == ("interrupted", 4)
    (entry,) = list_entries(short.parent)
    assert (entry.status, entry.value) == ("interrupted", None)
    assert run_here("resume", "last").code == 0
    assert [line["epoch"] for line in Run(short).history] == [1, 2, 3, 4, 5, 6]
    assert run_here("resume", "last", "procedure.train.max_epochs=7").code == 0
    assert len(read_extensions(short)) == 2
    assert (short / "before_extension_2" / "predictions.csv").exists()


def files_of(path: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in path.rglob("*") if each.is_file()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("procedure.train.max_epochs=3",), "has trained 3 epochs of 'train' already"),
        (("procedure.train.max_epochs=x",), "max_epochs cannot be 'x'"),
        (("procedure.train.max_epoch=9",), "nearest procedure.train.max_epochs"),
        (("procedure.trian.max_epochs=9",), "nearest procedure.train.max_epochs"),
        (("procedure.train.batch_size=9",), "nothing that a training can be extended by"),
        (("optimizer.lr=1",), "resumed with the config"),
    ],
)
def test_what_extends_nothing_is_refused(
    words: tuple[str, ...], said: str, short: Path, run_here: Expkit
) -> None:
    """And changes no file."""
    before = files_of(short)
    done = run_here("resume", "last", *words)
    assert (done.code, said in " ".join(done.err.split())) == (2, True)
    assert files_of(short) == before


def test_an_evaluation_names_the_run_that_can_go_on(short: Path, run_here: Expkit) -> None:
    """And the advice is taken."""
    assert run_here("evaluate", "last", "--name=again").code == 0
    done = run_here("resume", "again", "procedure.train.max_epochs=4")
    assert (done.code, "has no training that could go on" in done.err) == (2, True)
    assert done.err.count("max_epochs") == 2
    advice = done.err.partition("expkit resume ")[2].partition("   (")[0]
    assert run_here("resume", *shlex.split(advice)).code == 0
    assert len(Run(short).history) == 4


def test_a_pruned_run_says_what_is_missing(short: Path, run_here: Expkit) -> None:
    """Its optimizer's state; and the advice is taken."""
    run_here("prune", "last", "--yes")
    done = run_here("resume", "last", "procedure.train.max_epochs=9")
    assert (done.code, "no last checkpoint of 'train'" in done.err) == (2, True)
    advice = next(line for line in done.err.splitlines() if "expkit train --like" in line)
    words = advice.partition("expkit ")[2].split()
    assert run_here(*words).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("schedule=cosine",), "Cosine, was planned for 3 epochs"),
        (("procedure.train.swa_epochs=2",), "the weights of its last epochs were averaged"),
        (("procedure.train.patience=1", "optimizer.lr=1e-9"), "would end at once"),
    ],
)
def test_another_course_is_refused(
    words: tuple[str, ...], said: str, tmp_path: Path, run_here: Expkit
) -> None:
    """A schedule that ended, averages of other epochs, patience that is at its end."""
    short = train([*SHORT, *words], tmp_path)
    before = files_of(short)
    done = run_here("resume", "last", "procedure.train.max_epochs=9")
    assert (done.code, said in " ".join(done.err.split())) == (2, True)
    assert files_of(short) == before


def test_a_strangers_extension_is_looked_at(short: Path, run_here: Expkit) -> None:
    """It changes no other key, and names a stage that is there."""
    line = {"at": "", "stage": "train", "num_epochs": 3, "changes": {"max_epochs": 9}}
    line |= {"num_stages": 9, "redone": [], "before": {}}
    for odd in ({"changes": {"_target_": 1}}, {"stage": "../x"}, {"stage": "none"}):
        text = json.dumps({**line, **odd})
        (short / "extensions.jsonl").write_text(f"{text}\n{text}\n")
        done = run_here("plot", "last")
        assert (done.code, "extensions.jsonl' is damaged" in done.err) == (2, True)
        assert dispatch(["runs"]) == 0
