"""Run folders: never half-made, never shared, and locked as long as their process lives."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.files import read_lines
from expkit.records.run import writer as folder_module
from expkit.records.run.metadata import StageResult
from expkit.records.run.writer import RunFolder, is_locked, name_folder

FILES = {"config.yaml": "seed: 0\n", "pictures/train.jpg": b"\xff\xd8"}
NOON = time.mktime((2026, 3, 4, 12, 5, 6, 0, 0, -1))

CHILD = """
import sys, time
from pathlib import Path
from expkit.records.run.writer import RunFolder
parent, go, text, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
for _ in range(count):
    print(RunFolder.create(parent, "run", {"who": text}).path, flush=True)
time.sleep(60 if text == "stays" else 0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    made = RunFolder.create(tmp_path, "run", FILES)
    yield made
    made.close()


def start_child(parent: Path, go: Path, text: str, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", CHILD, str(parent), str(go), text, str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "20260304_120506_net"),
        ({"SLURM_JOB_ID": "77"}, "20260304_120506_j77_net"),
        (
            {"SLURM_JOB_ID": "80", "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3"},
            "20260304_120506_j77_3_net",
        ),
    ],
)
def test_names_tell_time_and_job(environ: dict[str, str], expected: str) -> None:
    """Local time, the cluster's job where there is one, and the run's own name."""
    assert name_folder("net", NOON, environ) == expected


def test_folder_is_made_with_its_files(tmp_path: Path) -> None:
    """Text, bytes and nested files are there, and so is nothing unfinished beside the folder."""
    made = RunFolder.create(tmp_path / "new" / "outputs", "run", FILES)
    assert made.path == tmp_path / "new" / "outputs" / "run"
    assert (made.path / "config.yaml").read_text() == "seed: 0\n"
    assert (made.path / "pictures" / "train.jpg").read_bytes() == b"\xff\xd8"
    assert made.path.stat().st_mode & 0o777 == 0o755
    assert list(made.path.parent.iterdir()) == [made.path]
    made.close()


def test_folder_is_whole_and_locked_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees the name sees all files and a held lock: it never looks interrupted."""
    rename, seen = Path.rename, []

    def look_and_rename(aside: Path, target: Path) -> Path:
        files = {str(p.relative_to(aside)) for p in aside.rglob("*") if p.is_file()}
        seen.append((files, is_locked(aside), target.exists()))
        return rename(aside, target)

    monkeypatch.setattr(Path, "rename", look_and_rename)
    RunFolder.create(tmp_path, "run", FILES).close()
    assert seen == [({*FILES, ".lock"}, True, False)]


def test_folder_is_held_before_its_first_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that is resumed meanwhile would clear it away as one that a kill has left."""
    seen: list[bool] = []
    monkeypatch.setattr(
        folder_module, "write_aside", lambda path, data: seen.append(is_locked(path.parent))
    )
    RunFolder.create(tmp_path, "run", {"config.yaml": "seed: 0\n"}).close()
    assert seen == [True]


def test_threads_of_the_same_second_never_share(tmp_path: Path) -> None:
    """Eight at once with one name get eight folders, each with its own content."""
    start, made = threading.Barrier(8), []

    def create(number: int) -> None:
        start.wait()
        made.append((number, RunFolder.create(tmp_path, "run", {"who": str(number)})))

    threads = [threading.Thread(target=create, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, folder in made:
        assert (folder.path / "who").read_text() == str(number)
        folder.close()
    names = {"run", *(f"run_{number}" for number in range(2, 9))}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_processes_of_the_same_second_never_share(tmp_path: Path) -> None:
    """The same for four processes that make five folders each."""
    outputs, go = tmp_path / "outputs", tmp_path / "go"
    children = {text: start_child(outputs, go, text, 5) for text in "abcd"}
    for child in children.values():
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    go.touch()
    made = {text: child.communicate(timeout=30)[0].split() for text, child in children.items()}
    assert all(len(paths) == 5 for paths in made.values())
    for text, paths in made.items():
        assert all((Path(path) / "who").read_text() == text for path in paths)
    assert {path.name for path in outputs.iterdir()} == {
        "run",
        *(f"run_{number}" for number in range(2, 21)),
    }


def test_taken_name_is_left_alone(tmp_path: Path, folder: RunFolder) -> None:
    """The second of a name is `run_2`; the first keeps its files."""
    second = RunFolder.create(tmp_path, "run", {"config.yaml": "seed: 1\n"})
    assert second.path.name == "run_2"
    assert (folder.path / "config.yaml").read_text() == "seed: 0\n"
    second.close()


@pytest.mark.parametrize("failure", [OSError(28, os.strerror(28)), KeyboardInterrupt()], ids=repr)
def test_nothing_is_left_of_a_folder_that_could_not_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """The second file fails, and with it goes the first and the folder."""
    write = folder_module.write_aside

    def fail_on_pictures(path: Path, data: bytes) -> None:
        if path.suffix == ".jpg":
            raise failure
        write(path, data)

    monkeypatch.setattr(folder_module, "write_aside", fail_on_pictures)
    with pytest.raises(UserError if isinstance(failure, OSError) else KeyboardInterrupt) as caught:
        RunFolder.create(tmp_path, "run", FILES)
    assert list(tmp_path.iterdir()) == []
    if isinstance(caught.value, UserError):
        assert caught.value.what == f"cannot write to '{tmp_path}': no space left on device"


def test_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """In a user's words, with the key that names the folder."""
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(UserError, match="cannot write to") as caught:
        RunFolder.create(tmp_path / "outputs", "run", FILES)
    assert caught.value.details["where"] == f"output_dir={tmp_path / 'outputs'}"


def test_lock_is_held_until_closed(tmp_path: Path) -> None:
    """A folder is in use from its making until it is closed, and from reopening again."""
    made = RunFolder.create(tmp_path, "run", FILES)
    assert is_locked(made.path)
    with pytest.raises(UserError, match="'run' is still running in another process"):
        RunFolder.reopen(made.path)
    assert is_locked(made.path)  # neither asking nor the refused attempt took it away
    made.close()
    assert not is_locked(made.path)
    again = RunFolder.reopen(made.path)
    assert is_locked(made.path)
    again.close()
    assert not is_locked(tmp_path / "nothing")


def test_a_reader_that_asks_keeps_no_writer_away(tmp_path: Path) -> None:
    """It holds the lock for an instant, which a writer waits for."""
    folder = RunFolder.create(tmp_path, "run", FILES)
    folder.close()
    asked = os.open(folder.path / ".lock", os.O_RDONLY)
    fcntl.flock(asked, fcntl.LOCK_SH)
    threading.Timer(0.05, os.close, [asked]).start()
    RunFolder.reopen(folder.path).close()


def test_lock_is_not_handed_on_to_child_processes(folder: RunFolder) -> None:
    """Else a worker that outlives a killed run would keep it from being resumed."""
    assert not os.get_inheritable(folder.lock)


def test_kill_9_releases_the_lock(tmp_path: Path) -> None:
    """However a process ends, its run can be reopened, and until then it cannot."""
    (tmp_path / "go").touch()
    child = start_child(tmp_path / "outputs", tmp_path / "go", "stays", 1)
    assert child.stdout is not None
    child.stdout.readline()
    path = Path(child.stdout.readline().strip())
    try:
        assert is_locked(path)
        with pytest.raises(UserError, match="still running"):
            RunFolder.reopen(path)
    finally:
        child.kill()
        child.communicate(timeout=10)
    assert not is_locked(path)
    RunFolder.reopen(path).close()


def test_records_are_appended(folder: RunFolder) -> None:
    """Epochs and stages, a line each, in the order in which they came."""
    folder.append_history({"stage": "train", "epoch": 1})
    folder.append_history({"stage": "train", "epoch": 2})
    result = StageResult(stage="train", passed=True, reason="done", kind="Training")
    folder.append_stage(result)
    assert [r["epoch"] for r in read_lines(folder.path / "history.jsonl")] == [1, 2]
    (record,) = read_lines(folder.path / "stages.jsonl")
    assert StageResult.from_json(record) == result


def test_log_lines_are_stamped(folder: RunFolder) -> None:
    """Each line of a text gets the time."""
    folder.log("one\ntwo")
    lines = (folder.path / "log.txt").read_text().splitlines()
    assert [line[21:] for line in lines] == ["one", "two"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \w", line) for line in lines)


def test_lines_beyond_the_checkpoint_are_forgotten(folder: RunFolder) -> None:
    """Of this stage alone: a resumed run writes epoch 2 again, and a torn line goes too."""
    for stage, epoch in [("overfit_1", 9), ("train", 1), ("train", 2)]:
        folder.append_history({"stage": stage, "epoch": epoch})
    with (folder.path / "history.jsonl").open("a") as stream:
        stream.write('{"stage": "tra')
    folder.forget_after("train", 1)
    folder.append_history({"stage": "train", "epoch": 2, "again": True})
    assert read_lines(folder.path / "history.jsonl") == [
        {"stage": "overfit_1", "epoch": 9},
        {"stage": "train", "epoch": 1},
        {"stage": "train", "epoch": 2, "again": True},
    ]


def test_forgetting_in_a_run_without_history(folder: RunFolder) -> None:
    """A run that was cut off before its first epoch has nothing to forget."""
    folder.forget_after("train", 0)
    assert read_lines(folder.path / "history.jsonl") == []


def test_what_a_killed_writer_left_aside_is_cleared(tmp_path: Path) -> None:
    """Half-written checkpoints and records go; what is finished, or not a writer's, stays."""
    made = RunFolder.create(tmp_path, "run", FILES)
    made.close()
    stage = made.path / "checkpoints" / "train"
    stage.mkdir(parents=True)
    left = [
        stage / ".last.safetensors.ab12_x9z",
        made.path / ".predictions.csv.abcdefgh",
        made.path / "samples" / ".wrong_val.npz.abcdefgh",
    ]
    outside = tmp_path / "outside"
    outside.mkdir()
    kept = [
        stage / "last.safetensors",
        stage / ".notes.of.mine",
        made.path / ".summary.json.abcdefgh",  # which another process may be drawing
        outside / ".last.safetensors.abcdefgh",
    ]
    for path in (*left, *kept):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (made.path / "checkpoints" / "elsewhere").symlink_to(outside)
    RunFolder.reopen(made.path).close()
    assert [path.exists() for path in left] == [False] * 3
    assert [path.exists() for path in kept] == [True] * 4


def test_a_run_that_is_being_written_is_not_cleared(folder: RunFolder) -> None:
    """Its writer may be in the middle of a checkpoint."""
    left = folder.path / ".predictions.csv.abcdefgh"
    left.write_text("half")
    with pytest.raises(UserError, match="still running"):
        RunFolder.reopen(folder.path)
    assert left.exists()


def test_line_after_a_torn_one_is_not_lost(tmp_path: Path) -> None:
    """A resumed run appends to stages.jsonl: its line must not be glued to a torn one."""
    made = RunFolder.create(tmp_path, "run", {})
    (made.path / "stages.jsonl").write_text('{"stage": "overfit_1"}\n{"stage": "tra')
    made.close()
    again = RunFolder.reopen(made.path)
    again.append_stage(StageResult("train", True, "", "Training"))
    assert [r["stage"] for r in read_lines(made.path / "stages.jsonl")] == ["overfit_1", "train"]
    again.close()
