"""The pages in a run folder, and the lab notebook's page on several runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image
from synthetic_runs import classes_run, config_of, failed_gate_run, interrupted_run, puzzle_run

from expkit.errors import UserError
from expkit.records.files import read_json
from expkit.reports import markdown
from expkit.reports.notebook.page import kept_notes, write_notebook
from expkit.reports.run.pages import refresh

REFERENCE = {"source": "log 2", "figures": {"accuracy": 0.993, "train/top5_accuracy": 1.0}}


def test_refresh_writes_every_page(tmp_path: Path, unrendered: None) -> None:
    """Summary, table, report and images are there, and the report shows the images."""
    run = puzzle_run(tmp_path, 4, 5)
    summary = refresh(run.path, plots=True)
    assert json.loads((run.path / "summary.json").read_text()) == summary
    report = (run.path / "report.md").read_text()
    for line in report.splitlines():
        if line.startswith("!["):
            assert (run.path / line.partition("](")[2].rstrip(")")).is_file()
    assert "plots/puzzle_accuracy.png" in report
    assert not [path for path in run.path.rglob(".*") if path.name != ".lock"]


def test_metrics_csv_is_the_history(tmp_path: Path) -> None:
    """One row a line, a column a key; what a line lacks is empty."""
    run = puzzle_run(tmp_path, 4, 5)
    refresh(run.path, plots=False)
    with (run.path / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(run.history)
    assert float(rows[-1]["train/loss"]) == run.history[-1]["train/loss"]
    assert rows[0]["train/top5_accuracy"] == ""


def test_report_is_honest_about_where(tmp_path: Path) -> None:
    """Verdict first, then the split that the figures are of, chance and the reference."""
    run = puzzle_run(tmp_path, config=config_of(reference=REFERENCE))
    refresh(run.path, plots=False)
    lines = (run.path / "report.md").read_text().splitlines()
    text = "\n".join(lines)
    assert lines[2].startswith("**NOT MET**: 1 of 2 criteria met")
    assert "measured on the training samples" in text
    assert "| accuracy | 96.32 % | 99.30 % | -2.98 points |" in text
    assert "expkit train model=larger_backbone image=/home/me/lake.jpg" in text


def test_pictures_come_first_and_changed_settings_before_the_others(
    tmp_path: Path, unrendered: None
) -> None:
    """The earlier epochs of a puzzle are folded, and so is what nobody changed."""
    run = puzzle_run(tmp_path, 4, 5)
    environment = json.loads((run.path / "environment.json").read_text())
    environment["choices"] = {"model": "larger_backbone", "procedure": "standard"}
    (run.path / "environment.json").write_text(json.dumps(environment))
    refresh(run.path, plots=True)
    report = (run.path / "report.md").read_text()
    headings = [line for line in report.splitlines() if line.startswith("## ")]
    assert headings[0] == "## Plots"
    assert report.index("plots/puzzle_accuracy.png") < report.index("plots of earlier epochs")
    assert "| `model` | `larger_backbone` | `simple_conv` |" in report
    assert "| `procedure.evaluate` | left out | there |" not in report
    shown, _, rest = report.partition("<summary>The other")
    assert "| `procedure.train.max_epochs` | `40` | `150` |" in shown
    assert "procedure.overfit_10.max_steps" not in shown
    assert "| `procedure.overfit_10.max_steps` | `500` |" in rest


@pytest.mark.parametrize("write", [failed_gate_run, interrupted_run])
def test_cut_off_run_has_its_pages(tmp_path: Path, write: object) -> None:
    """A run without predictions is reported as far as it came."""
    assert callable(write)
    run = write(tmp_path)
    summary = refresh(run.path, plots=False)
    assert summary["verdict"] == "not judged"
    assert "NOT JUDGED" in (run.path / "report.md").read_text()


def test_the_index_is_told_one_metric(tmp_path: Path, undrawn: None) -> None:
    """The figure and the answer beside it are of the criterion's, which need not be accuracy."""
    config = config_of(criteria={"macro_f1": "> 0.5"})
    subject = puzzle_run(tmp_path / "a", 4, 5, config=config)
    other = puzzle_run(tmp_path / "b", 4, 5, share_right=0.5, config=config_of(name="simple_conv"))
    write_notebook([subject, other], tmp_path / "page")
    told = read_json(tmp_path / "page" / "result.json")
    assert told["metric"] == "macro_f1"
    assert "McNemar" not in told["compared"][0]["words"]
    assert "paired sign-flip test" in told["compared"][0]["words"]


def test_other_files_under_the_same_settings_are_other_samples(
    tmp_path: Path, undrawn: None
) -> None:
    """One was moved to another class: figures from before and after are of two families."""
    runs = [puzzle_run(tmp_path / name, 4, 5) for name in "abc"]
    table = runs[2].path / "predictions.csv"
    lines = table.read_text().splitlines(keepends=True)
    split, sample, _, predicted, _, *numbers = lines[1].split(",")
    rank = sum(float(number) > float(numbers[1]) for number in numbers)
    moved = ",".join([split, sample, "r00_c01", predicted, str(rank), *numbers])
    table.write_text("".join([lines[0], moved, *lines[2:]]))
    for run in runs:
        write_notebook([run], tmp_path / "page" / run.path.parent.name)
    first, same, other = (
        read_json(tmp_path / "page" / name / "result.json")["judged_samples"] for name in "abc"
    )
    assert first == same != other


def test_notebook_compares(tmp_path: Path, undrawn: None) -> None:
    """Settings that differ, both runs' figures, what the difference proves, and the reference."""
    subject = puzzle_run(tmp_path / "a", config=config_of(reference=REFERENCE))
    other = puzzle_run(
        tmp_path / "b",
        share_right=0.9,
        config=config_of(name="simple_conv", model={"_target_": "x", "width": 16}),
    )
    text = write_notebook([subject, other], tmp_path / "page").read_text()
    assert "| `model.width` | `16` | - |" in text
    assert "`name`" not in text
    assert "`optimizer.lr`" not in text
    assert "| accuracy | 96.32 % | 90.21 % | 0.11 % | 0.11 % |" in text
    assert "beside simple_conv, accuracy: +6.11 points (+4.50 to +7.76): better (58 of 950" in text
    assert "not about the recipes" in text
    assert "-2.98 points" in text
    assert "Measured on the training samples" in text


@pytest.mark.slow
def test_notebook_names_no_place_of_this_machine(tmp_path: Path) -> None:
    """Neither the run's folder nor an image's place on somebody's disk is in the page."""
    page = write_notebook([puzzle_run(tmp_path, 4, 5)], tmp_path / "page").read_text()
    assert str(tmp_path) not in page
    assert "/home/" not in page
    assert "output_dir" not in page
    assert "expkit train model=larger_backbone image=PATH/lake.jpg" in page


@pytest.mark.slow
def test_notebook_pictures_are_small(tmp_path: Path) -> None:
    """The whole folder stays under 1.5 MB, every link leads to an image, none is too wide."""
    page = write_notebook([puzzle_run(tmp_path)], tmp_path / "page")
    links = [ln for ln in page.read_text().splitlines() if ln.startswith("![")]
    pictures = [page.parent / ln.partition("](")[2].rstrip(")") for ln in links]
    assert [path.stem for path in pictures] == ["curves_train", "puzzle_accuracy", "puzzle_grid"]
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.width <= 1100
    assert sum(path.stat().st_size for path in page.parent.iterdir()) < 1_500_000


def test_notes_survive_a_refresh(tmp_path: Path, undrawn: None) -> None:
    """What a person wrote under Notes is still there, once, after two more refreshes."""
    run = classes_run(tmp_path, per_class=2)
    page = write_notebook([run], tmp_path / "page")
    notes = "The log's run had a bug.\n\n## Notes of others\n\nMore."
    page.write_text(page.read_text() + f"\n{notes}\n")
    for _ in range(2):
        write_notebook([run], tmp_path / "page")
    assert page.read_text().endswith(f"## Notes\n\n{notes}\n")
    assert page.read_text().count("The log's run had a bug.") == 1


@pytest.mark.parametrize(
    "notes",
    [b"", b"\n    code first\n\n\ttab  \n\n\n", b"from Windows\r\n", b"caf\xe9 \x00", b"no end"],
)
def test_notes_are_kept_to_the_byte(tmp_path: Path, notes: bytes) -> None:
    """However they were typed, after one refresh and after two."""
    page = tmp_path / "README.md"
    for heading in (b"\n## Notes\n", b"\r\n## Notes\r\n"):
        page.write_bytes(b"# old" + heading + notes)
        assert kept_notes(page) == notes
    page.write_bytes(b"# old\n\n## Notes")
    assert kept_notes(page) == b""


def test_a_page_by_hand_is_not_overwritten(tmp_path: Path, undrawn: None) -> None:
    """A README that has no Notes is somebody else's, and stays."""
    (tmp_path / "README.md").write_text("# Mine\n")
    with pytest.raises(UserError, match="no '## Notes' heading"):
        write_notebook([classes_run(tmp_path / "run", per_class=2)], tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Mine\n"


def test_other_data_is_said_not_to_compare(tmp_path: Path, undrawn: None) -> None:
    """Runs judged on other samples may stand side by side only with a warning."""
    page = write_notebook(
        [puzzle_run(tmp_path / "a", 4, 5), classes_run(tmp_path / "b", per_class=2)],
        tmp_path / "page",
    )
    assert "not compared: measured on train, the baseline on test" in page.read_text()
    assert "right on" not in page.read_text()
    assert "| 5.00 % / 10.00 % | 5.00 % / 10.00 % |" in page.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image=/home/me/a.jpg", "image=PATH/a.jpg"),
        ("see /tmp/x/y, there", "see PATH/y, there"),
        ("a/b and ./c/d", "a/b and ./c/d"),
        ("https://host/a/b", "https://host/a/b"),
        ("image=~/pictures/a.jpg", "image=PATH/a.jpg"),
    ],
)
def test_absolute_places_are_taken_out(text: str, expected: str) -> None:
    """Absolute and home paths lose their folders; relative ones and addresses stay."""
    assert markdown.without_places(text) == expected
