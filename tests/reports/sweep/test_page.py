"""A sweep's table and page: from its records alone, seeds folded, the best named honestly."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.files import read_json, read_lines, write_json, write_lines
from expkit.records.run.digest import read_digest
from expkit.records.sweep.folder import Sweep
from expkit.reports.run import digests
from expkit.reports.runs.recipes import ranked
from expkit.reports.runs.rows import read_jobs
from expkit.reports.runs.settings import Variation, describe_settings, value_of, words_of
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.page import refresh_sweep
from expkit.reports.sweep.sweep_screen import closing_screen
from expkit.reports.sweep.table import SweepTable

JOBS = [
    FakeJob({"model": "small", "optimizer.lr": "0.01"}, 0.5, 0),
    FakeJob({"model": "small", "optimizer.lr": "0.01"}, 0.7, 1, findings=["overfitting"]),
    FakeJob({"model": "large", "optimizer.lr": "0.01"}, 0.8, 0),
    FakeJob({"model": "large", "optimizer.lr": "0.01"}, None, 1, "killed", "by signal 9"),
]


def read_csv(path: Path) -> list[dict[str, str]]:
    with (path / "sweep.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_what_varies_is_told_by_the_words_that_were_swept(tmp_path: Path) -> None:
    """Groups by the chosen name; neither what all have alike nor the seed is a column."""
    jobs = Sweep(write_sweep(tmp_path, JOBS)).jobs
    variation = Variation.of(jobs)
    assert variation.keys == ["model"]
    assert variation.settings(jobs[2]) == {"model": "large"}


def test_a_word_that_only_some_jobs_have_is_looked_up_in_the_config(tmp_path: Path) -> None:
    """As an ablation's changes leave it: the others have what their config says."""
    words = [{"asked.width": 8}, {}]
    jobs = Sweep(write_sweep(tmp_path, [FakeJob(each, 0.5) for each in words])).jobs
    settings = [Variation.of(jobs).settings(job) for job in jobs]
    assert settings == [{"asked.width": 8}, {"asked.width": "-"}]


@pytest.mark.parametrize(("status", "expected"), [("finished", 0.9), ("pruned", 0.5)])
def test_figures_from_an_interruption_are_not_those_of_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, expected: float
) -> None:
    """A kill may fall between the last stage and its digest; what was pruned goes no further."""
    sweep = Sweep(write_sweep(tmp_path, [FakeJob({"model": "a"}, 0.5, 0, status)]))
    run = sweep.jobs[0].run
    assert run is not None
    stored = read_digest(run.path)
    assert stored is not None
    replace(stored, status="interrupted").write(run.path)
    anew = replace(stored, metrics={"val": {"accuracy": 0.9}})
    monkeypatch.setattr(digests, "recall", lambda run: None)
    monkeypatch.setattr(digests, "make_digest", lambda run, summary: anew)
    assert [row.figure("val/accuracy") for row in read_jobs(sweep)] == [expected]


def test_words_are_read_as_hydra_means_them() -> None:
    """Added, forced and removed keys; the last word of a key counts."""
    words = words_of(["+a.b=1", "++c='x y'", "~d", "a.b=1e-3", "e={f: 1}"])
    assert words == {"a.b": "1e-3", "c": "x y", "d": "removed", "e": "{f: 1}"}
    assert [value_of(each) for each in ("1e-3", "2", "nan", "none")] == [0.001, 2, "nan", "none"]


def test_settings_are_told_shortly() -> None:
    """A choice by its name, a number with as much of its key as tells it from others."""
    settings = {"model": "net", "optimizer.lr": 0.1, "schedule.lr": 0.2, "a.width": 3}
    assert describe_settings(settings) == "net, optimizer.lr=0.1, schedule.lr=0.2, width=3"


def test_the_table_has_a_row_a_job(tmp_path: Path) -> None:
    """Also one that failed, with its reason; figures with all their digits."""
    path = write_sweep(tmp_path, JOBS)
    SweepTable.read(path).write()
    rows = read_csv(path)
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    assert [row["model"] for row in rows] == ["small", "small", "large", "large"]
    assert [row["val/accuracy"] for row in rows] == ["0.5", "0.7", "0.8", ""]
    assert rows[1]["findings"] == "overfitting"
    assert rows[3]["status"] == "killed"
    assert rows[3]["reason"] == "by signal 9"
    assert (path / rows[0]["folder"] / "digest.json").exists()


def test_the_table_follows_a_job_that_ends(tmp_path: Path) -> None:
    """One job is read again, and its figures come as new columns where they are the first."""
    whole = write_sweep(tmp_path, JOBS, "20260101_000000_1")
    path = write_sweep(tmp_path, [FakeJob(JOBS[0].words, status="running")])
    table = SweepTable.read(path)
    table.write()
    assert "val/accuracy" not in read_csv(path)[0]
    identity = Sweep(path).jobs[0].id
    source = Sweep(whole).by_id[identity]
    assert source.run is not None
    (path / "jobs" / f"{identity}.jsonl").write_bytes(
        (whole / "jobs" / f"{identity}.jsonl").read_bytes()
    )
    source.run.path.rename(path / source.run.name)
    table.update(identity)
    (row,) = read_csv(path)
    assert (row["status"], row["val/accuracy"]) == ("finished", "0.5")


def test_seeds_are_folded_and_the_best_comes_first(tmp_path: Path) -> None:
    """0.5 and 0.7 have mean 0.6 and a sample deviation of 0.1414; a failed seed is not counted."""
    outcome = SweepOutcome.of(write_sweep(tmp_path, JOBS))
    large, small = outcome.groups
    assert small.in_words(outcome.objective) == "60.00 ± 14.14 %"
    assert (large.values, len(large.rows)) == ([0.8], 2)
    assert outcome.objective == "val/accuracy"


def test_a_metric_that_falls_is_sorted_the_other_way(tmp_path: Path) -> None:
    """The lowest loss is the best."""
    outcome = SweepOutcome.of(write_sweep(tmp_path, JOBS))
    rows = [
        replace(row, metrics={"val": {"log_loss": row.figure("accuracy")}}) for row in outcome.rows
    ]
    groups = ranked(rows, outcome.folding, "val/log_loss")
    assert [group.settings["model"] for group in groups] == ["small", "large"]


def test_the_page_answers_first_and_hides_nothing(tmp_path: Path) -> None:
    """The best with the levels beside it, what the choice does to it, failures and findings."""
    path = write_sweep(tmp_path, JOBS)
    refresh_sweep(path)
    page = (path / "sweep.md").read_text()
    assert "**Best: large: val/accuracy 80.00 %; chance 25.00 %; largest class 40.00 %**" in page
    assert "4 jobs: 3 finished, 1 killed." in page
    assert "| **best** | large | 1 of 2 | **80.00 %** |" in page
    assert "|  | small | 2 | 60.00 ± 14.14 % |" in page
    assert "Choosing and judging were done on the same samples (val)" in page
    assert "| 3 | large, seed=1 | killed: by signal 9 | [output](jobs/" in page
    assert "| overfitting | 1 of 3 jobs |" in page
    assert "expkit train model=large optimizer.lr=0.01 seed=0\n" in page
    assert {picture.name for picture in (path / "plots").iterdir()} == {
        "objective.png",
        "curves.png",
    }


def test_a_best_one_is_to_be_judged_on_the_test_set_that_is_sealed(tmp_path: Path) -> None:
    """There is one, and the command that looks at it is named; a damaged summary spoils nothing."""
    path = write_sweep(tmp_path, JOBS)
    best = SweepOutcome.of(path).groups[0].judged[0].run.path
    summary = read_json(best / "summary.json")
    write_json(best / "summary.json", {**summary, "sealed": {"num_samples": 40}})
    refresh_sweep(path)
    page = (path / "sweep.md").read_text()
    assert "no test split" not in page
    assert f"{best.name}" in page.partition("expkit unseal ")[2].partition("\n")[0]
    (best / "summary.json").write_text("{")
    refresh_sweep(path)
    assert "no test split" in (path / "sweep.md").read_text()


def test_the_best_is_held_against_the_second_over_seeds(tmp_path: Path) -> None:
    """With the same gap at each of three seeds it is real, and with one turned round it is not."""
    for last, word in ((0.90, "better"), (0.70, "no evidence of a difference")):
        jobs = [
            FakeJob({"model": name}, accuracy, seed)
            for name, figures in {"a": (0.90, 0.92, last), "b": (0.80, 0.815, 0.80)}.items()
            for seed, accuracy in enumerate(figures)
        ]
        outcome = SweepOutcome.of(write_sweep(tmp_path, jobs, f"2026_{word[:2]}"))
        screen = " ".join(closing_screen(outcome).split())
        assert f"The best against the second (b): {word}" in screen


def test_a_sweep_of_which_all_failed_has_a_page(tmp_path: Path) -> None:
    """It says so, draws nothing and takes old images away."""
    jobs = [FakeJob({"model": name}, None, 0, "raised", "Oops: no") for name in "ab"]
    path = write_sweep(tmp_path, jobs)
    (path / "plots").mkdir()
    (path / "plots" / "old.png").touch()
    outcome = refresh_sweep(path)
    assert "**no job has a figure of accuracy**" in (path / "sweep.md").read_text()
    assert not list((path / "plots").iterdir())
    assert "expkit resume" in closing_screen(outcome)


def test_an_objective_that_no_run_has_is_told_with_those_there_are(tmp_path: Path) -> None:
    """Instead of an empty table without a reason."""
    path = write_sweep(tmp_path, JOBS)
    write_json(path / "sweep.json", {**read_json(path / "sweep.json"), "objective": "val/auroc"})
    told = "no job has a figure of val/auroc; there are val/accuracy"
    assert SweepOutcome.of(path).headline() == told
    assert f"  note     {told}\n" in closing_screen(SweepOutcome.of(path))


def test_what_is_proposed_next_is_not_the_same_sweep_again(tmp_path: Path) -> None:
    """Seeds of one setting are compared; a job alone gets its page."""
    seeds = [FakeJob({}, 0.8 + seed / 100, seed) for seed in range(3)]
    for jobs, proposed in ((seeds, "compare"), (seeds[:1], "report")):
        outcome = SweepOutcome.of(write_sweep(tmp_path, jobs, f"2026_{proposed}"))
        assert f"next     expkit {proposed} " in closing_screen(outcome)


def test_a_pruned_job_is_done_and_not_judged(tmp_path: Path) -> None:
    """Its figure is that of a training cut short."""
    jobs = [FakeJob({"n": 1}, 0.9, status="pruned"), FakeJob({"n": 2}, 0.8)]
    outcome = SweepOutcome.of(write_sweep(tmp_path, jobs))
    assert outcome.best is not None
    assert outcome.best.settings == {"n": 2}
    assert "expkit resume" not in closing_screen(outcome)


def test_a_damaged_run_spoils_its_own_row_alone(tmp_path: Path) -> None:
    """The table tells which file it is, and the other jobs keep their figures."""
    path = write_sweep(tmp_path, JOBS[1:3])
    broken, sound = SweepOutcome.of(path).rows
    assert broken.path is not None
    (broken.path / "digest.json").write_text("{")
    (broken.path / "stages.jsonl").write_text("{\n{}\n")
    rows = SweepOutcome.of(path).rows
    assert "'stages.jsonl' is damaged" in rows[0].reason
    assert rows[1] == sound


def test_an_ablation_is_told_by_the_names_of_its_changes(tmp_path: Path) -> None:
    """One column for all changes; the recipe is the base."""
    path = write_sweep(tmp_path, [FakeJob({"asked.width": 8}, 0.5), FakeJob({}, 0.6)])
    plan = read_lines(path / "plan.jsonl")
    plan[0]["change"] = "wider"
    write_lines(path / "plan.jsonl", plan)
    assert [row.settings for row in SweepOutcome.of(path).rows] == [
        {"change": "wider"},
        {"change": "base"},
    ]


def test_the_closing_screen_is_no_wider_than_others(tmp_path: Path) -> None:
    """Failures with their reason and where their output is; at most ten settings."""
    jobs = [FakeJob({"model.width": width}, 0.01 * width, 0) for width in range(30)]
    outcome = SweepOutcome.of(write_sweep(tmp_path, [*jobs, *JOBS]))
    lines = closing_screen(outcome).splitlines()
    assert any(line.startswith("  FAIL   #33") and "killed" in line for line in lines)
    assert any("and 22 more in sweep.csv" in line for line in lines)
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 90


def test_equals_are_all_the_best(tmp_path: Path) -> None:
    """Being planned first is no reason to be chosen; a long name keeps its start."""
    long = "a_model_with_a_name_of_very_many_letters"
    accuracies = {long: 1.0, "b": 1.0, "c": 0.5}
    path = write_sweep(tmp_path, [FakeJob({"model": m}, a) for m, a in accuracies.items()])
    outcome = refresh_sweep(path)
    assert "; as good as 1 other setting" in outcome.headline()
    assert (path / "sweep.md").read_text().count("| **best** |") == 2
    screen = closing_screen(outcome)
    assert screen.count("  best   ") == 2
    assert f"{long[:27]}…" in screen
