"""Lists, notes, tags and upkeep of folders that strangers or accidents have spoilt."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_arena import CONTROL
from running_expkit import Expkit

from expkit.cli import dispatch
from expkit.reports.runs.listing import list_entries

CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "a torn line": b'{"at": "2026',
    "null": b"null",
    "a list": b"[]",
    "an empty record": b"{}",
    "lines of lists": b"[]\n[]\n",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "a number of 5,000 digits": b'{"status": 1' + b"0" * 5_000 + b"}",
    "bytes": bytes(range(256)) * 8,
    "codes": b'{"at": "\\u001b[2J", "note": "\\u001b[2J\\u202e", "status": "\\u001b[2J"}\n{}\n',
    "tags that are none": b'{"at": "", "add": ["\\u001b[2J", 3]}\n{"at": "", "add": 3}\n',
}
FILES = (
    *("config.yaml", "environment.json", "overrides.yaml", "digest.json", "stages.jsonl"),
    *("history.jsonl", "summary.json", "annotations.jsonl", "extensions.jsonl", "ensemble.json"),
)
COMMANDS = (
    ("runs",),
    ("runs", "--all", "--where", "status!=x", "tags!=y", "--sort", "accuracy"),
    ("note", "gift"),
    ("tag", "gift", "+a"),
    ("prune", "outputs", "--dry-run"),
    ("resume", "gift", "procedure.train.max_epochs=4"),
    ("archive", "gift", "--to", "kept.tar"),
    ("rm", "gift", "--yes"),
)


def be_a_pipe(path: Path) -> None:
    os.mkfifo(path)


def be_a_folder(path: Path) -> None:
    path.mkdir()


def be_a_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def be_a_loop(path: Path) -> None:
    path.symlink_to(path.name)


KINDS = (be_a_pipe, be_a_folder, be_a_link, be_a_loop)


def answer(*words: str) -> tuple[int, str]:
    """The exit code of a command, and all that it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = dispatch(words)
    return code, said.getvalue()


@pytest.mark.broad(2)
@pytest.mark.parametrize("name", FILES)
def test_a_spoilt_record_spoils_one_line(
    name: str, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, no control character, nothing that hangs; the other run is listed as ever."""
    monkeypatch.chdir(tiny_run.parents[1])
    gift = tiny_run.with_name("20200101_000000_gift")

    def spoil_with(spoil: Callable[[Path], object]) -> None:
        shutil.rmtree(gift, ignore_errors=True)
        shutil.copytree(tiny_run, gift)
        (gift / name).unlink(missing_ok=True)
        if name != "digest.json":
            (gift / "digest.json").unlink()
        spoil(gift / name)
        entries = {entry.name: entry for entry in list_entries(Path("outputs"))}
        assert entries[tiny_run.name].value is not None
        for words in COMMANDS:
            Path("kept.tar").unlink(missing_ok=True)
            if words[0] in ("resume",) and not name.startswith(("exten", "stages", "history")):
                continue  # has a suite of its own
            code, said = answer(*words)
            assert code in (0, 1, 2), (words, said)
            assert CONTROL.search(said) is None, (words, said)
        assert tiny_run.exists()

    for content in CONTENTS.values():
        spoil_with(lambda path, content=content: path.write_bytes(content))
    for kind in KINDS:
        spoil_with(kind)


def test_a_hostile_index_is_not_believed(
    tiny_run: Path, run_without_torch: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in it, the list is made, and says nothing that a terminal obeys."""
    for content in CONTENTS.values():
        (tiny_run.parent / ".runs_index.jsonl").write_bytes(content)
        done = run_without_torch("runs")
        assert (done.code, CONTROL.search(done.out)) == (0, None)
        assert tiny_run.name in done.out
