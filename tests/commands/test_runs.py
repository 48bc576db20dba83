"""`expkit runs`, and what is said of runs: notes and tags."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from running_expkit import Expkit

from expkit.records.files import read_json, write_json
from expkit.records.run.annotations import read_annotations
from expkit.records.run.digest import read_digest
from expkit.records.sweep.job import job_id
from expkit.terminal.arguments import each_where


@pytest.fixture
def three(tiny_run: Path) -> list[Path]:
    """Three runs whose accuracy is 0.5, 0.7 and 0.9; the last one has another learning rate."""
    paths = []
    for number, accuracy in enumerate((0.5, 0.7, 0.9)):
        path = shutil.copytree(tiny_run, tiny_run.with_name(f"20260101_00000{number}_net"))
        record = read_json(path / "digest.json")
        record["metrics"]["train"]["accuracy"] = accuracy
        record["config"] |= {"optimizer.lr": 0.001 * (1 + number // 2)}
        record["started"] = f"2026-01-01T00:00:0{number}+00:00"
        write_json(path / "digest.json", record)
        paths.append(path)
    shutil.rmtree(tiny_run)
    return paths


def names_in(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.startswith("2026")]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ((), [0, 1, 2]),
        (("--where", "accuracy>0.5"), [1, 2]),
        (("--where", "accuracy>=50%", "train/accuracy<0.9"), [0, 1]),
        (("--where", "optimizer.lr=0.001", "--where", "accuracy!=0.5"), [1]),
        (("--where", "model=simple_conv", "status!=failed", "accuracy<=0.7"), [0, 1]),
        (("--where", "tags=paper"), [1]),
        (("--where", "tags!=paper", "outputs"), [0, 2]),
        (("--sort", "accuracy", "--columns", "optimizer.lr,accuracy"), [0, 1, 2]),
        (("--sort=-objective",), [2, 1, 0]),
    ],
)
def test_runs_are_listed_filtered_and_sorted(
    words: tuple[str, ...], kept: list[int], three: list[Path], run_without_torch: Expkit
) -> None:
    """Newest last, without torch; conditions may follow each other."""
    assert run_without_torch("tag", three[1].name, "+paper").code == 0
    done = run_without_torch("runs", *words)
    assert done.code == 0
    assert names_in(done.out) == [three[place].name for place in kept]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "acuracy>0.5"), "nearest  accuracy"),
        (("--where", "train/acuracy>0.5"), "nearest  train/accuracy"),
        (("--where", "optimizer.lrr>0.5"), "nearest  optimizer.lr"),
        (("--where", "tag=paper"), "nearest  tags"),
        (("--where", "status=finishd"), "nearest  finished"),
        (("--where", "accuracy"), "in quotes"),
        (("--where", "accuracy>high"), "compares numbers"),
        (("--where", "accuracy>0.99"), "accuracy is 0.5, 0.7, 0.9"),
        (("--columns", "optimizer.lrr"), "nearest  optimizer.lr"),
        (("--sort", "sise"), "nearest  size"),
        (("nowhere",), "cannot be listed"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(
    words: tuple[str, ...], said: str, three: list[Path], run_without_torch: Expkit
) -> None:
    """On one screen, of keys, metrics, columns and values."""
    done = run_without_torch("runs", *words)
    assert done.code == 2
    assert said in done.err


def test_compare_takes_the_same_conditions(three: list[Path], run_without_torch: Expkit) -> None:
    """Also where the runs follow them."""
    run_without_torch("tag", *(path.name for path in three[:2]), "+paper")
    done = run_without_torch("compare", "--where", "tags=paper", "accuracy>0.4", "20260101_*")
    assert three[0].name in done.out
    assert three[2].name not in done.out


def test_where_ends_with_its_conditions() -> None:
    """What follows them is a run or a flag again."""
    words = ["--where", "a=1", "b>2", "RUN", "c=3", "--sort", "x"]
    assert each_where(words) == ["--where", "a=1", "--where", "b>2", "RUN", "c=3", "--sort", "x"]


def test_an_empty_folder_has_no_runs(run_without_torch: Expkit, tmp_path: Path) -> None:
    """Which is no fault, also before there is a folder outputs."""
    (tmp_path / "empty").mkdir()
    for words in ((), ("empty",)):
        done = run_without_torch("runs", *words)
        assert (done.code, names_in(done.out)) == (0, [])


def test_a_run_is_no_folder_of_runs(three: list[Path], run_without_torch: Expkit) -> None:
    """The advice is the command that shows it."""
    done = run_without_torch("runs", str(three[0]))
    assert (done.code, "expkit show" in done.err) == (2, True)


@pytest.mark.parametrize("width", [20, 60, 80])
def test_lines_fit_the_terminal(width: int, three: list[Path]) -> None:
    """The longest columns are cut; without a terminal none is."""
    from expkit.reports.runs.listing import list_entries
    from expkit.reports.runs.runs_screen import DEFAULT, runs_screen

    entries = list_entries(three[0].parent)
    narrow, wide = runs_screen(entries, DEFAULT, width), runs_screen(entries, DEFAULT, None)
    assert max(map(len, narrow.splitlines())) <= width < max(map(len, wide.splitlines()))


def test_notes_and_tags_are_shown_with_the_run(
    three: list[Path], run_without_torch: Expkit
) -> None:
    """On its screen, on its page and in the list; a note is never lost, a tag can go."""
    run_without_torch("note", "last", "the lr", "is <too> large")
    run_without_torch("note", "last", "second")
    run_without_torch("tag", "last", "+paper", "+draft")
    run_without_torch("tag", "last", "-draft", "+a.b")
    shown = run_without_torch("show", "last").out
    page = (three[2] / "report.md").read_text()
    assert "the lr is <too> large" in shown
    assert "the lr is &lt;too> large" in page
    assert "Tags: `paper`, `a.b`." in page
    assert "paper, a.b" in shown
    assert "second" in shown
    assert "paper, a.b" in run_without_torch("runs").out
    noted = read_annotations(three[2])
    assert noted.tags == ("paper", "a.b")
    assert [note.text for note in noted.notes] == ["the lr is <too> large", "second"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("note", "last", " "), "has some text"),
        (("note", "last", "x" * 20_000), "20,000 characters"),
        (("note", "nowhere", "x"), "there is no run 'nowhere'"),
        (("tag", "last", "paper"), "expkit tag last +paper"),
        (("tag", "last", "+a b"), "'a b' is no tag"),
        (("tag", "last", "+"), "'' is no tag"),
        (("tag", "last", "-paper"), "has no tag 'paper'"),
        (("tag", "+paper"), "required: RUN"),
    ],
)
def test_odd_notes_and_tags_are_refused(
    words: tuple[str, ...], said: str, three: list[Path], run_without_torch: Expkit
) -> None:
    """And leave nothing behind."""
    done = run_without_torch(*words)
    assert (done.code, said in done.err) == (2, True)
    assert not list(three[0].parent.glob("*/annotations.jsonl"))


def test_tags_of_the_start_make_no_other_recipe(tiny_run: Path) -> None:
    """They stand in the config, and neither a job's identity nor a comparison looks at them."""
    from expkit.records.seed_groups import settings_of

    digest = read_digest(tiny_run)
    assert digest is not None
    assert digest.config["tags"] == []
    tagged = {**digest.config, "tags": ["paper"]}
    assert settings_of(tagged) == settings_of(digest.config)
    assert job_id({"seed": 1, "tags": ["paper"]}) == job_id({"seed": 1})


def test_html_writes_the_page_of_all_and_a_note_reaches_it(
    three: list[Path], run_without_torch: Expkit
) -> None:
    """Without torch; the page's path is all that is said."""
    done = run_without_torch("runs", "--html")
    assert (done.code, done.out.strip()) == (0, "outputs/index.html")
    page = three[0].parent / "index.html"
    assert all(path.name in page.read_text() for path in three)
    assert run_without_torch("note", three[0].name, "seen in the page").code == 0
    assert "seen in the page" in page.read_text()


@pytest.mark.parametrize(
    "words", [("note", "last", "x"), ("tag", "last", "+x"), ("runs", "--html")]
)
def test_a_full_disk_is_said_with_its_place(
    words: tuple[str, ...], three: list[Path], run_here: Expkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a user's words, and with no advice to set an `output_dir` that these do not have."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("expkit.reports.html.index_page", "expkit.commands.runs"):
        monkeypatch.setattr(f"{name}.write_index", fail)
    monkeypatch.setattr("expkit.commands.note.add_note", fail)
    monkeypatch.setattr("expkit.commands.tag.change_tags", fail)
    done = run_here(*words)
    place = "outputs" if words[0] == "runs" else f"outputs/{three[2].name}"
    assert (done.code, f"cannot write to '{place}'" in done.err) == (2, True)
    assert "output_dir" not in done.err
