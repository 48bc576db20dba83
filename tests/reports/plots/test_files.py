"""Images as PNG, SVG or PDF, as the config asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from running_expkit import Expkit
from synthetic_runs import classes_run, config_of, position_run, puzzle_run

from expkit.records.run.reader import Run
from expkit.reports.plots.files import FORMATS, find_plots, format_of
from expkit.reports.plots.gallery import draw_plots
from expkit.reports.run.pages import refresh

STARTS = {".png": b"\x89PNG", ".svg": b"<", ".pdf": b"%PDF"}


@pytest.mark.broad(2)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("write", [classes_run, lambda p: puzzle_run(p, 3, 4), position_run])
def test_every_picture_of_a_run_is_drawn_in_the_format(
    write: Callable[[Path], Run], kind: str, tmp_path: Path
) -> None:
    """The same ones, and each is what its name says."""
    run = write(tmp_path)
    drawn = draw_plots(run, tmp_path / "plots", plot_format=kind)
    assert drawn == [path for path in drawn if path.suffix == f".{kind}" and path.is_file()]
    assert sorted(drawn) == find_plots(tmp_path / "plots")
    assert all(path.read_bytes().startswith(STARTS[path.suffix]) for path in drawn)


@pytest.mark.slow
def test_the_config_names_the_format_and_another_one_replaces_it(tmp_path: Path) -> None:
    """No image stands twice, and the page shows those that are there."""
    run = classes_run(tmp_path, config=config_of(plots={"format": "svg"}))
    refresh(run.path, plots=True)
    names = [path.name for path in find_plots(run.path / "plots")]
    assert names
    assert {name.rpartition(".")[2] for name in names} == {"svg"}
    report = (run.path / "report.md").read_text()
    assert all(f"(plots/{name})" in report for name in names)
    refresh(run.path, plots=True, plot_format="png")
    again = {path.name for path in find_plots(run.path / "plots")}
    assert again == {name.replace(".svg", ".png") for name in names}


@pytest.mark.broad(1)
@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_the_same_records_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """No date and no number by chance stands in an image."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=1)  # without curves
    first, second = (
        [path.read_bytes() for path in draw_plots(run, tmp_path / name, plot_format=kind)]
        for name in "ab"
    )
    assert len(first) >= 3
    assert first == second


@pytest.mark.slow
def test_a_pdf_is_linked_and_no_broken_picture(tmp_path: Path) -> None:
    """No page of Markdown shows a PDF."""
    run = classes_run(tmp_path, config=config_of(plots={"format": "pdf"}))
    refresh(run.path, plots=True)
    report = (run.path / "report.md").read_text()
    assert "[confusion](plots/confusion.pdf)" in report
    assert "![" not in report


def test_a_wrong_format_is_refused_early(run_here: Expkit, tmp_path: Path) -> None:
    """With those that there are, before anything is made."""
    done = run_here("train", "dataset=digits", "plots.format=gif")
    assert done.code == 2
    assert "png, svg, pdf" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("plots", [None, {}, {"format": "../x"}, "svg"])
def test_a_damaged_or_older_record_asks_for_png(plots: object) -> None:
    """A recorded word becomes no part of a file's name unless it is a format."""
    assert format_of({"plots": plots}) == "png"


@pytest.mark.draws
@pytest.mark.slow
def test_commands_take_another_format(run_here: Expkit, tmp_path: Path) -> None:
    """`expkit plot` draws in the format that it is given, and refuses what is none."""
    run = classes_run(tmp_path / "outputs")
    assert run_here("plot", str(run.path), "--format", "svg").code == 0
    assert {path.suffix for path in find_plots(run.path / "plots")} == {".svg"}
    assert run_here("plot", str(run.path), "--format", "gif").code == 2
    assert run_here("plot", str(run.path), "plots.format=pdf").code == 0  # the word of a config
    assert {path.suffix for path in find_plots(run.path / "plots")} == {".pdf"}
