"""The sentence on a sweep that the notebook's index has: no more than its page proves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.sweep.folder import Sweep
from expkit.reports.notebook.index import write_index
from expkit.reports.notebook.page import write_sweep_notebook
from expkit.reports.sweep.caveats import sweep_answer
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.sweep_screen import closing_screen

BASE = (0.80, 0.81, 0.82)


def jobs_of(name: str, figures: Sequence[float], change: str | None = None) -> list[FakeJob]:
    """A job a seed."""
    return [
        FakeJob({"width": name}, figure, seed, change=change) for seed, figure in enumerate(figures)
    ]


def test_the_index_does_not_name_a_change_that_shows_nothing(tmp_path: Path) -> None:
    """The highest mean is a change's whose page says that there is no evidence."""
    jobs = [
        *jobs_of("8", BASE),
        *jobs_of("16", (0.90, 0.78, 0.86), "wider"),
        *jobs_of("4", (0.70, 0.7101, 0.7199), "narrower"),
    ]
    sweep = Sweep(write_sweep(tmp_path / "outputs", jobs))
    folder = tmp_path / "experiments" / "widths"
    page = write_sweep_notebook(sweep, folder).read_text()
    index = write_index(folder.parent).read_text()
    assert "wider shows no evidence" in page
    assert (
        "val/accuracy: narrower hurts (-10.00 points); no evidence that wider makes a difference"
        in index
    )
    assert "84.67" not in index  # the mean of the change with the highest
    outcome = SweepOutcome.of(sweep.path)
    for text in (page.replace("best epoch", ""), closing_screen(outcome)):
        assert "no evidence that wider makes a difference" in " ".join(text.split())
        assert "best" not in text.lower()  # nothing is chosen


def test_a_best_that_is_not_told_from_the_second_is_answered_so(tmp_path: Path) -> None:
    """One that is has its figure; one alone has no rival."""
    close = [*jobs_of("a", BASE), *jobs_of("b", (0.83, 0.79, 0.84))]
    clear = [*jobs_of("a", BASE), *jobs_of("b", (0.90, 0.91, 0.9201))]
    answers = [
        sweep_answer(SweepOutcome.of(write_sweep(tmp_path, jobs, name)))
        for name, jobs in {"1": close, "2": clear, "3": close[:3]}.items()
    ]
    assert answers[0].startswith("no evidence that the best of 2 is better than the second; best: ")
    assert answers[1].startswith("Best: b: val/accuracy 91.00 ± 1.01 %")
    assert answers[1].endswith("better than the second")
    assert answers[2].startswith("val/accuracy 81.00 ± 1.00 % (3 seeds)")
