"""What comes after training: evaluating on other data, predicting new files, timing."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made_once import made_once
from PIL import Image
from running_expkit import TINY, Done, Expkit, only_run, train_quietly
from safetensors import safe_open
from safetensors.torch import save_file

from expkit.probes.denormals import flushing
from expkit.records.run.checkpoint_digests import note_digest

PICTURES = (
    "dataset=image_folder",
    "dataset.root=pictures",
    "dataset.val_fraction=0.3",
    "dataset.test_fraction=0",
    "dataset.cache_dir=cache",
    "model.init=kaiming",
    "procedure=full",
    "procedure.train.max_epochs=12",
    "optimizer.lr=0.01",
    "device.precision=fp32",
    "device.threads=1",
    "criteria=none",
)


ONE_TO_100 = ",".join(map(str, range(1, 101)))


def write_pictures(root: Path, count: int = 20) -> None:
    """Dark and bright noise: two classes that any net tells apart."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 150), ("dark", 0)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(low, low + 100, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02d}.png")


@pytest.fixture
def trained(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A run on a folder of images, trained once a session."""

    def train(place: Path) -> None:
        write_pictures(place / "pictures")
        train_quietly(*PICTURES)

    made = made_once(tmp_path_factory, "trained_on_pictures", train)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return only_run(tmp_path)


def table(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.out)))


def test_predictions_of_files_are_those_of_the_run(run_here: Expkit, trained: Path) -> None:
    """The same pixels get the probabilities that the run recorded: the preparation is the same."""
    with (trained / "predictions.csv").open() as file:
        recorded = {row["sample"]: row for row in csv.DictReader(file)}
    run_here("predict", trained.name, "pictures", "--csv", "all.csv")
    with Path("all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(recorded) == 40
    for row in rows:
        known = recorded["/".join(Path(row["file"]).parts[-2:])]
        assert float(row["dark"]) == pytest.approx(float(known["dark"]), abs=1e-5)
        assert row["prediction"] == known["prediction"]
        second = "bright" if row["prediction"] == "dark" else "dark"
        assert row["confidence"] == row[row["prediction"]]
        assert (row["top2"], row["top2_confidence"]) == (second, row[second])


@pytest.mark.slow
def test_the_columns_are_those_of_the_help(run_here: Expkit, trained: Path) -> None:
    """The same with and without a threshold; --top cuts the list of classes short."""
    picture = "pictures/dark/00.png"
    (row,) = table(run_here("predict", trained.name, picture))
    assert list(row) == [
        *("file", "prediction", "confidence", "decision", "top2", "top2_confidence", "error")
    ]
    assert (row["file"], row["decision"], row["error"]) == (picture, "", "")
    (row,) = table(run_here("predict", trained.name, picture, "--top", "1"))
    assert list(row) == ["file", "prediction", "confidence", "decision", "error"]
    run_here("predict", trained.name, picture, "--csv", "one.csv")
    assert Path("one.csv").read_text().splitlines()[0].endswith(",bright,dark,error")


def test_unreadable_files_are_listed_and_the_rest_is_done(
    run_here: Expkit, trained: Path, tmp_path: Path
) -> None:
    """Exit code 1, a reason for the one, an answer for the others, also in the CSV."""
    (tmp_path / "pictures" / "dark" / "torn.png").write_bytes(b"no image")
    done = run_here("predict", trained.name, "pictures/dark", "--csv", "out.csv")
    assert done.code == 1
    assert "torn.png" in done.err
    assert "20 of 21 images predicted" in done.out
    with (tmp_path / "out.csv").open() as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert rows["torn.png"]["error"]
    assert rows["torn.png"]["prediction"] == ""
    assert rows["00.png"]["prediction"] == "dark"


@pytest.mark.slow
def test_pictures_of_another_size_are_brought_to_the_models(
    run_here: Expkit, trained: Path, tmp_path: Path
) -> None:
    """A larger grey image is decoded as the run's own would be."""
    Image.new("L", (40, 60), 220).save(tmp_path / "large.png")
    (row,) = table(run_here("predict", trained.name, "large.png"))
    assert row["prediction"] == "bright"


@pytest.mark.slow
def test_only_confirmed_thresholds_decide_in_predictions(run_here: Expkit, trained: Path) -> None:
    """Of two that `expkit threshold` stored, `expkit predict` names the one and uses the other."""
    assert run_here("threshold", trained.name, "--class", "dark", "--recall", "0.2").code == 0
    assert run_here("threshold", trained.name, "--class", "bright", "--recall", "0.9").code == 1
    done = run_here("predict", trained.name, "pictures")
    assert "not used: the threshold of bright" in done.err
    first, second = json.loads((trained / "threshold.json").read_text())["thresholds"]
    assert (first["verdict"], second["verdict"]) == ("confirmed", "too few samples")
    rows = table(done)
    for row in rows:
        dark = row["confidence"] if row["prediction"] == "dark" else row["top2_confidence"]
        assert row["decision"] == ("dark" if float(dark) >= first["high"] else "bright")
    assert {row["decision"] for row in rows} == {"dark", "bright"}


def test_evaluating_again_gives_the_same_answers(run_here: Expkit, trained: Path) -> None:
    """On its own data, without an override; the records are a run of their own."""
    assert run_here("evaluate", trained.name, "--name", "again").code == 0
    (again,) = trained.parent.glob("*_again")
    assert (again / "predictions.csv").read_bytes() == (trained / "predictions.csv").read_bytes()
    judged = json.loads((again / "summary.json").read_text())["judged_on"]
    assert f"held out from {trained.name}" in judged
    assert "also chose its epoch" in judged


@pytest.mark.slow
def test_other_pictures_are_normalized_as_the_training_pictures_were(
    run_here: Expkit, trained: Path, tmp_path: Path
) -> None:
    """A folder of bright images alone is not centred by its own mean, which would darken it."""
    shutil.copytree(tmp_path / "pictures" / "bright", tmp_path / "other" / "bright")
    shutil.copytree(tmp_path / "pictures" / "bright", tmp_path / "other" / "dark")
    done = run_here(
        "evaluate", trained.name, "dataset.root=other", "dataset.normalize=dataset", "--name", "two"
    )
    assert done.code == 0, done.err
    (run,) = trained.parent.glob("*_two")
    with (run / "predictions.csv").open() as file:
        assert {row["prediction"] for row in csv.DictReader(file)} == {"bright"}
    theirs = json.loads((trained / "dataset.json").read_text())["preprocessing"]
    assert json.loads((run / "dataset.json").read_text())["preprocessing"] == theirs


@pytest.mark.slow
def test_trained_on_one_puzzle_and_tested_on_another(run_here: Expkit, tmp_path: Path) -> None:
    """The figures say that they are of other pieces than those trained on."""
    run_here("train", *TINY, "procedure=full")
    run = only_run(tmp_path)
    done = run_here("evaluate", run.name, "dataset.landscape_seed=5", "--name", "other")
    assert done.code == 0, done.err
    (other,) = run.parent.glob("*_other")
    summary = json.loads((other / "summary.json").read_text())
    assert summary["judged_on"].startswith(f"measured on other data than {run.name} had")
    assert summary["held_out_gap"] is None


@pytest.mark.broad(2)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate", "last", "datset.root=x"), "nearest  dataset"),
        (("evaluate", "last", "dataset.rot=x"), "nearest  dataset.root"),
        (("evaluate", "last", "dataset.root=same", "dataset.resize=squash"), "dataset.resize=crop"),
        (("evaluate", "last", "dataset=digits"), "the images are 8 x 8"),
        (("evaluate", "last", "dataset.root=swapped"), "does not know all of these classes"),
        (("predict", "last", "nowhere"), "no file or folder 'nowhere'"),
        (("predict", "last", "empty"), "no images were found"),
        (("predict", "last", "pictures", "--batch", "0"), "--batch cannot be '0'"),
        (("predict", "last", "pictures", "--top", "0"), "--top cannot be '0'"),
        (("latency", "last", "--batch", "0"), "--batch cannot be '0'"),
        (("latency", "last", "--batch", "1,x"), "--batch cannot be 'x'"),
        (("latency", "last", "--batch", ONE_TO_100), "100 settings are too many"),
        (("latency", "last", "--batch", ONE_TO_100[:20], "--threads", ONE_TO_100[:20]), "too many"),
        (("latency", "nobody"), "no run 'nobody'"),
    ],
)
def test_wrong_words_are_refused(
    run_here: Expkit, trained: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """One screen, exit code 2, and no new run folder."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "pictures" / "bright").rename(tmp_path / "kept")
    shutil.copytree(tmp_path / "pictures" / "dark", tmp_path / "swapped" / "black")
    shutil.copytree(tmp_path / "kept", tmp_path / "swapped" / "white")
    shutil.copytree(tmp_path / "pictures" / "dark", tmp_path / "same" / "dark")
    shutil.copytree(tmp_path / "kept", tmp_path / "same" / "bright")
    done = run_here(*words)
    assert done.code == 2
    assert message in done.err
    assert only_run(tmp_path) == trained


@pytest.mark.slow
def test_a_run_without_weights_is_refused(run_here: Expkit, tmp_path: Path) -> None:
    """Gates leave none."""
    run_here("train", *TINY[:-1], "procedure=overfit")
    done = run_here("predict", only_run(tmp_path).name, ".")
    assert done.code == 2
    assert "has no trained weights" in done.err


def test_latency_is_measured_and_kept(run_here: Expkit, trained: Path) -> None:
    """Tails not below the median, and multiply-adds as counted by hand."""
    done = run_here("latency", trained.name, "--seconds", "0.1", "--threads", "1", "--batch", "2")
    assert done.code == 0, done.err
    figures = json.loads((trained / "latency.json").read_text())
    assert figures["shape"] == [2, 3, 16, 16]
    assert 0 < figures["median_ms"] <= figures["p95_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    # 3x3 convolutions at stride 2 to 8 x 8, 4 x 4 and 2 x 2, then two outputs of 64 features
    by_hand = 64 * 27 * 16 + 16 * 144 * 32 + 4 * 288 * 64 + 2 * 64
    assert figures["macs"] == by_hand
    assert f"{figures['parameters']:,} parameters" in done.out


@pytest.mark.draws
def test_latency_of_several_settings_is_a_table_a_list_and_a_plot(
    run_here: Expkit, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each combination, on the images that the run kept; the report shows the plot from then on."""
    monkeypatch.setattr("expkit.training.latency.WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr("expkit.commands.latency.count_cores", lambda: 1)
    settings = ("--batch", "1,4", "--threads", "1,2", "--seconds", "0.05")
    done = run_here("latency", trained.name, *settings)
    assert done.code == 0, done.err
    figures = json.loads((trained / "latency.json").read_text())
    pairs = [(each["threads"], each["batch"]) for each in figures["settings"]]
    assert pairs == [(1, 1), (1, 4), (2, 1), (2, 4)]
    assert (figures["shape"], figures["threads"]) == ([1, 3, 16, 16], 1)
    assert figures["median_ms"] == figures["settings"][0]["median_ms"]
    assert figures["images"].endswith("16 of train, which the run kept")
    assert figures["denormals"]["weights"] == 0
    assert "2 threads on 1 core" in done.out
    assert "4 settings, 0.05 s each, in turns" in done.out
    assert (trained / "plots" / "latency.png").is_file()
    assert "plots/latency.png" in (trained / "report.md").read_text()
    (trained / "plots" / "latency.png").unlink()
    assert run_here("plot", trained.name).code == 0
    assert (trained / "plots" / "latency.png").is_file()


def test_latency_without_memory_for_one_setting_keeps_the_others(
    run_here: Expkit, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and a row with the reason; alone it is refused and nothing is kept."""
    monkeypatch.setattr("expkit.training.latency.WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr("expkit.data.store.memory_limits.count_free_bytes", lambda: 500 << 20)
    words = ("latency", trained.name, "--seconds", "0.01", "--threads", "1", "--batch")
    done = run_here(*words, "2000000")
    assert done.code == 2
    assert "no memory for a batch of 2,000,000" in done.err
    assert not (trained / "latency.json").exists()
    done = run_here(*words, "1,2000000,2")
    assert done.code == 1, done.err
    figures = json.loads((trained / "latency.json").read_text())
    assert [each["batch"] for each in figures["settings"]] == [1, 2]
    assert [each["batch"] for each in figures["failed"]] == [2_000_000]


def test_denormal_weights_are_found_and_their_cost_is_told(
    run_here: Expkit, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second convolution is scaled to 1e-40 by hand, which makes some processors slow."""
    (path,) = trained.glob("checkpoints/*/best.safetensors")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = next(each for each, tensor in weights.items() if tensor.shape == (32, 16, 3, 3))
    with flushing(False):
        weights[name] = torch.full_like(weights[name], 1e-40)
    weights[name.replace("weight", "bias")].zero_()
    save_file(weights, path, metadata)
    note_digest(path, path)
    monkeypatch.setattr("expkit.training.latency.WARM_UP_SECONDS", 0.0)
    done = run_here("latency", trained.name, "--seconds", "0.5", "--threads", "1")
    assert done.code == 0, done.err
    found = json.loads((trained / "latency.json").read_text())["denormals"]
    assert (found["weights"], found["weights_in"]) == (32 * 16 * 9, name)
    assert found["activations"] > 0
    assert found["kept_ms"] > 0
    assert found["flushes"] is True
    assert f"4,608 of {found['num_weights']:,} weights" in done.out
    assert found["is_faster"] is ("torch.set_flush_denormal(True)" in done.out)
