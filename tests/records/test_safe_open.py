"""Files of a stranger's run or sweep: regular, inside, and of a sensible size, or refused."""

from __future__ import annotations

import io
import os
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from synthetic_runs import classes_run

from expkit.errors import UserError
from expkit.records import safe_open
from expkit.records.arrays import SAMPLES_ARRAYS, read_arrays, read_image
from expkit.records.files import append_line, read_yaml, write_aside, write_output
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder, hold_lock, is_locked
from expkit.records.safe_open import list_inside, make_inside, open_to_read, read_file
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.reports.run.pages import refresh

JOB = "0123456789abcdef"


def link(path: Path) -> None:
    """A link to a file of the user's, which lies outside."""
    outside = path.parent.parent / "mine"
    outside.write_text("{}")
    path.symlink_to(outside)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def own_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [link, pipe, folder, own_socket])
@pytest.mark.parametrize("work", [read_file, lambda path: append_line(path, "x")])
def test_what_is_no_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], work: Callable[[Path], Any]
) -> None:
    """No link is followed, and no pipe waited for, neither to read nor to append."""
    run = tmp_path / "run"
    run.mkdir()
    make(run / "log.txt")
    with pytest.raises(UserError, match=r"'log.txt' is a (link|pipe|folder|socket)"):
        work(run / "log.txt")
    if make is link:
        assert (tmp_path / "mine").read_text() == "{}"


def test_links_on_the_way_are_refused(tmp_path: Path) -> None:
    """A folder inside a run may lead nowhere; the run itself may be reached through a link."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.png").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / "plots").symlink_to(mine)
    (tmp_path / "last").symlink_to(run)
    for root in (run, tmp_path / "last"):
        for work in (
            lambda root=root: read_file(root / "plots" / "a.png", root),
            lambda root=root: write_aside(root / "plots" / "b.png", b"", root),
            lambda root=root: append_line(root / "plots" / "a.png", "", root),
            lambda root=root: make_inside(root / "plots", root),
            lambda root=root: list(list_inside(root / "plots", "*.png", root)),
        ):
            with pytest.raises(UserError, match="'plots' is a link"):
                work()
    (run / "own.txt").write_text("own")
    assert read_file(tmp_path / "last" / "own.txt", tmp_path / "last") == b"own"
    assert [path.name for path in mine.iterdir()] == ["a.png"]
    assert (mine / "a.png").read_text() == "mine"


def test_a_file_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen names the file, its size, and the limit; one byte less is read."""
    monkeypatch.setitem(safe_open.LIMITS, ".yaml", 3_000_000)
    (tmp_path / "config.yaml").write_bytes(b"x" * 3_000_001)
    with pytest.raises(UserError, match=r"'config.yaml' is too large to be read: 3 MB") as caught:
        open_to_read(tmp_path / "config.yaml")
    assert caught.value.details["allowed"] == "at most 3 MB"
    (tmp_path / "config.yaml").write_bytes(b"x" * 3_000_000)
    assert len(read_file(tmp_path / "config.yaml")) == 3_000_000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &a [*a]", "within what it repeats"),
        ("a: &a {b: {c: *a}}", "within what it repeats"),
        (
            "a0: &a0 [x, x]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
            "more than 100,000 values",
        ),
        (
            "a0: &a0 {x: 1}\n"
            + "".join(
                f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
            ),
            "more than 100,000 values",
        ),
        ("[" * 101 + "]" * 101, "nested too deep"),
        ("a: " + "9" * 5000, "digits"),
        ("a: 0x" + "f" * 5000, "too large"),
        ("a: 2026-01-01", "holds a date"),
        ("a: !!set {x}", "holds a set"),
    ],
    ids=["loop", "far loop", "aliases", "merges", "deep", "digits", "hex", "date", "set"],
)
def test_yaml_is_plain_data(tmp_path: Path, text: str, told: str) -> None:
    """A bomb is found before it is written out."""
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises((ValueError, yaml.YAMLError), match=told):
        read_yaml(tmp_path / "config.yaml")


def test_aliases_of_a_written_config_are_read(tmp_path: Path) -> None:
    """PyYAML writes a list that stands twice as an alias: that is no bomb."""
    twice = [1, 2]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"a": twice, "b": twice}))
    assert "*id001" in (tmp_path / "config.yaml").read_text()
    assert read_yaml(tmp_path / "config.yaml") == {"a": [1, 2], "b": [1, 2]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return classes_run(tmp_path_factory.mktemp("made"), ["clean", "pit"], num_epochs=2)


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    """A copy of a run, as if it had come from elsewhere."""
    return Run(shutil.copytree(made.path, tmp_path / made.path.name))


def test_pages_are_not_drawn_through_a_link(run: Run, tmp_path: Path) -> None:
    """What lies where a linked plots/ leads is neither deleted nor added to."""
    mine = tmp_path / "holidays"
    mine.mkdir()
    (mine / "me.png").write_bytes(b"mine")
    (run.path / "plots").symlink_to(mine)
    for plots in (True, False):
        with pytest.raises(UserError, match="'plots' is a link"):
            refresh(run.path, plots=plots)
    assert [path.name for path in mine.iterdir()] == ["me.png"]


@pytest.mark.parametrize(
    "name",
    ["config.yaml", "environment.json", "overrides.yaml", "dataset.json", "predictions.csv"],
)
@pytest.mark.parametrize("make", [link, pipe])
def test_records_behind_links_and_pipes_are_refused(
    run: Run, name: str, make: Callable[[Path], None]
) -> None:
    """Each record of a run is a file of its own, and asking a pipe for it does not hang."""
    (run.path / name).unlink()
    make(run.path / name)
    with pytest.raises(UserError, match=f"'{name}' is a"):
        getattr(run, name.partition(".")[0])


def test_a_run_is_not_resumed_into_a_link(run: Run, tmp_path: Path) -> None:
    """Neither its lock nor its log is made or written elsewhere."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine\n")
    (run.path / ".lock").unlink(missing_ok=True)
    (run.path / ".lock").symlink_to(tmp_path / "new")
    with pytest.raises(UserError, match=r"'.lock' is a link"):
        hold_lock(run.path)
    assert not is_locked(run.path)
    assert not (tmp_path / "new").exists()
    (run.path / ".lock").unlink()
    (run.path / "log.txt").unlink(missing_ok=True)
    (run.path / "log.txt").symlink_to(mine)
    opened = RunFolder.reopen(run.path)
    with pytest.raises(UserError, match=r"'log.txt' is a link"):
        opened.log("resumed")
    opened.close()
    assert mine.read_text() == "mine\n"


def test_a_run_that_evaluates_itself_is_told(run: Run, tmp_path: Path) -> None:
    """Also over another run, and also by another path."""
    other = Run(shutil.copytree(run.path, tmp_path / "other"))
    (tmp_path / "again").symlink_to(run.path)
    for each, of in ((run, other.path), (other, tmp_path / "again")):
        config = {**each.config, "evaluates": str(of)}
        (each.path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="evaluates itself"):
        _ = Run(run.path).trained


@pytest.mark.parametrize("stage", ["../../../mine", "/mine", "a/b", ".hidden", "", "x\x1b[31m"])
def test_a_stage_names_no_place_outside(run: Run, stage: str) -> None:
    """A stage's name is a folder of its checkpoints, and no way out of them."""
    config = {**run.config, "procedure": {stage: None}}
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"'config.yaml' is damaged"):
        _ = Run(run.path).config


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def bomb() -> bytes:
    """An array that says it has a terabyte, in a file of a few hundred bytes."""
    stream = io.BytesIO()
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("stored.npy", head.getvalue())
    return stream.getvalue()


IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"no zip",
        b"",
        bomb(),
        npz(stored=np.array([{}], dtype=object), seen=IMAGES, targets=np.array([0, 1])),
        npz(stored=IMAGES, seen=IMAGES),
        npz(stored=IMAGES.astype(float), seen=IMAGES, targets=np.array([0, 1])),
        npz(stored=IMAGES[0], seen=IMAGES, targets=np.array([0, 1])),
        npz(stored=IMAGES[:1], seen=IMAGES, targets=np.array([0, 1])),
        npz(stored=IMAGES, seen=IMAGES, targets=np.array([0, 7])),
        npz(stored=IMAGES, seen=IMAGES, targets=np.array([0.0, 1.0])),
        npz(**{f"a{i}": IMAGES for i in range(20)}),
    ],
    ids=[
        *("text", "empty", "bomb", "objects", "missing", "floats", "axes", "lengths", "class"),
        *("fractions", "many"),
    ],
)
def test_odd_arrays_are_refused(run: Run, content: bytes) -> None:
    """Arrays that hold code, fill the memory or do not belong together are one screen."""
    (run.path / "samples").mkdir(exist_ok=True)
    (run.path / "samples" / "augmented.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"'augmented.npz' is damaged"):
        run.samples("augmented")


def test_sound_arrays_are_read(tmp_path: Path) -> None:
    """What the checks above refuse differs from this."""
    path = tmp_path / "augmented.npz"
    path.write_bytes(npz(stored=IMAGES, seen=IMAGES, targets=np.array([0, 1])))
    assert read_arrays(path, tmp_path, SAMPLES_ARRAYS)["targets"].tolist() == [0, 1]


def test_an_image_that_would_be_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow knows EPS by its content, whatever its name, and has Ghostscript run it."""
    from PIL import EpsImagePlugin

    asked: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *words, **_: asked.append(words))
    path = tmp_path / "picture.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n%%EndComments\n%%EOF\n")
    with pytest.raises(UserError, match=r"picture\.png"):
        read_image(path, tmp_path)
    assert not asked


def test_a_sweeps_jobs_lie_inside_it(tmp_path: Path) -> None:
    """Neither the folder of jobs, nor an output, nor a run of it leads elsewhere."""
    sweep = SweepFolder.create(tmp_path / "sweep", {"command": [], "objective": "val/accuracy"})
    sweep.plan(JOB, 0, [], {"seed": 0})
    sweep.note(JOB, "run", run="inside")
    mine = tmp_path / "mine"
    mine.mkdir()
    (sweep.path / "inside").symlink_to(mine)
    with pytest.raises(UserError, match="'inside' is a link"):
        _ = Sweep(sweep.path).jobs[0].run
    (sweep.path / "jobs" / f"{JOB}.txt").symlink_to(mine / "new")
    with pytest.raises(UserError, match="is a link"):
        _ = Sweep(sweep.path).jobs[0].output
    shutil.rmtree(sweep.path / "jobs")
    (sweep.path / "jobs").symlink_to(mine)
    for work in (
        lambda: sweep.note(JOB, "started"),
        lambda: sweep.ask_to_stop(JOB),
        lambda: Sweep(sweep.path).jobs,
    ):
        with pytest.raises(UserError, match="'jobs' is a link"):
            work()
    assert list(mine.iterdir()) == []


def test_special_files_are_written_to(tmp_path: Path) -> None:
    """A pipe that the user names gets the bytes and stays one; a link leads to its file."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_output(tmp_path / "pipe", b"told")
    assert os.read(reader, 10) == b"told"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    for content in (b"new", b"newer"):
        write_output(tmp_path / "link", content)
        assert (tmp_path / "far").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    write_output(Path(os.devnull), b"gone")
    assert Path(os.devnull).is_char_device()
