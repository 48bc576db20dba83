"""What an ablation's page says each change is worth, from records with invented figures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.files import read_json, write_json
from expkit.records.sweep.ablation_claims import Claim
from expkit.records.sweep.folder import Sweep
from expkit.reports.sweep.ablation import describe
from expkit.reports.sweep.ablation_page import ablation_section
from expkit.reports.sweep.ablation_verdict import AblationVerdict, in_words
from expkit.reports.sweep.caveats import sweep_answer
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.page import draw_sweep_plots
from expkit.reports.sweep.plots.ablation_effects import draw_ablation, draw_forest
from expkit.reports.sweep.sweep_screen import closing_screen

RECIPE = (0.80, 0.84, 0.79)
GAPS = (-0.10, -0.12, -0.14)


def jobs_of(changes: dict[str, tuple[float, ...]]) -> list[FakeJob]:
    """The recipe and each change, over as many seeds as there are gaps."""
    jobs = []
    for seed, base in enumerate(RECIPE):
        jobs.append(FakeJob({}, base, seed))
        jobs += [
            FakeJob({"loss": name}, base + gaps[seed], seed, change=name)
            for name, gaps in changes.items()
            if seed < len(gaps)
        ]
    return jobs


def test_a_change_is_held_against_the_same_seed(tmp_path: Path) -> None:
    """Gaps of -10, -12 and -14 points: mean -12, s 2, t(2) 4.3027, so -12 -+ 4.97."""
    sweep = Sweep(write_sweep(tmp_path, jobs_of({"worse": GAPS})))
    result = SweepOutcome.of(sweep.path).ablation
    assert result is not None
    (worth,) = result.worths
    assert worth.gain == pytest.approx(-0.12)
    assert worth.difference is not None
    assert worth.difference.interval == pytest.approx((-0.16968, -0.07032), abs=1e-5)
    assert worth.word == "hurts"
    assert result.recipe == pytest.approx(RECIPE)


def test_the_costliest_change_stands_first_and_each_has_its_word(tmp_path: Path) -> None:
    """The title counts those that show nothing."""
    changes = {"good": (0.05, 0.06, 0.07), "noise": (-0.03, 0.01, 0.02), "bad": GAPS}
    result = SweepOutcome.of(write_sweep(tmp_path, jobs_of(changes))).ablation
    assert result is not None
    assert [(worth.name, worth.word) for worth in result.worths] == [
        ("bad", "hurts"),
        ("noise", "no evidence of a difference"),
        ("good", "helps"),
    ]
    assert describe(result) == (
        "val/accuracy: bad hurts; good helps; 1 of 3 shows no evidence of a difference"
    )


def test_the_words_are_corrected_for_as_many_changes_as_are_compared(tmp_path: Path) -> None:
    """Gaps of 2, 3 and 4 points: t 5.196, p 0.035 alone, twice that among four."""
    slight = {"slight": (0.02, 0.03, 0.04)}
    others = {"good": (0.05, 0.06, 0.07), "noise": (-0.03, 0.01, 0.02), "bad": GAPS}
    words = []
    for name, changes in (("alone", slight), ("among", {**others, **slight})):
        result = SweepOutcome.of(write_sweep(tmp_path, jobs_of(changes), name)).ablation
        assert result is not None
        words += [worth.word for worth in result.worths if worth.name == "slight"]
    assert words == ["helps", "no evidence of a difference"]


def test_one_seed_is_no_proof_and_is_told_so(tmp_path: Path) -> None:
    """Nothing is known of the noise, whatever the difference."""
    jobs = [FakeJob({}, 0.8), FakeJob({"loss": "x"}, 0.2, change="x")]
    parts = ablation_section(SweepOutcome.of(write_sweep(tmp_path, jobs)))
    assert "| x | `loss=x` | 20.00 % | 1 | -60.00 points | - | one seed alone" in "\n".join(parts)
    assert all(parts)


def test_other_swept_words_are_paired_too(tmp_path: Path) -> None:
    """A change's job meets the recipe's job of the same seed and the same rate."""
    jobs = [
        FakeJob({"lr": lr, **({"loss": "x"} if gap else {})}, base + gap, seed, change=change)
        for seed in (0, 1)
        for lr, base in ((0.1, 0.5), (0.2, 0.9))
        for change, gap in ((None, 0.0), ("x", -0.25))
    ]
    result = SweepOutcome.of(write_sweep(tmp_path, jobs)).ablation
    assert result is not None
    (worth,) = result.worths
    assert [ours - theirs for ours, theirs in worth.pairs] == pytest.approx([-0.25] * 4)
    assert worth.settings == {"loss": "x"}
    assert worth.difference is not None
    assert (worth.difference.unit, worth.difference.count) == ("seeds", 2)


def test_jobs_of_one_seed_are_no_independent_proof(tmp_path: Path) -> None:
    """Gaps of -25 and -29 points, means over two rates: s 2.83, t(1) 12.706, so -27 -+ 25.41.

    Four gaps as independent ones would be -27 -+ 9.5, of less than half the width.
    """
    gaps = {(0, 0.1): -0.2, (0, 0.2): -0.3, (1, 0.1): -0.24, (1, 0.2): -0.34}
    jobs = [
        FakeJob({"lr": lr, **words}, 0.8 + gap, seed, change=words.get("loss"))
        for (seed, lr), change in gaps.items()
        for words, gap in (({}, 0.0), ({"loss": "x"}, change))
    ]
    result = SweepOutcome.of(write_sweep(tmp_path, jobs)).ablation
    assert result is not None
    (worth,) = result.worths
    assert worth.difference is not None
    assert worth.difference.interval == pytest.approx((-0.5241, -0.0159), abs=1e-4)
    assert len(worth.pairs) == 4


def test_a_job_without_a_figure_is_left_out_and_counted(tmp_path: Path) -> None:
    """One of a change's three jobs was killed: two pairs remain, and the page says so."""
    jobs = [
        FakeJob({"loss": "x"}, None, job.seed, "killed", change="x")
        if job.change and job.seed == 1
        else job
        for job in jobs_of({"x": GAPS, "y": (0.0, 0.0, 0.0)})
        if job.change != "y"
    ]
    jobs += [FakeJob({"loss": "y"}, None, 0, "raised", change="y")]
    text = "\n".join(ablation_section(SweepOutcome.of(write_sweep(tmp_path, jobs))))
    assert "| x | `loss=x` | 67.50 % | 2 of 3 | -12.00 points" in text
    assert "| y | `loss=y` | - | 0 of 1 | - | - | no figure |" in text


def test_intervals_and_words_are_adjusted_alike(tmp_path: Path) -> None:
    """Gaps of 2, 3 and 4 points: 3 -+ 2.48 alone; among four it is at 0.05 / 2, 3 -+ 3.58."""
    changes = {"good": (0.05, 0.06, 0.07), "noise": (-0.03, 0.01, 0.02), "bad": GAPS}
    jobs = jobs_of({**changes, "slight": (0.02, 0.03, 0.04)})
    result = SweepOutcome.of(write_sweep(tmp_path, jobs)).ablation
    assert result is not None
    slight = next(worth for worth in result.worths if worth.name == "slight")
    assert slight.difference is not None
    assert slight.difference.level == pytest.approx(0.025)
    assert slight.difference.interval == pytest.approx((-0.0058, 0.0658), abs=1e-4)
    text = "\n".join(ablation_section(SweepOutcome.of(tmp_path / "20260101_000000_7_sweep")))
    assert "| +3.00 points (-0.58 to +6.58) | 0.07 | no evidence of a difference |" in text


def judged(sweep: Sweep) -> AblationVerdict:
    verdict = SweepOutcome.of(sweep.path).hypothesis
    assert verdict is not None
    return verdict


def claimed(parent: Path, changes: dict[str, tuple[float, ...]], claims: dict[str, str]) -> Sweep:
    path = write_sweep(parent, jobs_of(changes))
    write_json(path / "sweep.json", {**read_json(path / "sweep.json"), "claims": claims})
    return Sweep(path)


@pytest.mark.parametrize(
    ("gaps", "word"),
    [
        ((-0.001, 0.0, -0.002), "shown"),  # (0.01 - 0.001) / 0.000577 = 15.6, t(2): p = 0.002
        (GAPS, "refuted"),  # (0.12 - 0.01) / 0.011547 = 9.5, t(2): p = 0.0054
        ((-0.03, 0.01, 0.02), "not decided"),
        ((-0.001,), "not decided"),
    ],
)
def test_no_change_costs_more_than_a_point(
    tmp_path: Path, gaps: tuple[float, ...], word: str
) -> None:
    """The non-inferiority test of the hypothesis: no evidence of a cost is not evidence of none."""
    sweep = claimed(tmp_path, {"x": gaps}, {"every": "> -0.01"})
    verdict = judged(sweep)
    assert verdict.word == word
    assert f"**{word.upper()}**" in "\n".join(ablation_section(SweepOutcome.of(sweep.path)))
    outcome = SweepOutcome.of(sweep.path)
    assert sweep_answer(outcome).startswith(f"hypothesis {word}: ")  # a notebook's index has it
    assert f"  note     hypothesis {word}: " in closing_screen(outcome)


def test_p_of_a_claim_by_hand(tmp_path: Path) -> None:
    """Costs of 0.1, 0 and 0.2 points against a margin of one: t = 0.9 / (0.1 / sqrt 3), t(2)."""
    verdict = SweepOutcome.of(
        claimed(tmp_path, {"x": (-0.001, 0.0, -0.002)}, {"x": "> -0.01"}).path
    ).hypothesis
    (judged,) = verdict.claims
    t = 0.009 / (0.001 / math.sqrt(3))
    assert judged.p_shown == pytest.approx(stats.t.sf(t, 2))
    assert judged.p_refuted == pytest.approx(stats.t.cdf(t, 2))


def test_all_claims_must_be_shown_and_one_refuted_is_enough(tmp_path: Path) -> None:
    """A claim of its own stands before that of every change; a change left out is not decided."""
    changes = {"little": (-0.001, 0.0, -0.002), "much": GAPS}
    claims = {"every": "> -0.01", "much": "< -0.01"}
    verdict = judged(claimed(tmp_path / "a", changes, claims))
    assert verdict.word == "shown"
    assert "little costs less than 1 point (-0.10 points over 3 seeds, p = 0.002)" in verdict.text
    assert "much costs more than 1 point (-12.00 points over 3 seeds, p = 0.0054)" in verdict.text
    refuted = SweepOutcome.of(
        claimed(tmp_path / "b", changes, {"every": "> -0.01"}).path
    ).hypothesis
    assert refuted.text.startswith("refuted: it is not so that much costs less than 1 point (")
    without = SweepOutcome.of(
        claimed(tmp_path / "c", changes, {**claims, "gone": "< 0"}).path
    ).hypothesis
    assert without.text == "not decided: whether gone hurts (no figure)"


@pytest.mark.parametrize(
    ("objective", "relation", "bound", "words"),
    [
        ("val/accuracy", ">", -0.01, "costs less than 1 point"),
        ("val/accuracy", "<", -0.01, "costs more than 1 point"),
        ("val/accuracy", "<", 0.005, "gains less than 0.5 points"),
        ("val/accuracy", "<", 0.0, "hurts"),
        ("val/log_loss", "<", 0.02, "costs less than 0.02"),
        ("val/log_loss", "<", -0.02, "gains more than 0.02"),
        ("val/log_loss", ">", 0.0, "hurts"),
    ],
)
def test_a_claim_is_said_in_words(objective: str, relation: str, bound: float, words: str) -> None:
    """By the side that is better; a loss that is higher by less than 0.02 costs less than that."""
    assert in_words(objective, Claim("x", relation, bound)) == words


def test_an_answer_without_claims_is_what_the_changes_show(tmp_path: Path) -> None:
    """Never the change with the highest mean."""
    path = write_sweep(tmp_path, jobs_of({"good": (0.05, 0.06, 0.07), "noise": (0, 1, 0)}))
    answer = sweep_answer(SweepOutcome.of(path))
    assert answer.startswith("val/accuracy: good helps (+6.00 points); no evidence that noise ")
    assert "hypothesis" not in closing_screen(SweepOutcome.of(path))


def test_an_interval_that_leaves_the_axis_has_an_arrow(tmp_path: Path) -> None:
    """That of two seeds, 0 -+ 12.7 x 5 points, beside another of a few."""
    changes = {"wide": (-0.05, 0.05), "steady": (0.01, 0.012, 0.011)}
    result = SweepOutcome.of(write_sweep(tmp_path, jobs_of(changes))).ablation
    assert result is not None
    figure = draw_forest(result, result.worths)
    (axes,) = figure.axes
    marks = [str(line.get_marker()) for line in axes.lines]
    assert (marks.count("<"), marks.count(">"), marks.count("|")) == (1, 1, 2)
    low, high = axes.get_xlim()
    assert all(low < x < high for line in axes.lines for x in line.get_xdata())
    assert len(axes.texts) == 2


def test_an_ordinary_sweep_has_no_such_section(tmp_path: Path) -> None:
    """Nor an image."""
    path = write_sweep(tmp_path, [FakeJob({"lr": 1}, 0.5), FakeJob({"lr": 2}, 0.6)])
    outcome = SweepOutcome.of(path)
    assert ablation_section(outcome) == []
    assert outcome.ablation is None
    drawn = draw_sweep_plots(outcome, tmp_path / "plots")
    assert "ablation.png" not in [plot.name for plot in drawn]


def test_the_picture_is_drawn_where_a_change_has_a_figure(tmp_path: Path) -> None:
    """And not where all have failed."""
    result = SweepOutcome.of(write_sweep(tmp_path, jobs_of({"worse": GAPS}))).ablation
    assert result is not None
    path = draw_ablation(result, tmp_path)
    assert path is not None
    assert path.stat().st_size > 5000
    failed = [FakeJob({}, 0.8), FakeJob({"loss": "x"}, None, 0, "raised", change="x")]
    result = SweepOutcome.of(write_sweep(tmp_path, failed, "f")).ablation
    assert result is not None
    assert draw_ablation(result, tmp_path) is None
