"""A followed folder: each image predicted exactly once, whatever ends the process in between."""

from __future__ import annotations

import csv
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from expkit.data.store.arriving_files import ArrivingFiles
from expkit.metrics.drift import DriftWatch, HeldOut
from expkit.records import followed_csv
from expkit.records.followed_csv import FollowedCsv, FollowSettings
from expkit.runner.followed_folder import Follower, follow
from expkit.runner.inference import FilePrediction

SETTINGS = FollowSettings("run", "f00d", "/in", 1.0, [], [], ["a", "b"], 1)
HEADER = ["file", "prediction", "confidence", "error"]


class Killed(BaseException):
    """The end of the process, which nothing handles."""


def predict(paths: Sequence[Path]) -> Iterator[FilePrediction]:
    """Predict by the first letter of the content; only `ok` at its end makes it a whole image."""
    for path in paths:
        content = path.read_bytes() if path.exists() else b""
        if not content.endswith(b"ok"):
            yield FilePrediction(path, None, "image file is truncated")
            continue
        outputs = np.array([0.9, 0.1] if content[:1] == b"a" else [0.4, 0.6], dtype=np.float32)
        image = np.full((2, 2, 1), content[0], np.uint8)
        yield FilePrediction(path, outputs, image=image)


def row_of(prediction: FilePrediction) -> list[str]:
    if prediction.outputs is None:
        return [str(prediction.path), "", "", prediction.error]
    label = int(prediction.outputs.argmax())
    return [str(prediction.path), "ab"[label], f"{prediction.outputs[label]:.6g}", ""]


@contextmanager
def following(root: Path, out: Path, seconds: float = 0.0) -> Iterator[Follower]:
    """A follower whose clock is some seconds ahead."""
    held_out = HeldOut(low=0.8, num_low=20, class_counts={"a": 180, "b": 20})
    with FollowedCsv.open(out, SETTINGS) as opened:
        follower = Follower(
            files=ArrivingFiles(root),
            csv=opened,
            header=HEADER,
            channels=["grey"],
            has_classes=True,
            predict=predict,
            row_of=row_of,
            drift=DriftWatch(held_out, None),
            batch_size=4,
            now=lambda: time.time() + seconds,
        )
        follower.begin()
        yield follower


def write(path: Path, content: bytes = b"a ok", age: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def read_rows(out: Path) -> list[dict[str, str]]:
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


def names_of(out: Path) -> list[str]:
    return [Path(row["file"]).name for row in read_rows(out)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def test_new_images_are_appended_as_they_come(root: Path, out: Path) -> None:
    write(root / "1.png")
    with following(root, out) as follower:
        follower.look()
        assert names_of(out) == ["1.png"]
        write(root / "sub/2.png", b"b ok")
        follower.look()
        follower.look()
    first, second = read_rows(out)
    assert second["file"] == str(root / "sub/2.png")
    assert [second[name] for name in ("prediction", "confidence", "error")] == ["b", "0.6", ""]
    assert (second["mean_grey"], second["grain"]) == (f"{ord('b')}.00", "0.00")
    assert second["bytes"] == "4"
    assert int(second["modified_ns"]) == (root / "sub/2.png").stat().st_mtime_ns
    assert first["predicted_at"] <= second["predicted_at"]


@pytest.mark.parametrize("seed", range(12))
def test_each_image_has_one_row_whenever_the_process_is_killed(
    root: Path, out: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, within and after writes and their flushes, and started again each time."""
    draw = random.Random(seed)
    for number in range(20):
        write(root / f"{number}.png", b"broken" if number % 7 == 3 else b"b ok", age=60 + number)
    calls = {"write": os.write, "fsync": os.fsync}

    def write_or_die(descriptor: int, data: bytes) -> int:
        if draw.random() < 0.3:
            calls["write"](descriptor, data[: draw.randrange(len(data) + 1)])
            raise Killed
        return calls["write"](descriptor, data)

    def sync_or_die(descriptor: int) -> None:
        if draw.random() < 0.2:
            raise Killed
        calls["fsync"](descriptor)

    kills = 0
    for _ in range(100):
        with monkeypatch.context() as patch:
            patch.setattr(followed_csv.os, "write", write_or_die)
            patch.setattr(followed_csv.os, "fsync", sync_or_die)
            try:
                with following(root, out) as follower:
                    follower.look()
                    # what cannot be read is certain to be broken only after a while
                    follower.now = lambda: time.time() + 20
                    follower.look()
                break
            except Killed:
                kills += 1
    assert kills > 0
    assert Counter(names_of(out)) == Counter(f"{number}.png" for number in range(20))
    errors = {row["file"] for row in read_rows(out) if row["error"]}
    assert {Path(name).name for name in errors} == {"3.png", "10.png", "17.png"}


def test_a_half_copied_file_is_neither_predicted_nor_reported(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not while it grows, nor where the copy halts for some seconds; and then it is, once."""
    with following(root, out) as follower:
        (root / "1.png").write_bytes(b"a half")
        for seconds in (0, 1, 3, 8):
            follower.now = lambda seconds=seconds: time.time() + seconds  # type: ignore[misc]
            follower.look()
        assert names_of(out) == []
        (root / "1.png").write_bytes(b"a half and the rest, ok")
        for seconds in (9, 12, 13):
            follower.now = lambda seconds=seconds: time.time() + seconds  # type: ignore[misc]
            follower.look()
    assert [(row["prediction"], row["error"]) for row in read_rows(out)] == [("a", "")]
    assert "not read" not in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_predicted_is_predicted_as_it_is_then(
    root: Path, out: Path
) -> None:
    path = write(root / "1.png", b"a ok")

    def predict_late(paths: Sequence[Path]) -> Iterator[FilePrediction]:
        yield from list(predict(paths))
        write(path, b"b ok and more ok", age=30)

    with following(root, out) as follower:
        follower.predict = lambda paths: iter(list(predict_late(paths)))
        follower.look()
        assert names_of(out) == []
        follower.predict = predict
        follower.look()
    assert [row["prediction"] for row in read_rows(out)] == ["b"]


def test_a_broken_file_has_one_line_with_its_error_also_after_a_new_start(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root / "1.png", b"broken")
    for _ in range(2):
        with following(root, out) as follower:
            for seconds in (0, 5, 11, 12):
                follower.now = lambda seconds=seconds: time.time() + seconds  # type: ignore[misc]
                follower.look()
    assert [(row["prediction"], row["error"]) for row in read_rows(out)] == [
        ("", "image file is truncated")
    ]
    assert capsys.readouterr().err.count("not read") == 1


def test_another_file_of_the_same_name_has_a_row_of_its_own(root: Path, out: Path) -> None:
    write(root / "1.png", b"a ok")
    with following(root, out) as follower:
        follower.look()
    write(root / "1.png", b"b ok", age=30)
    with following(root, out) as follower:
        follower.look()
    assert [row["prediction"] for row in read_rows(out)] == ["a", "b"]


def test_a_file_that_is_deleted_before_it_is_read_has_no_row(root: Path, out: Path) -> None:
    path = write(root / "1.png")

    def predict_late(paths: Sequence[Path]) -> Iterator[FilePrediction]:
        path.unlink()
        return predict(paths)

    with following(root, out) as follower:
        follower.predict = predict_late
        follower.look()
        follower.predict = predict
        follower.look()
    assert names_of(out) == []


def test_a_folder_that_vanishes_is_waited_for_and_said_once(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root / "1.png")
    with following(root, out) as follower:
        follower.look()
        root.rename(root.with_name("gone"))
        follower.look()
        follower.look()
        said = capsys.readouterr().out
        assert said.count("no such file or directory") == 1
        root.with_name("gone").rename(root)
        write(root / "2.png")
        follower.look()
    assert names_of(out) == ["1.png", "2.png"]


def test_drift_is_said_when_it_begins_and_not_again_after_a_new_start(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """20 of 200 held-out predictions are b, below a confidence of 0.8; of the new ones all are."""
    for number in range(60):
        write(root / f"{number}.png", b"b ok")
    with following(root, out) as follower:
        follower.look()
    said = capsys.readouterr().out
    assert "drift begins: confidence below 0.8: 100 % of the last 50 images" in said.replace(
        "100.0", "100"
    )
    assert "10.0 % of held-out samples" in said
    for number in range(60, 120):
        write(root / f"{number}.png", b"b ok")
    with following(root, out) as follower:
        follower.look()
        assert follower.drift.differing == {"confidence below 0.8", "predicted b"}
        assert follower.drift.last is not None
        assert follower.drift.last.figures[0].num_images == 100
        assert "2 of 2 figures of the last 100 images differ" in "\n".join(follower.summary(1))
    assert "drift" not in capsys.readouterr().out


def test_an_interrupt_ends_it_with_a_summary(
    root: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(root / f"{number}.png")
    naps = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    with following(root, out) as follower:
        follow(follower, every=0.5)
    assert naps == [0.5] * 3
    said = capsys.readouterr().out
    assert "predicted 3 images" in said
    assert "not looked for yet: 3 of 50 images" in said


def test_a_signal_within_a_write_does_not_cut_it_off(
    root: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that were under way are whole and counted; the next ones are left."""
    for number in range(10):
        write(root / f"{number}.png")
    sync = os.fsync

    def interrupted_sync(descriptor: int) -> None:
        if follower.num_predicted == 0 and out.stat().st_size > 200:
            os.kill(os.getpid(), 2)
        sync(descriptor)

    with following(root, out) as follower:
        monkeypatch.setattr(followed_csv.os, "fsync", interrupted_sync)
        follow(follower, every=1)
        assert follower.num_predicted == 4
    assert len(read_rows(out)) == 4
