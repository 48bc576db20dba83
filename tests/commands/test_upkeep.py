"""`expkit rm`, `prune` and `archive`: what goes, what stays, and what is refused."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from running_expkit import Expkit
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.files import read_json, write_json
from expkit.records.run.writer import hold_lock
from expkit.reports.runs.listing import list_entries


def copy_of(path: Path, name: str) -> Path:
    return shutil.copytree(path, path.with_name(name))


def edit_config(path: Path, **changes: object) -> None:
    """As a run that was made with other words has it; the digest is made anew from it."""
    config = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(yaml.safe_dump({**config, **changes}, sort_keys=False))
    (path / "digest.json").unlink()


def test_rm_removes_what_is_named(tiny_run: Path, run_without_torch: Expkit) -> None:
    """Whole folders, and no other; nothing of what it was aside stays."""
    other = copy_of(tiny_run, "20200101_000000_other")
    assert run_without_torch("rm", other.name, str(other), "--yes").code == 0
    assert [path.name for path in tiny_run.parent.iterdir()] == [tiny_run.name]


def test_rm_asks(
    tiny_run: Path, run_without_torch: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can answer, the flag is named; no is no."""
    from expkit.cli import dispatch

    done = run_without_torch("rm", "last")
    assert (done.code, "--yes" in done.err) == (2, True)
    monkeypatch.chdir(tiny_run.parents[1])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, is_there in (("", True), ("n", True), ("y", False)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert dispatch(["rm", "last"]) == is_there
        assert tiny_run.exists() == is_there


def test_rm_leaves_a_running_run(tiny_run: Path, run_without_torch: Expkit) -> None:
    """Also one that lies in a sweep that is to go."""
    sweep = write_sweep(tiny_run.parent, [FakeJob({"lr": 1}, 0.5)])
    (job,) = sweep.glob("2*")
    for named, held in ((tiny_run, tiny_run), (sweep, job), (sweep, sweep), (job, sweep)):
        lock = hold_lock(held)
        assert lock is not None
        try:
            for words in (("rm", "--yes"), ("archive", "--to", "x.tar", "--move", "--yes")):
                done = run_without_torch(words[0], str(named), *words[1:])
                assert (done.code, "running" in done.err) == (2, True)
        finally:
            os.close(lock)
        assert named.exists()
    assert run_without_torch("rm", sweep.name, "--yes").code == 0
    assert not sweep.exists()


def test_rm_leaves_what_others_need(tiny_run: Path, run_without_torch: Expkit) -> None:
    """It says which, and how; with those, or by force, it goes."""
    path = str(tiny_run.resolve())
    evaluation = copy_of(tiny_run, "20260601_000000_evaluation")
    edit_config(evaluation, evaluates=path)
    start = copy_of(tiny_run, "20260601_000000_start")
    procedure = yaml.safe_load((start / "config.yaml").read_text())["procedure"]
    procedure["train"]["start_from_run"] = path
    edit_config(start, procedure=procedure)
    ensemble = copy_of(tiny_run, "20260601_000000_ensemble")
    member = {"run": "a", "path": path, "epoch": 1, "weights_digest": "", "num_parameters": 1}
    member |= {"figure": 0.5, "is_used": True, "overrides": []}
    record = {"combine": "logits", "members": [member, member], "best": 0, "chosen_on": "train"}
    write_json(ensemble / "ensemble.json", {**record, "num_parameters": 2, "latency_ms": [1, 1]})
    done = run_without_torch("rm", tiny_run.name, "--yes")
    assert done.code == 2
    for other, how in (
        (evaluation, "evaluates"),
        (start, "starts from"),
        (ensemble, "ensemble of"),
    ):
        assert f"{other.name} " in done.err
        assert how in done.err
    assert tiny_run.exists()
    others = (evaluation.name, start.name, ensemble.name)
    assert run_without_torch("rm", tiny_run.name, *others, "--yes").code == 0


def be_no_run(folder: Path) -> str:
    (folder / "outputs" / "mine").mkdir()
    return "outputs/mine"


def be_the_outputs(folder: Path) -> str:
    return "outputs"


def be_a_link(folder: Path) -> str:
    (folder / "link").symlink_to(next(folder.glob("outputs/2*")))
    return "link"


def be_a_project(folder: Path) -> str:
    """With files that are called as a run's are."""
    for name in ("config.yaml", "environment.json"):
        (folder / name).write_text("{}")
    return str(folder)


def be_anothers(folder: Path) -> str:
    (folder / "theirs").mkdir()
    for name in ("config.yaml", "environment.json"):
        (folder / "theirs" / name).write_text("{}")
    return "theirs"


@pytest.mark.parametrize("make", [be_no_run, be_the_outputs, be_a_link, be_a_project, be_anothers])
@pytest.mark.parametrize(
    "command", [("rm", "--yes"), ("archive", "--to", "x.tar.gz", "--move", "-y")]
)
def test_what_is_no_run_is_never_removed(
    make: object, command: tuple[str, ...], tiny_run: Path, run_without_torch: Expkit
) -> None:
    """Not a plain folder, not all of them, not what a link leads to, not one's own project."""
    folder = tiny_run.parents[1]
    word = make(folder)  # type: ignore[operator]
    before = sorted(folder.rglob("*"))
    assert run_without_torch(command[0], word, *command[1:]).code == 2
    assert sorted(folder.rglob("*")) == before


def test_rm_follows_no_link(tiny_run: Path, run_without_torch: Expkit) -> None:
    """A link in a run goes, and what it leads to stays."""
    beside = tiny_run.parents[1] / "beside"
    beside.mkdir()
    (beside / "file").write_text("kept")
    (tiny_run / "plots").mkdir(exist_ok=True)
    (tiny_run / "plots" / "link").symlink_to(beside)
    assert run_without_torch("rm", "last", "--yes").code == 0
    assert (beside / "file").read_text() == "kept"
    assert not tiny_run.exists()


def test_prune_keeps_the_best(tiny_run: Path, run_here: Expkit) -> None:
    """Less on the disk, and the run is evaluated as before; resuming it is as it was."""
    (last,) = tiny_run.glob("checkpoints/train/last.safetensors")
    size = last.stat().st_size
    dry = run_here("prune", "outputs", "--dry-run")
    assert (dry.code, f"{size:,} bytes" in dry.out, last.exists()) == (0, True, True)
    assert run_here("prune", "last", "--yes").code == 0
    kept = [path.name for path in tiny_run.rglob("*.safetensors")]
    assert kept == ["best.safetensors"]
    assert "pruned  checkpoints/train/last.safetensors" in (tiny_run / "log.txt").read_text()
    assert "nothing to remove" in run_here("prune", "last", "--yes").out
    before = read_json(tiny_run / "summary.json")["metrics"]["train"]["accuracy"]
    assert run_here("evaluate", tiny_run.name, "output_dir=again").code == 0
    (again,) = Path("again").glob("2*")
    assert read_json(again / "summary.json")["metrics"]["train"]["accuracy"] == before


def test_prune_keeps_the_last_where_it_stands_for_the_run(
    tiny_run: Path, run_without_torch: Expkit
) -> None:
    """An evaluation with `weights: last` has measured that."""
    procedure = yaml.safe_load((tiny_run / "config.yaml").read_text())["procedure"]
    procedure["evaluate"] = {**procedure["evaluate"], "weights": "last"}
    edit_config(tiny_run, procedure=procedure)
    assert "nothing to remove" in run_without_torch("prune", "last", "--yes").out


def test_prune_leaves_what_is_to_be_resumed(tiny_run: Path, run_without_torch: Expkit) -> None:
    """And what is running."""
    (tiny_run / "stages.jsonl").write_text("")
    done = run_without_torch("prune", "last", "--yes")
    assert "interrupted: it needs them to go on" in done.out
    assert len(list(tiny_run.rglob("*.safetensors"))) == 2


@pytest.mark.parametrize("to", ["kept.tar.gz", "kept.tar", "kept"])
def test_an_archive_is_read_again(to: str, tiny_run: Path, run_without_torch: Expkit) -> None:
    """Each file is as it was, its sum stands beside it, and the run is listed as before."""
    folder = tiny_run.parents[1]
    sums = {
        f"{tiny_run.name}/{path.relative_to(tiny_run)}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in tiny_run.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    (before,) = list_entries(tiny_run.parent)
    assert run_without_torch("archive", "last", "--to", to).code == 0
    assert tiny_run.exists()
    if to != "kept":
        (folder / "unpacked").mkdir()
        with tarfile.open(folder / to) as tar:
            tar.extractall(folder / "unpacked", filter="data")
        subprocess.run(
            ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder / "unpacked", check=True
        )
    there = folder / ("kept" if to == "kept" else "unpacked")
    for place, digest in sums.items():
        assert hashlib.sha256((there / place).read_bytes()).hexdigest() == digest
    (entry,) = list_entries(there)
    assert (entry.name, entry.value, entry.started) == (before.name, before.value, before.started)


def test_archive_moves_once_the_copy_is_proved(
    tiny_run: Path, run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gives back something else costs nothing; else the original goes."""
    from expkit.records.upkeep import archive

    sound = archive._sums_of_tar
    monkeypatch.setattr(archive, "_sums_of_tar", lambda path: {**sound(path), "x": "y"})
    assert run_here("archive", "last", "--to", "kept.tar.gz", "--move", "--yes").code == 2
    assert tiny_run.exists()
    assert [path.name for path in tiny_run.parents[1].iterdir()] == ["outputs"]
    monkeypatch.setattr(archive, "_sums_of_tar", sound)
    assert run_here("archive", "last", "--to", "kept.tar.gz", "--move", "--yes").code == 0
    assert not tiny_run.exists()


@pytest.mark.parametrize("to", ["there.tar.gz", "there.zip", "nowhere/x.tar", "outputs"])
def test_an_archive_writes_over_nothing(to: str, tiny_run: Path, run_without_torch: Expkit) -> None:
    """Not over a file, and not over the run itself."""
    (tiny_run.parents[1] / "there.tar.gz").write_text("mine")
    assert run_without_torch("archive", "last", "--to", to).code == 2
    assert (tiny_run.parents[1] / "there.tar.gz").read_text() == "mine"
    assert len(list(tiny_run.parent.iterdir())) == 1


@pytest.mark.parametrize("to", ["", "kept.tar"])
def test_nothing_is_archived_into_another_run(
    to: str, tiny_run: Path, run_without_torch: Expkit
) -> None:
    """A run with others in it could be neither removed nor archived any more."""
    other = shutil.copytree(tiny_run, tiny_run.with_name("20260101_000000_other"))
    done = run_without_torch("archive", tiny_run.name, "--to", str(other / to))
    assert done.code == 2
    assert "nothing is added" in done.err
    assert len(list_entries(tiny_run.parent)) == 2
    assert not (other / tiny_run.name).exists()
    assert not (other / "kept.tar").exists()


def test_unpacked_runs_are_listed_as_archive_says(tiny_run: Path, run_here: Expkit) -> None:
    """The advice is taken, in the folder where it is given."""
    done = run_here("archive", "last", "--to", "kept.tar", "--move", "--yes")
    advice = done.out.splitlines()[-1].removeprefix("read it again: ")
    unpack, _, listing = advice.partition(", then expkit ")
    subprocess.run(shlex.split(unpack), check=True)
    assert tiny_run.name in run_here(*shlex.split(listing)).out


def test_archive_follows_no_link(tiny_run: Path, run_without_torch: Expkit) -> None:
    """A run with a link in it is refused: its target is none of the run's."""
    (tiny_run / "link").symlink_to("/etc/passwd")
    assert run_without_torch("archive", "last", "--to", "x.tar.gz").code == 2
    assert [path.name for path in tiny_run.parents[1].iterdir()] == ["outputs"]
