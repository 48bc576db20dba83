"""`--json`: one document on stdout that keeps to its schema, and nothing else there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from json_documents import parse_document
from PIL import Image
from running_expkit import Expkit, expkit_command
from synthetic_runs import classes_run, config_of, failed_gate_run, interrupted_run, position_run
from synthetic_sweeps import FakeJob, write_sweep

from expkit.commands import show
from expkit.records.files import read_json, write_json
from expkit.records.run.annotations import add_note
from expkit.records.run.thresholds import read_thresholds
from expkit.reports.run.pages import refresh
from expkit.sanitize import HIDDEN
from expkit.terminal.json_output import is_asked

TAKE_JSON = (
    *("show", "compare", "diagnose", "analyze", "list", "latency", "evaluate", "predict"),
    "threshold",
    "runs",
    "unseal",
)


@pytest.mark.parametrize("command", TAKE_JSON)
def test_the_help_names_it(
    run_here: Expkit, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Also beside --json itself, where the help is the answer."""
    for words in ((command, "--help"), (command, "--json", "--help")):
        with pytest.raises(SystemExit) as ended:
            run_here(*words)
        assert ended.value.code == 0
        assert "--json " in capsys.readouterr().out


def test_show_has_the_figures_of_the_summary(run_without_torch: Expkit, tmp_path: Path) -> None:
    """Verdict, criteria with what was reached, metrics with intervals, each class."""
    run = classes_run(tmp_path / "outputs", config=config_of(criteria={"accuracy": "> 0.9"}))
    refresh(run.path, plots=False)
    stored = read_json(run.path / "summary.json")
    done = run_without_torch("show", "last", "--json")
    assert (done.code, done.err) == (0, "")
    found = parse_document(done.out)
    assert found["schema"] == "expkit/run"
    assert (found["run"], found["status"]) == (run.name, "finished")
    assert found["metrics"] == stored["metrics"]
    assert found["intervals"] == stored["intervals"]
    assert found["findings"] == stored["findings"]
    (criterion,) = found["criteria"]
    assert criterion["value"] == stored["metrics"]["test"]["accuracy"]
    assert (criterion["bound"], criterion["met"]) == (0.9, criterion["value"] > 0.9)
    assert found["passed"] == criterion["met"]
    assert [each["class_name"] for each in found["classes"]["test"]] == list("0123456789")


def test_show_tells_runs_of_every_status(run_without_torch: Expkit, tmp_path: Path) -> None:
    """One that failed at a gate, one that was cut off, one that predicts numbers."""
    gate = failed_gate_run(tmp_path / "gate")
    found = parse_document(run_without_torch("show", str(gate.path), "--json").out)
    assert (found["status"], found["passed"], found["metrics"]) == ("failed", False, {})
    assert [stage["passed"] for stage in found["stages"]][:2] == [True, False]
    cut = interrupted_run(tmp_path / "cut")
    found = parse_document(run_without_torch("show", str(cut.path), "--json").out)
    assert (found["status"], found["progress"]["epoch"]) == ("interrupted", 7)
    assert found["next"].startswith("expkit resume ")
    numbers = position_run(tmp_path / "numbers", 2, 3)
    found = parse_document(run_without_torch("show", str(numbers.path), "--json").out)
    assert "rmse" in found["metrics"]["train"]


def test_show_of_a_sweep_has_every_job(run_without_torch: Expkit, tmp_path: Path) -> None:
    """Also those that the screen has no room for; means and standard deviations by hand."""
    jobs = [
        FakeJob({"lr": lr}, accuracy=0.8 + lr + seed / 100, seed=seed)
        for lr in (0.01, 0.1)
        for seed in (0, 1)
    ]
    jobs.append(FakeJob({"lr": 1.0}, status="raised", reason="loss is not finite"))
    sweep = write_sweep(tmp_path / "outputs", jobs)
    done = run_without_torch("show", sweep.name, "--json")
    found = parse_document(done.out)
    assert found["schema"] == "expkit/sweep"
    assert (found["counts"], found["passed"]) == ({"finished": 4, "raised": 1}, False)
    best = found["recipes"][0]
    assert best["settings"] == {"lr": 0.1}
    assert best["mean"] == pytest.approx(0.905)
    assert best["std"] == pytest.approx(0.01 / 2**0.5)
    assert best["jobs"] == [2, 3]
    assert found["jobs"][4]["reason"] == "loss is not finite"
    assert found["next"].startswith("expkit resume ")


@pytest.fixture
def rivals(tmp_path: Path) -> Path:
    """A weak run and a strong one, on the same samples."""
    for name, share, size in (("narrow", 0.8, 32), ("wide", 0.95, 128)):
        config = config_of(batch_size=size)
        run = classes_run(
            tmp_path / "outputs", name=f"20260101_1200_{name}", share_right=share, config=config
        )
        refresh(run.path, plots=False)
    return tmp_path


def test_compare_has_verdict_difference_and_settings(
    run_without_torch: Expkit, rivals: Path
) -> None:
    """With p before and after Holm's correction, and the interval of the difference."""
    failed_gate_run(rivals / "outputs", name="20260101_1200_gate")
    done = run_without_torch("compare", "outputs", "--baseline", "narrow", "--json")
    found = parse_document(done.out)
    assert (done.code, done.err) == (0, "")
    (row,) = found["compared"]
    assert (row["verdict"]["word"], row["not_compared"]) == ("better", None)
    means = [each["metrics"]["accuracy"]["mean"] for each in (row, found["baseline"])]
    difference = row["differences"]["accuracy"]
    assert difference["value"] == pytest.approx(means[0] - means[1])
    low, high = difference["interval"]
    assert 0 < low < difference["value"] < high
    assert difference["p"] == difference["p_adjusted"] < 0.05
    assert difference["test"] == "McNemar's exact test"
    assert found["settings"]["batch_size"] == {"A": 32, "B": 128}
    assert row["changes"]["fixed"] - row["changes"]["broken"] == pytest.approx(
        difference["value"] * difference["count"]
    )
    assert found["left_out"] == ["20260101_1200_gate: failed, without predictions"]


def test_a_comparison_that_is_forbidden_says_why(run_without_torch: Expkit, rivals: Path) -> None:
    """An objection, no verdict, no difference."""
    path = rivals / "outputs" / "20260101_1200_wide" / "digest.json"
    record = read_json(path)
    record["fingerprints"]["test"] = "other"
    write_json(path, record)
    found = parse_document(run_without_torch("compare", "narrow", "wide", "--json").out)
    (row,) = found["compared"]
    assert (row["verdict"], row["differences"]) == (None, {})
    assert [each["forbids"] for each in row["objections"]] == [True]
    assert row["not_compared"] == row["objections"][0]["text"]


def test_compare_names_the_files_that_it_wrote(run_here: Expkit, rivals: Path) -> None:
    """They are no lines of their own beside the document."""
    done = run_here("compare", "narrow", "wide", "--to", "page", "--json")
    written = parse_document(done.out)["written"]
    assert "page/compare.csv" in written
    assert all(Path(path).exists() for path in written)


def test_diagnose_has_findings_with_rule_numbers_and_command(
    run_without_torch: Expkit, tmp_path: Path
) -> None:
    """The exit code still says that one is fatal, or that none is."""
    failed_gate_run(tmp_path / "outputs")
    done = run_without_torch("diagnose", "last", "--json")
    (run,) = parse_document(done.out)["runs"]
    assert run["findings"]
    for finding in run["findings"]:
        assert finding["rule"]
        assert finding["evidence"]
        assert finding["cause"]
    fatal = any(each["severity"] == "fatal" for each in run["findings"])
    assert done.code == int(fatal)


def test_analyze_has_best_latest_gap_and_turn(run_without_torch: Expkit, tmp_path: Path) -> None:
    """Three epochs, whose held-out loss rises after the second; a loss that was not finite."""
    losses = [0.5, 0.4, 0.9]
    history = [
        {
            "stage": "train",
            "epoch": epoch,
            "train/loss": float("nan"),
            "train/accuracy": 0.9,
            "val/loss": loss,
            "val/accuracy": 0.8,
        }
        for epoch, loss in enumerate(losses, 1)
    ]
    classes_run(tmp_path / "outputs", history=history)
    (stage,) = parse_document(run_without_torch("analyze", "last", "--json").out)["stages"]
    assert stage["splits"]["train"]["loss"]["best"] is None
    assert stage["splits"]["train"]["loss"]["latest"] == {"value": None, "epoch": 3}
    assert stage["splits"]["val"]["loss"]["best"] == {"value": 0.4, "epoch": 2}
    assert stage["gap"]["gap"] == pytest.approx(0.1)
    assert stage["held_out_loss"]["rose"] is True


def test_list_has_each_choice(run_without_torch: Expkit, tmp_path: Path) -> None:
    """The user's own are told from ours."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("# A net of mine\n_target_: x.y\n")
    found = parse_document(run_without_torch("list", "model", "--json").out)
    assert list(found["groups"]) == ["model"]
    choices = {each["name"]: each for each in found["groups"]["model"]}
    assert (choices["mine"]["about"], choices["mine"]["is_yours"]) == ("A net of mine", True)
    assert not choices["simple_conv"]["is_yours"]
    assert len(parse_document(run_without_torch("list", "--json").out)["groups"]) > 10


def test_threshold_has_cuts_and_evidence(run_here: Expkit, tmp_path: Path) -> None:
    """As threshold.json keeps them, beside those of other classes."""
    run = classes_run(tmp_path / "outputs", ["clean", "pit"], per_class=200)
    run_here("threshold", "last", "--class", "clean", "--recall", "0.9")
    done = run_here("threshold", "last", "--class", "pit", "--recall", "0.9", "--json")
    found = parse_document(done.out)
    kept = {each.class_name: each for each in read_thresholds(run.path)}
    assert found["threshold"]["low"] == kept["pit"].low
    assert done.code == int(not kept["pit"].is_confirmed)
    confirmed = found["threshold"]["confirmed_on"]["recall"]
    assert confirmed["fraction"] == confirmed["count"] / confirmed["total"]
    assert [each["class_name"] for each in found["beside"]] == ["clean"]
    assert Path(found["curve"]).exists()


def test_predict_has_every_image_also_those_that_cannot_be_read(
    run_here: Expkit, tiny_run: Path, tmp_path: Path
) -> None:
    """In order, with the first classes; one that is damaged has its reason, and the code is 1."""
    folder = tmp_path / "new"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (16, 16), (80 * number, 10, 10)).save(folder / f"{number}.png")
    (folder / "damaged.png").write_text("no image")
    done = run_here("predict", "tiny", "new", "--top", "2", "--json")
    assert done.code == 1
    found = parse_document(done.out)
    assert (found["num_images"], found["num_failed"]) == (4, 1)
    images = found["predictions"]
    assert [Path(each["file"]).stem for each in images] == ["0", "1", "2", "damaged"]
    for each in images[:3]:
        first, second = each["top"]
        assert first == {"class_name": each["prediction"], "probability": each["confidence"]}
        assert first["probability"] >= second["probability"]
    assert images[3]["error"]
    assert (images[3]["prediction"], images[3]["top"]) == (None, [])
    table = run_here("predict", "tiny", "new", "--top", "2").out.splitlines()
    assert [line.split(",")[1] for line in table[1:4]] == [e["prediction"] for e in images[:3]]


def test_rows_beside_a_document_are_refused(run_here: Expkit, tiny_run: Path) -> None:
    """Before torch is loaded; and the advice works."""
    image = tiny_run.parent / "a.png"
    Image.new("RGB", (16, 16)).save(image)
    for words in (("--csv", "x.csv"), ("--follow", "--csv", "x.csv")):
        error = parse_document(run_here("predict", "tiny", str(image), *words, "--json").out)
        assert error["schema"] == "expkit/error"
        assert not Path("x.csv").exists()
    advice = error["fix"].split()[1:]
    assert run_here(*[str(image) if word == "FILE" else word for word in advice]).code == 0


def test_evaluate_has_the_new_run_and_notes_go_to_stderr(run_here: Expkit, tiny_run: Path) -> None:
    """What is said while it runs is no part of the document."""
    done = run_here("evaluate", "tiny", "--json")
    found = parse_document(done.out)
    assert done.code == 0
    assert Path(found["path"]) != tiny_run
    assert Path(found["evaluates"]).name == tiny_run.name
    assert "data    " in done.err


@pytest.mark.slow
def test_latency_has_each_setting(run_here: Expkit, tiny_run: Path) -> None:
    """In a list, also where it is one."""
    done = run_here("latency", "tiny", "--batch", "1,2", "--seconds", "0.05", "--json")
    found = parse_document(done.out)
    assert [each["batch"] for each in found["settings"]] == [1, 2]
    assert all(0 < each["median_ms"] <= each["max_ms"] for each in found["settings"])
    one = parse_document(run_here("latency", "tiny", "--seconds", "0.05", "--json").out)
    assert [each["batch"] for each in one["settings"]] == [1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "nothing", "--json"), 2),
        (("show", "--json", "--watsch"), 2),
        (("list", "modl", "--json"), 2),
        (("compare", "--json"), 2),
        (("plot", "last", "--json"), 2),
        (("train", "--json", "modl=x"), 2),
        (("shw", "--json"), 2),
        (("latency", "nothing", "--batch", "0", "--json"), 2),
    ],
)
def test_a_wrong_request_is_a_document_too(
    run_here: Expkit, words: Sequence[str], code: int
) -> None:
    """Also one that argparse or Hydra refuses; stderr is empty, and the exit code is as ever."""
    done = run_here(*words)
    assert (done.code, done.err) == (code, "")
    error = parse_document(done.out)
    assert error["schema"] == "expkit/error"
    assert error["exit_code"] == code
    assert error["what"]
    if words[0] == "list":
        assert error["nearest"] == "model"


def test_advice_is_in_the_words_of_the_command(
    monkeypatch: pytest.MonkeyPatch, run_here: Expkit
) -> None:
    """As on the screen: --trust, and not the word that only train takes."""
    from expkit.errors import UserError

    def refuse(words: Sequence[str]) -> int:
        raise UserError("no", fix="add it if you trust it: 'trust=[os]'")

    monkeypatch.setattr("expkit.cli._run", refuse)
    error = parse_document(run_here("evaluate", "x", "--json").out)
    assert error["fix"] == "add it if you trust it: --trust os"


def test_a_fault_is_a_document_too(monkeypatch: pytest.MonkeyPatch, run_here: Expkit) -> None:
    """Exit code 70; what was printed before it is not on stdout."""

    def fail(words: Sequence[str]) -> int:
        print("half an answer")
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(show, "main", fail)
    done = run_here("show", "--json")
    error = parse_document(done.out)
    assert (done.code, error["exit_code"]) == (70, 70)
    assert "ZeroDivisionError: a fault" in error["what"]
    assert done.err == "half an answer\n"


def test_words_behind_two_dashes_are_no_flags() -> None:
    """A file may be called --json."""
    assert is_asked(["predict", "last", "x", "--json"])
    assert not is_asked(["predict", "last", "--", "--json"])


def test_names_of_strangers_reach_no_terminal(run_without_torch: Expkit, tmp_path: Path) -> None:
    """A class that would recolour the screen is escaped, and a program gets it whole."""
    name = "red\x1b[31m\u202e\n"
    run = classes_run(tmp_path / "outputs", [name, "b"])
    refresh(run.path, plots=False)
    text = run_without_torch("show", "last", "--json").out
    assert HIDDEN.search(text) is None
    assert parse_document(text)["classes"]["test"][0]["class_name"] == name


def test_a_run_of_a_newer_version_is_refused_as_json(
    run_without_torch: Expkit, tmp_path: Path
) -> None:
    run = classes_run(tmp_path / "outputs")
    record = read_json(run.path / "environment.json")
    write_json(run.path / "environment.json", {**record, "format_version": 99})
    done = run_without_torch("show", "last", "--json")
    assert done.code == 2
    assert "newer expkit" in parse_document(done.out)["what"]


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(expkit: Expkit, tmp_path: Path) -> None:
    """`| head -1` closes the pipe in the middle of a document; it is UTF-8 in any locale."""
    classes_run(tmp_path / "outputs", [f"ä{number}" for number in range(400)], per_class=2)
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = subprocess.Popen(
        expkit_command(("show", "last", "--json")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"{\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0
    whole = subprocess.run(
        expkit_command(("show", "last", "--json")), capture_output=True, env=environ, check=True
    )
    assert parse_document(whole.stdout.decode("utf-8"))["classes"]["test"][7]["class_name"] == "ä7"


def test_runs_have_what_the_list_and_its_conditions_know(
    run_without_torch: Expkit, tmp_path: Path
) -> None:
    """Also one that was cut off and one that is damaged, a sweep, and a note as it was written."""
    outputs = tmp_path / "outputs"
    whole = classes_run(outputs, name="20260101_120000_whole")
    refresh(whole.path, plots=False)
    add_note(whole.path, "red \x1b[31m")
    interrupted_run(tmp_path / "aside").path.rename(outputs / "20260102_120000_cut")
    broken = classes_run(outputs, name="20260103_120000_broken")
    (broken.path / "config.yaml").write_text("{")
    swept = write_sweep(outputs, [FakeJob({}, accuracy=0.5)])
    done = run_without_torch("runs", "--json")
    assert (done.code, done.err, "\x1b" in done.out) == (0, "", False)
    found = parse_document(done.out)
    assert (found["schema"], found["folder"]) == ("expkit/runs", "outputs")
    lines = {each["name"]: each for each in found["runs"]}
    assert len(lines) == 4
    first, sweep = lines[whole.name], lines[swept.name]
    cut, unreadable = lines["20260102_120000_cut"], lines[broken.name]
    stored = read_json(whole.path / "summary.json")
    assert (first["name"], first["path"]) == (whole.name, f"outputs/{whole.name}")
    assert (first["objective"], first["judged_split"]) == ("test/accuracy", "test")
    assert first["value"] == stored["metrics"]["test"]["accuracy"]
    assert first["interval"] == stored["intervals"]["test"]["accuracy"]
    assert first["metrics"] == stored["metrics"]
    assert first["settings"]["seed"] == 0
    assert [note["text"] for note in first["notes"]] == ["red \x1b[31m"]
    assert (cut["status"], cut["value"], cut["verdict"]) == ("interrupted", None, None)
    assert (unreadable["status"], bool(unreadable["remark"])) == ("unreadable", True)
    assert (sweep["kind"], sweep["settings"]) == ("sweep", {})


def test_runs_are_chosen_and_sorted_for_a_program_too(
    run_without_torch: Expkit, tmp_path: Path
) -> None:
    """None at all is an empty list, and a wrong condition or a flag of the screen is an error."""
    empty = parse_document(run_without_torch("runs", "--json", "--sort", "accuracy").out)
    assert empty["runs"] == []
    for number, share in enumerate((0.95, 0.8)):
        run = classes_run(tmp_path / "outputs", name=f"2026010{number}_120000", share_right=share)
        refresh(run.path, plots=False)
    words = ("runs", "--sort", "accuracy", "--where", "accuracy>0.5", "seed=0", "--json")
    found = parse_document(run_without_torch(*words).out)
    assert found["where"] == ["accuracy>0.5", "seed=0"]
    assert [each["name"] for each in found["runs"]] == ["20260101_120000", "20260100_120000"]
    for wrong, nearest in (
        (("--where", "acuracy>0.5"), "accuracy"),
        (("--columns", "name"), None),
        (("--html",), None),
    ):
        done = run_without_torch("runs", "--json", *wrong)
        error = parse_document(done.out)
        assert (done.code, error["schema"]) == (2, "expkit/error")
        assert error["nearest"] == nearest
