"""Runs as they are read: their state, their records, and how a word finds one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from expkit.errors import UserError
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.files import write_json
from expkit.records.run.find_run import find_run, list_runs
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata, StageResult
from expkit.records.run.reader import Run, is_run
from expkit.records.run.schema import FORMAT_VERSION
from expkit.records.run.writer import RunFolder

CONFIG = {"seed": 3, "procedure": {"overfit_1": {}, "train": {}}}


def open_run(parent: Path, name: str = "20260101_000000_net") -> RunFolder:
    return RunFolder.create(
        parent,
        name,
        {
            "config.yaml": yaml.safe_dump(CONFIG, sort_keys=False),
            "overrides.yaml": yaml.safe_dump(["seed=3"]),
            "environment.json": json.dumps({"command": ["expkit", "train"]}),
        },
    )


def make_run(parent: Path, name: str = "20260101_000000_net") -> Path:
    folder = open_run(parent, name)
    folder.close()
    return folder.path


def metadata(**options: object) -> DatasetMetadata:
    given = {"task": "classification", "class_names": ("a", "b"), "target_names": None, **options}
    splits = {"train": SplitMetadata(2, None, "f")}
    return DatasetMetadata(name="D", image_shape=(3, 4, 4), splits=splits, layouts={}, **given)


@pytest.mark.parametrize(
    ("stages", "locked", "status"),
    [
        ([], True, "running"),
        ([], False, "interrupted"),
        ([("overfit_1", True)], True, "running"),
        ([("overfit_1", True)], False, "interrupted"),
        ([("overfit_1", False)], False, "failed"),
        ([("overfit_1", False)], True, "failed"),
        ([("overfit_1", True), ("train", False)], False, "failed"),
        ([("overfit_1", True), ("train", True)], False, "finished"),
        ([("overfit_1", True), ("train", True)], True, "finished"),
    ],
)
def test_status_is_told_from_the_records(
    tmp_path: Path, stages: Sequence[tuple[str, bool]], locked: bool, status: str
) -> None:
    """Failed and finished by the stages; else running or interrupted by the lock."""
    folder = open_run(tmp_path)
    for name, passed in stages:
        folder.append_stage(StageResult(name, passed, "because", "OverfitGate"))
    if not locked:
        folder.close()
    assert Run(folder.path).status == status
    if locked:
        folder.close()


def test_records_are_read(tmp_path: Path) -> None:
    """What the writer wrote, each where the reader looks for it."""
    folder = open_run(tmp_path)
    folder.append_history({"stage": "train", "epoch": 1, "train/loss": 0.25})
    write_json(folder.path / "dataset.json", metadata().to_json())
    write_json(folder.path / "summary.json", {"verdict": "met"})
    folder.close()
    run = Run(folder.path)
    assert run.name == "20260101_000000_net"
    assert run.config == CONFIG
    assert run.stage_names == ["overfit_1", "train"]
    assert run.overrides == ["seed=3"]
    assert run.environment == {"command": ["expkit", "train"]}
    assert run.history == [{"stage": "train", "epoch": 1, "train/loss": 0.25}]
    assert run.dataset == metadata()
    assert run.summary == {"verdict": "met"}


def test_run_that_did_not_get_far_has_empty_records(tmp_path: Path) -> None:
    """What was not written yet is none, not an error."""
    run = Run(make_run(tmp_path))
    assert (run.history, run.stages, run.summary, run.predictions) == ([], [], None, {})
    assert list(run.snapshots()) == []


def test_torn_history_is_read_up_to_the_tear(tmp_path: Path) -> None:
    """A run killed while it wrote can still be shown and resumed."""
    path = make_run(tmp_path)
    (path / "history.jsonl").write_text('{"stage": "train", "epoch": 1}\n{"stage": "train", "e')
    assert [record["epoch"] for record in Run(path).history] == [1]


def test_predictions_are_read_by_their_task(tmp_path: Path) -> None:
    """Classes where the data has classes, numbers where it has target names."""
    ranks, names = np.array([0]), ["a", "b"]
    classes = ClassPredictions(
        "val", ["s"], ranks, ranks, ranks, np.ones((1, 2), np.float32), names
    )
    numbers = np.ones((1, 1), np.float32)
    values = ValuePredictions("train", ["s"], numbers, numbers, ["x"])
    for name, answers, known in (
        ("c", classes, metadata()),
        ("v", values, metadata(task="regression", class_names=None, target_names=("x",))),
    ):
        folder = open_run(tmp_path, name)
        write_json(folder.path / "dataset.json", known.to_json())
        folder.write_predictions([answers])
        folder.close()
        (read,) = Run(folder.path).predictions.values()
        assert type(read) is type(answers)
        assert read.split == answers.split


def test_snapshots_come_in_the_order_of_epochs(tmp_path: Path) -> None:
    """Epoch 1000 after 50, with the arrays that were written."""
    folder = open_run(tmp_path)
    for epoch in (1000, 1, 50):
        arrays = {
            "targets": np.array([0, 1]),
            "predictions": np.array([1, epoch]),
            "shown": np.array([0]),
            "probabilities": np.zeros((1, 2000), np.float32),
        }
        folder.write_snapshot("train", epoch, arrays)
    folder.close()
    found = [
        (epoch, arrays["predictions"].tolist()) for _, epoch, arrays in Run(folder.path).snapshots()
    ]
    assert found == [(1, [1, 1]), (50, [1, 50]), (1000, [1, 1000])]


def test_strangers_snapshot_is_not_unpickled(tmp_path: Path) -> None:
    """An object array, which could run code when it is read, is refused."""
    path = make_run(tmp_path)
    (path / "snapshots" / "train").mkdir(parents=True)
    evil = np.array([{"a": 1}], dtype=object)
    np.savez(path / "snapshots" / "train" / "epoch_0001.npz", evil=evil)
    with pytest.raises(UserError, match="holds objects"):
        list(Run(path).snapshots())


def test_strangers_config_runs_nothing(tmp_path: Path) -> None:
    """YAML tags that would call Python do not."""
    path = make_run(tmp_path)
    proof = tmp_path / "proof"
    (path / "config.yaml").write_text(f"a: !!python/object/apply:os.mkdir ['{proof}']\n")
    with pytest.raises(UserError, match="is damaged"):
        _ = Run(path).config
    assert not proof.exists()


def test_config_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    """An emptied config.yaml is told as such."""
    path = make_run(tmp_path)
    (path / "config.yaml").write_text("")
    with pytest.raises(UserError, match="is not a mapping"):
        _ = Run(path).config


def test_folder_without_its_first_files_is_no_run(tmp_path: Path) -> None:
    """Config and environment make a run."""
    path = make_run(tmp_path)
    assert is_run(path)
    assert not is_run(tmp_path)
    (path / "environment.json").unlink()
    assert not is_run(path)


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    """By the time in their names, within a second by when they were made, sweeps included."""
    sweep = tmp_path / "20260101_000000_sweep"
    made = [
        make_run(tmp_path, "20260102_000000_b"),
        make_run(tmp_path, "20260102_000000_a"),
        make_run(sweep, "20260101_000001_z"),
        make_run(tmp_path, "20251231_235959_y"),
    ]
    (tmp_path / "notes").mkdir()
    (tmp_path / "a file").touch()
    make_run(tmp_path, ".new_half")
    assert list_runs(tmp_path) == [made[3], made[2], made[0], made[1]]
    assert list_runs(tmp_path / "nowhere") == []


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Three runs, the name of the second being the start of the third's."""
    for name in ("20260101_000000_small", "20260102_000000_deep", "20260102_000000_deep_2"):
        make_run(tmp_path / "outputs", name)
    return tmp_path / "outputs"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("last", "20260102_000000_deep_2"),
        ("small", "20260101_000000_small"),
        ("0101", "20260101_000000_small"),
        ("deep_2", "20260102_000000_deep_2"),
        ("20260102_000000_deep", "20260102_000000_deep"),
        ("deep", "20260102_000000_deep"),
    ],
)
def test_a_word_finds_its_run(outputs: Path, text: str, found: str) -> None:
    """`last`, a unique part, or a whole name, dated or not, though another begins with it."""
    assert find_run(text, outputs).path == outputs / found


def test_a_path_finds_its_run(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it lies, relative or not, with a slash at its end or not."""
    assert find_run(f"{outputs}/20260101_000000_small/").name == "20260101_000000_small"
    monkeypatch.chdir(outputs / "20260101_000000_small")
    assert find_run("../20260102_000000_deep").config["seed"] == 3


def refusal(text: str, parent: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        find_run(text, parent)
    return caught.value


def test_part_of_several_names_is_refused(outputs: Path) -> None:
    """How many there are, and which."""
    error = refusal("dee", outputs)
    assert error.what == "'dee' is a part of 2 runs' names"
    assert (error.details["allowed"] or "").splitlines()[1:] == [
        "20260102_000000_deep",
        "20260102_000000_deep_2",
    ]


def test_unknown_name_is_refused_with_the_nearest(outputs: Path) -> None:
    """A slip of the finger is answered with what was meant."""
    error = refusal("20260101_000000_smal1", outputs)
    assert error.what == f"there is no run '20260101_000000_smal1' in '{outputs}'"
    assert error.details["nearest"] == "20260101_000000_small"


def test_folder_that_is_no_run_is_refused(outputs: Path) -> None:
    """It is there, and it is not a run: that is what is said."""
    assert "is no run folder" in refusal(str(outputs), outputs).what


@pytest.mark.parametrize("text", ["last", "net"])
def test_without_runs_the_first_step_is_told(tmp_path: Path, text: str) -> None:
    """An empty or missing outputs/ leads to `expkit train`."""
    error = refusal(text, tmp_path / "outputs")
    assert "holds none" in error.what
    assert error.details["do"] == "expkit train"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", "{}"),
        ("config.yaml", "a: [1"),
        ("overrides.yaml", "a: [1"),
        ("dataset.json", "{}"),
        ("stages.jsonl", '{"stage": "train", "colour": "red"}\n'),
    ],
)
def test_a_damaged_record_is_told_by_its_file(tmp_path: Path, file: str, content: str) -> None:
    """One screen, and no traceback."""
    path = make_run(tmp_path)
    (path / file).write_text(content)
    name = {"config.yaml": "config", "overrides.yaml": "overrides", "dataset.json": "dataset"}
    with pytest.raises(UserError, match=f"'{file}' is damaged"):
        getattr(Run(path), name.get(file, "stages"))


@pytest.mark.parametrize("version", [None, FORMAT_VERSION])
def test_a_folder_of_this_format_or_an_older_one_is_read(
    tmp_path: Path, version: int | None
) -> None:
    path = make_run(tmp_path)
    write_json(path / "environment.json", {} if version is None else {"format_version": version})
    assert Run(path).environment.get("format_version") == version


def test_a_folder_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    """Its keys may mean something else by then."""
    path = make_run(tmp_path)
    write_json(path / "environment.json", {"format_version": FORMAT_VERSION + 1})
    with pytest.raises(UserError, match=f"format {FORMAT_VERSION + 1}.* up to {FORMAT_VERSION}"):
        _ = Run(path).environment


def test_overlong_run_name_is_refused(tmp_path: Path) -> None:
    """A name that no folder can have is no run."""
    with pytest.raises(UserError):
        find_run("x" * 300, tmp_path)


def test_half_made_folder_in_a_sweep_is_no_run(tmp_path: Path) -> None:
    """What a kill -9 left of a folder being made is not listed, in a sweep either."""
    files = {"config.yaml": "{}", "environment.json": "{}"}
    RunFolder.create(tmp_path / "20260101_000000_sweep", ".new_x", files).close()
    assert list_runs(tmp_path) == []
