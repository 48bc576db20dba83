"""`expkit predict RUN FOLDER --follow`: as predict says it, each image once, also after a kill."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_expkit import Expkit, expkit_command

NUM_FOLLOWED = 1500  # more than are predicted between four kills
FOLLOW = ("predict", "tiny", "in", "--follow", "--csv", "out.csv")


def write_images(folder: Path, count: int, start: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(start)
    for number in range(start, start + count):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(path)
        os.utime(path, (time.time() - 60, time.time() - 60))


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def names_of(path: Path) -> list[str]:
    return [Path(row["file"]).name for row in read_rows(path)]


@pytest.fixture
def interrupted_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have Ctrl-C pressed in place of the nap after so many looks."""

    def set_up(num_looks: int) -> None:
        naps = []

        def sleep(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == num_looks:
                raise KeyboardInterrupt

        monkeypatch.setattr("expkit.runner.followed_folder.time.sleep", sleep)

    return set_up


def test_a_followed_folder_has_the_predictions_of_predict(
    tiny_run: Path, tmp_path: Path, run_here: Expkit, interrupted_after: Callable[[int], None]
) -> None:
    """Also of those that come later, after a new start; the exit code is 0."""
    write_images(tmp_path / "in", 3)
    interrupted_after(2)
    done = run_here(*FOLLOW)
    assert done.code == 0, done.err
    assert "predicted 3 images" in done.out
    write_images(tmp_path / "in", 2, start=3)
    interrupted_after(1)
    assert run_here(*FOLLOW).code == 0
    assert run_here("predict", "tiny", "in", "--csv", "plain.csv").code == 0
    plain = {Path(row["file"]).name: row for row in read_rows(tmp_path / "plain.csv")}
    followed = read_rows(tmp_path / "out.csv")
    assert names_of(tmp_path / "out.csv") == sorted(plain)
    for row in followed:
        same = plain[Path(row["file"]).name]
        assert {name: row[name] for name in same if name != "file"} == {
            name: cell for name, cell in same.items() if name != "file"
        }


def test_what_drift_cannot_be_held_against_is_said(
    tiny_run: Path, tmp_path: Path, run_here: Expkit, interrupted_after: Callable[[int], None]
) -> None:
    """The puzzle has no held-out pieces, and its procedure no preflight."""
    write_images(tmp_path / "in", 1)
    interrupted_after(1)
    done = run_here(*FOLLOW)
    assert "predictions is not looked for: the run has no held-out samples" in done.err
    assert "image statistics is not looked for: the run recorded no data profile" in done.err
    assert [line for line in done.out.splitlines() if line.startswith("drift")] == []


def test_a_full_disk_ends_it_with_whole_rows_and_the_same_command_goes_on(
    tiny_run: Path,
    tmp_path: Path,
    run_here: Expkit,
    interrupted_after: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first two images find room, and half of the third."""
    write_images(tmp_path / "in", 4)
    interrupted_after(1)
    write, room = os.write, [3, 40]  # writes, and bytes after them

    def fill_up(descriptor: int, data: bytes) -> int:
        room[0] -= 1
        if room[0] >= 0:
            return write(descriptor, data)
        if room[0] == -1:
            return write(descriptor, data[: room[1]])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("expkit.records.followed_csv.os.write", fill_up)
        done = run_here(*FOLLOW, "--batch", "1")
    assert done.code == 2
    assert "no space left on device" in done.err
    assert "predicted 2 images" in done.out
    assert names_of(tmp_path / "out.csv") == ["0.png", "1.png"]
    assert (tmp_path / "out.csv").read_bytes().endswith(b"\n")
    assert run_here(*FOLLOW).code == 0
    assert names_of(tmp_path / "out.csv") == [f"{number}.png" for number in range(4)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("in", "--follow"), "--follow needs --csv"),
        (("in", "--every", "2"), "--every goes with --follow"),
        (("in", "in", "--follow", "--csv", "out.csv"), "--follow takes one folder"),
        (("in/0.png", "--follow", "--csv", "out.csv"), "--follow takes one folder"),
        (("gone", "--follow", "--csv", "out.csv"), "--follow takes one folder"),
        (("in", "--follow", "--csv", "out.csv", "--every", "0"), "--every cannot be '0'"),
        (("in", "--follow", "--csv", "out.csv", "--every", "1e9"), "--every cannot be 1e+09"),
        (("in", "--follow", "--csv", "gone/out.csv"), "no file can be made in"),
        (("in", "--follow", "--csv", "plain.csv"), "has not written it"),
        (("in", "--follow", "--csv", "in"), "it is a folder"),
    ],
)
def test_a_wrong_request_is_refused_before_torch_is_loaded(
    tiny_run: Path,
    tmp_path: Path,
    run_without_torch: Expkit,
    words: tuple[str, ...],
    said: str,
) -> None:
    write_images(tmp_path / "in", 1)
    (tmp_path / "plain.csv").write_text("file,prediction\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run_without_torch("predict", "tiny", *words)
    assert done.code == 2
    assert said in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_another_temperature_than_the_rows_have_is_refused_before_torch_is_loaded(
    tiny_run: Path,
    tmp_path: Path,
    run_here: Expkit,
    run_without_torch: Expkit,
    interrupted_after: Callable[[int], None],
) -> None:
    """And --top, by which columns differ."""
    write_images(tmp_path / "in", 1)
    interrupted_after(1)
    assert run_here(*FOLLOW).code == 0
    done = run_without_torch(*FOLLOW, "--top", "1")
    assert done.code == 2
    assert "top: 3 there, 1 now" in done.err
    done = run_without_torch(*FOLLOW, "--tta", "center_crops")
    assert "views: none there, center_crops now" in done.err


@pytest.mark.slow
def test_each_image_has_one_row_after_kills_at_any_moment(tiny_run: Path, tmp_path: Path) -> None:
    """The process is killed outright a few times while it appends; the last start is left alone."""
    write_images(tmp_path / "in", NUM_FOLLOWED)
    out = tmp_path / "out.csv"
    draw = random.Random(0)
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = expkit_command([*FOLLOW, "--batch", "3"])

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(words, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL)

    def size() -> int:
        return out.stat().st_size if out.exists() else 0

    for _ in range(4):
        before, process = size(), start()
        deadline = time.monotonic() + 60
        while size() <= before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert size() > before
        if draw.random() < 0.5:  # as if the kill had fallen within a write
            os.truncate(out, size() - draw.randrange(1, 60))
    assert len(names_of(out)) < NUM_FOLLOWED
    process = start()
    deadline = time.monotonic() + 100
    while len(names_of(out)) < NUM_FOLLOWED and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert Counter(names_of(out)) == Counter(f"{number}.png" for number in range(NUM_FOLLOWED))
