"""A kept temperature and further views, from the command line to what is written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_once import made_once
from running_expkit import Done, Expkit, only_run, train_quietly

from expkit.records.run.kept_temperature import KeptTemperature, RecordedChange, keep_temperature
from expkit.records.run.reader import Run

pytestmark = pytest.mark.slow

DIGITS = (
    *("dataset=digits", "dataset.limit=20", "procedure=full", "procedure.train.max_epochs=8"),
    *(
        "device.precision=fp32",
        "device.threads=1",
        "optimizer.lr=0.01",
        "model.init=kaiming",
        "name=digits",
    ),
    'criteria={val/recall[*]: "> 0.01", max_predicted_fraction: "< 0.9", latency_seconds: "< 5"}',
)
TEMPERATURE = 2.5


@pytest.fixture
def trained(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A run on few digits with criteria of a command line, trained once a session."""

    def train(_: Path) -> None:
        train_quietly(*DIGITS)

    made = made_once(tmp_path_factory, "digits_for_manners", train)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return only_run(tmp_path)


def keep(path: Path, temperature: float = TEMPERATURE) -> None:
    """What `expkit calibrate` writes, for these weights."""
    change = RecordedChange(1.0, 0.5, (-0.6, -0.4))
    digest = hashlib.sha256(Run(path).weights.read_bytes()).hexdigest()
    kept = KeptTemperature(temperature, digest, "val", 0, 50, 50, change, change, 0.8, True)
    keep_temperature(kept, path)


def evaluated(path: Path, name: str) -> tuple[Run, dict[str, object]]:
    (made,) = path.parent.glob(f"*_{name}")
    return Run(made), json.loads((made / "summary.json").read_text())


def rows_of(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.out)))


def test_criteria_of_a_command_line_are_judged(trained: Path) -> None:
    """By their names in the config; latency on the device of the run, because it was asked."""
    summary = json.loads((trained / "summary.json").read_text())
    found = {each["criterion"]: each for each in summary["criteria"]}
    assert set(found) == {
        *("val/recall[*] > 0.01", "max_predicted_fraction < 0.9", "latency_seconds < 5"),
    }
    assert found["val/recall[*] > 0.01"]["num_classes"] == 10
    latency = found["latency_seconds < 5"]
    assert 0 < latency["value"] <= latency["p95"]
    assert latency["met"]
    assert "val/recall[*]" in (trained / "config.yaml").read_text()


@pytest.mark.slow
def test_an_evaluation_takes_the_kept_temperature(run_here: Expkit, trained: Path) -> None:
    """Flatter probabilities, the same predictions; its config has the number, for a resume."""
    plain = Run(trained).predictions["val"]
    keep(trained)
    words = ("evaluate", trained.name, "criteria=none", "--name")
    done = run_here(*words, "cooled")
    assert done.code == 0, done.err
    run, summary = evaluated(trained, "cooled")
    assert run.config["procedure"]["evaluate"]["temperature"] == TEMPERATURE
    assert summary["temperature"] == TEMPERATURE
    assert "probabilities at temperature 2.5" in done.out
    cooled = run.predictions["val"]
    assert (cooled.predictions == plain.predictions).all()
    assert (cooled.ranks == plain.ranks).all()
    logits = np.log(plain.probabilities.astype(float)) / TEMPERATURE
    by_hand = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert cooled.probabilities == pytest.approx(by_hand, abs=1e-4)
    assert run_here(*words, "as_before", "--no-calibration").code == 0
    again, summary = evaluated(trained, "as_before")
    assert (again.path / "predictions.csv").read_bytes() == (
        trained / "predictions.csv"
    ).read_bytes()
    assert "temperature" not in summary


def test_views_are_recorded_with_their_cost_and_their_gain(run_here: Expkit, trained: Path) -> None:
    """The mean over two passes, beside the plain model's predictions of the same samples."""
    done = run_here(
        *("evaluate", trained.name, "criteria=none", "--tta", "horizontal_flip", "--name", "seen")
    )
    assert done.code == 0, done.err
    run, summary = evaluated(trained, "seen")
    tta = summary["tta"]
    assert isinstance(tta, dict)
    assert (tta["views"], tta["passes"], tta["split"]) == (["horizontal_flip"], 2, "test")
    assert tta["seconds_per_image"] > 0
    assert tta["plain_seconds_per_image"] > 0
    ours, plain = run.predictions["test"], run.plain_predictions["test"]
    assert (plain.probabilities == Run(trained).predictions["test"].probabilities).all()
    assert (ours.probabilities != plain.probabilities).any()
    gain = ((ours.ranks == 0).sum() - (plain.ranks == 0).sum()) / len(plain.ranks)
    assert tta["gain"] == pytest.approx(gain)
    low, high = tta["gain_interval"]
    assert low <= gain <= high
    assert "averaged with views of each image (horizontal_flip): 2 passes" in done.out


def test_predict_says_what_made_its_probabilities(run_here: Expkit, trained: Path) -> None:
    """A column where they are not plain, a note on the screen, and none where nothing is asked."""
    from PIL import Image

    Image.fromarray((np.arange(64).reshape(8, 8) * 3).astype(np.uint8)).save("digit.png")
    (plain,) = rows_of(run_here("predict", trained.name, "digit.png"))
    assert "probabilities" not in plain
    keep(trained)
    done = run_here("predict", trained.name, "digit.png")
    (cooled,) = rows_of(done)
    assert cooled["probabilities"] == "temperature 2.5"
    assert "note: probabilities at temperature 2.5" in done.err
    assert cooled["prediction"] == plain["prediction"]
    assert float(cooled["confidence"]) < float(plain["confidence"])
    (again,) = rows_of(run_here("predict", trained.name, "digit.png", "--no-calibration"))
    assert again == plain
    words = ("predict", trained.name, "digit.png", "--tta", "flips,center_crops")
    done = run_here(*words)
    (row,) = rows_of(done)
    assert row["probabilities"] == "temperature 2.5; mean of plain, flips, center_crops"
    assert "6 passes an image" in done.err


def test_thresholds_decide_on_the_probabilities_that_they_were_chosen_on(
    run_here: Expkit, trained: Path
) -> None:
    """A cut-off of the plain softmax means nothing on one at temperature 2.5, nor on a mean."""
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save("digit.png")
    assert run_here("threshold", trained.name, "--class", "3", "--recall", "0.01").code == 0
    words = ("predict", trained.name, "digit.png")
    (row,) = rows_of(run_here(*words))
    assert row["decision"]
    done = run_here(*words, "--tta", "horizontal_flip")
    assert "not used: the threshold of 3, which is of predictions without --tta" in done.err
    assert not rows_of(done)[0]["decision"]
    keep(trained)
    done = run_here(*words)
    assert "not used: the threshold of 3, which is of probabilities at temperature 1" in done.err
    assert not rows_of(done)[0]["decision"]
    assert rows_of(run_here(*words, "--no-calibration"))[0] == row


@pytest.mark.broad(2)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "last", "--tta", "horizontal_flop"), "nearest: horizontal_flip"),
        (("predict", "last", ".", "--tta", "mirror"), "center_crops are allowed"),
        (("train", *DIGITS[:-1], "procedure.evaluate.tta=[horizontal_flop]"), "horizontal_flip"),
        (("train", *DIGITS[:-1], "procedure.evaluate.temperature=0"), "temperature"),
        (
            ("train", "dataset=puzzle", "dataset.rows=2", "dataset.columns=2", "criteria=none",
             "dataset.piece_size=8", "dataset.target=rotation", "procedure.evaluate.tta=[flips]",
             "procedure=full"),
            "another class",
        ),
    ],
)  # fmt: skip
def test_views_that_there_are_not_or_that_do_not_suit(
    run_here: Expkit, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """One screen, and no new folder."""
    Path("outputs").mkdir()
    shutil.copyfile(__file__, "not_an_image.txt")
    done = run_here(*words)
    assert done.code == 2, done.out
    assert said in " ".join(done.err.split()) or "no run" in done.err
    assert not list((tmp_path / "outputs").glob("2*"))
