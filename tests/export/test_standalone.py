"""predict.py of an exported folder: what it reads, writes and refuses, alone in the world."""

from __future__ import annotations

import ast
import csv
import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from handwritten_exports import CLASSES, write_folder, write_openvino_folder
from PIL import Image

from expkit import sanitize
from expkit.data.store import folder_tree
from expkit.data.store.decoding import Decoding, UnreadableImageError
from expkit.export.standalone import predict
from expkit.metrics.task_types import MAYBE
from expkit.records.csv_cells import safe_cell
from expkit.records.exported import VERSION
from expkit.records.run.thresholds import Threshold, decide

SOURCE = Path(predict.__file__)
Main = Callable[..., tuple[int, list[dict[str, str]], str]]


def paint(path: Path, level: int, size: tuple[int, int] = (9, 7), **options: Any) -> Path:
    """Write an image of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level,) * 3).save(path, **options)
    return path


def load(folder: Path) -> ModuleType:
    """The script of a folder as a module of its own."""
    spec = importlib.util.spec_from_file_location("exported_predict", folder / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Main:
    """Runs the script of a folder named `exported` here: exit code, rows of the table, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(*words: str) -> tuple[int, list[dict[str, str]], str]:
        code = load(tmp_path / "exported").main(words)
        said = capsys.readouterr()
        return code, list(csv.DictReader(io.StringIO(said.out))), said.err

    return run


def test_images_of_many_sizes_get_their_own_predictions_in_order(main: Main) -> None:
    """Batches are of one size, also where the sizes alternate; level 51 is 0.2 of 255."""
    write_folder(Path("exported"))
    levels = [0, 51, 255, 204, 102]
    sizes = [(9, 7), (5, 5), (9, 7), (5, 5), (3, 8)]
    paths = [
        paint(Path(f"{i}.png"), level, size)
        for i, (level, size) in enumerate(zip(levels, sizes, strict=True))
    ]
    code, rows, _ = main(*map(str, paths))
    assert code == 0
    assert [row["file"] for row in rows] == list(map(str, paths))
    assert [row["bright"] for row in rows] == ["0", "0.2", "1", "0.8", "0.4"]
    assert [row["prediction"] for row in rows] == ["dark", "dark", "bright", "bright", "dark"]
    assert [row["confidence"] for row in rows] == ["1", "0.8", "1", "0.8", "0.6"]
    assert {row["error"] for row in rows} == {""}


@pytest.mark.slow
def test_openvino_s_files_are_run_by_the_same_script(main: Main) -> None:
    """The outputs are taken by their names."""
    write_openvino_folder(Path("exported"))
    paint(Path("a.png"), 51)
    paint(Path("b.png"), 204, (5, 5))
    code, rows, _ = main("a.png", "b.png")
    assert code == 0
    assert [row["prediction"] for row in rows] == ["dark", "bright"]
    assert [float(row["bright"]) for row in rows] == pytest.approx([0.2, 0.8])


@pytest.mark.parametrize("num_images", [1, 3, 4, 7])
def test_a_fixed_batch_is_padded_and_the_padding_is_no_row(main: Main, num_images: int) -> None:
    """A file for three images at once predicts any number of them."""
    write_folder(Path("exported"), batch=3)
    levels = [51 * (i % 6) for i in range(num_images)]
    for i, level in enumerate(levels):
        paint(Path(f"images/{i}.png"), level)
    code, rows, _ = main("images")
    assert code == 0
    assert [float(row["bright"]) for row in rows] == pytest.approx([x / 255 for x in levels])


def test_a_bad_image_is_a_row_with_its_reason_and_the_others_go_on(main: Main) -> None:
    write_folder(Path("exported"))
    paint(Path("images/a.png"), 255)
    Path("images/b.jpg").write_bytes(b"no image")
    whole = paint(Path("images/c.png"), 0, (64, 64)).read_bytes()
    Path("images/c.png").write_bytes(whole[: len(whole) // 2])
    Path("images/d.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    paint(Path("images/e.png"), 0)
    code, rows, err = main("images", "--csv", "out.csv")
    assert code == 2
    assert not rows
    rows = list(csv.DictReader(io.StringIO(Path("out.csv").read_text())))
    assert [row["prediction"] for row in rows] == ["bright", "", "", "", "dark"]
    assert [bool(row["error"]) for row in rows] == [False, True, True, True, False]
    assert "EPS is a program" in rows[3]["error"]
    assert err.count("not read: images/") == 3
    assert "2 of 5 images predicted" in err


def test_folders_are_searched_for_images_and_a_named_file_is_always_tried(main: Main) -> None:
    """Hidden ones are left out, as `expkit predict` lists them."""
    write_folder(Path("exported"))
    paint(Path("images/deep/er/a.PNG"), 255, format="PNG")
    paint(Path("images/b.webp"), 0)
    paint(Path("images/.hidden/c.png"), 0)
    paint(Path("images/.d.png"), 0)
    Path("images/notes.txt").write_text("no image")
    os.mkfifo("images/pipe.png")
    paint(Path("odd.dat"), 255, format="PNG")
    code, rows, _ = main("images", "odd.dat")
    assert code == 0
    listed = sorted(folder_tree.list_images(Path("images"))[0])
    assert [row["file"] for row in rows] == [*map(str, listed), "odd.dat"]
    assert len(rows) == 3


def test_files_are_decoded_as_expkit_decodes_them(tmp_path: Path) -> None:
    """Turned by EXIF, 16 bits, grey, palettes and transparency give the same bytes."""
    random = np.random.default_rng(0)
    colours = Image.fromarray(random.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    colours.save(tmp_path / "turned.jpg", exif=exif)
    colours.convert("P").save(tmp_path / "palette.png")
    colours.convert("RGBA").save(tmp_path / "transparent.png")
    colours.convert("CMYK").save(tmp_path / "cmyk.tiff")
    Image.fromarray(random.integers(0, 2**16, (6, 9), dtype=np.uint16)).save(tmp_path / "deep.png")
    for path in sorted(tmp_path.iterdir()):
        for channels in (1, 3):
            expected = Decoding(None, channels=channels).decode(path)  # type: ignore[arg-type]
            given = predict.read_image(path, channels)
            assert given.shape == expected.shape, path.name
            assert (given == expected).all(), path.name
    assert predict.read_image(tmp_path / "turned.jpg", 3).shape == (9, 6, 3)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda: Path("exported/model.onnx").write_bytes(b"x"), "SHA-256 differs"),
        (lambda: Path("exported/model.onnx").unlink(), "model.onnx"),
        (lambda: Path("exported/metadata.json").write_text("{"), "metadata.json is damaged"),
        (lambda: Path("exported/metadata.json").write_text("{}"), "of another version"),
        (lambda: Path("exported/metadata.json").write_text("[]"), "metadata.json is damaged"),
        (lambda: Path("exported/metadata.json").unlink(), "metadata.json"),
        (lambda: Path("a.png").unlink(), "there is no file or folder 'a.png'"),
        (lambda: (Path("a.png").unlink(), Path("a.png").mkdir()), "no images were found in a.png"),
        (lambda: Path("out.csv").mkdir(), "out.csv"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    main: Main, break_it: Callable[[], object], said: str
) -> None:
    write_folder(Path("exported"))
    paint(Path("a.png"), 0)
    break_it()
    code, rows, err = main("a.png", "--csv", "out.csv")
    assert code == 2
    assert not rows
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("names", [["dark"], ["dark", "bright", "none"]])
def test_names_that_are_not_as_many_as_the_outputs_are_refused(
    main: Main, names: Sequence[str]
) -> None:
    """Of an edited metadata.json, whose columns would have other classes' numbers."""
    write_folder(Path("exported"), class_names=names)
    paint(Path("a.png"), 0)
    code, rows, err = main("a.png")
    assert code == 2
    assert len(rows) <= 1
    assert f"metadata.json has {len(names)} names, and the model 2 outputs" in err


ODD_NAMES = (
    *("=cmd()", "-1+2", "+cmd", "@sum", "'=x", "a\x1b[31m", "tab\there", "line\nbreak", "plain"),
    *("\rback", "\u202ereversed", "\\x1b", "zero\u200bwidth", "caf\udce9", "tag\U000e0041"),
    *("''+1", "\tfirst", "nan", "1e5", "-2", "\\", "\\\\x0d\r", "é", "a,b"),
)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_cell_is_what_expkit_predict_writes(name: str) -> None:
    """Formulas, escapes, hidden characters, and bytes that are no UTF-8."""
    assert predict.safe(name) == safe_cell(name)
    assert predict.clean(name) == sanitize.clean(name)


def test_names_of_files_and_classes_are_no_formulas_and_no_escapes(main: Main) -> None:
    """The bytes of a name stay in a file, as `expkit predict --csv` has them, not on the screen."""
    write_folder(Path("exported"), class_names=["=cmd()", "@bright\x1b"])
    for name in ("=cmd()", "line\nbreak", "caf\udce9"):
        paint(Path(f"{name}.png"), 255)
    code, rows, _ = main("=cmd().png", "line\nbreak.png", "caf\udce9.png")
    assert code == 0
    assert list(rows[0])[-3:] == ["'=cmd()", "'@bright\\x1b", "error"]
    assert {row["prediction"] for row in rows} == {"'@bright\\x1b"}
    assert [row["file"] for row in rows] == ["'=cmd().png", "line\nbreak.png", "caf\\udce9.png"]
    assert main("caf\udce9.png", "--csv", "out.csv")[0] == 0
    assert b"caf\xe9.png," in Path("out.csv").read_bytes()
    Path("line\nbreak.png").write_bytes(b"no image")
    assert "not read: line\\nbreak.png: cannot identify image file\n" in main("line\nbreak.png")[2]


@pytest.mark.parametrize("kind", ["none", "locked", "half", "gone", "folder", "bomb"])
def test_a_bad_image_has_the_reason_that_expkit_predict_gives_in_words(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number of an error, and not the path, which stands beside it, also an odd one."""
    path = tmp_path / "a\n'odd\x1b.png"
    whole = paint(path, 9, (64, 64)).read_bytes()
    if kind == "none":
        path.write_bytes(b"no image")
    elif kind == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    elif kind == "locked":
        monkeypatch.setattr(Image, "open", _denied)
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
    said = {
        "none": "cannot identify image file",
        "locked": "permission denied",
        "gone": "no such file or directory",
        "folder": "is a directory",
    }
    with pytest.raises(UnreadableImageError) as theirs:
        Decoding(None).decode(path)
    metadata = {"input": {"shape": ["b", "h", "w", 3]}, "batch": None}
    (ours,) = predict.predict_files(lambda _: {}, metadata, [path])
    assert ours.error == str(theirs.value)
    assert ours.error.startswith(said.get(kind, ""))
    assert not [each for each in ("Errno", str(tmp_path)) if each in ours.error]


def _denied(path: Path, *_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_a_full_disk_is_said_in_words(main: Main) -> None:
    write_folder(Path("exported"))
    paint(Path("a.png"), 0)
    code, _, err = main("a.png", "--csv", "/dev/full")
    assert code == 2
    assert err.endswith("cannot read or write '/dev/full': no space left on device\n")


def test_a_full_screen_is_said_in_words_too(tmp_path: Path) -> None:
    """As `python predict.py a.png > /dev/full`: one line, and nothing of the interpreter's own."""
    write_folder(tmp_path / "exported")
    paint(tmp_path / "a.png", 0)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-B", "exported/predict.py", "a.png"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "predict.py: cannot read or write 'the screen': no space left on device\n"


@pytest.mark.parametrize("temperature", [1, 1.25])
def test_a_class_that_is_called_as_a_column_has_another_one(temperature: float) -> None:
    """By the same scheme as `expkit predict`; names that clash with nothing stay."""
    from expkit.runner.prediction_table import PredictionTable

    names = ["error", "cat", "prediction", "top2", "class:error", "probabilities", "top3"]
    metadata = {"class_names": names, "outputs": ["probabilities"], "temperature": temperature}
    ours = predict.header(metadata, 2)
    manner = "" if temperature == 1 else "temperature 1.25"
    assert ours == PredictionTable(names, (), 2, True, [], {}, manner).header
    assert len(set(ours)) == len(ours)
    probabilities = "probabilities" if temperature == 1 else "class:probabilities"
    assert [each for each in ours if each.startswith("class:") or each in ("cat", "top3")] == [
        *("class:class:error", "cat", "class:prediction", "class:top2", "class:error"),
        *([probabilities] if temperature != 1 else []),
        "top3",
    ]


def test_a_number_that_is_called_as_a_column_has_another_one() -> None:
    from expkit.runner.prediction_table import PredictionTable

    names = ["x", "file", "error"]
    metadata = {"class_names": None, "target_names": names}
    assert predict.header(metadata, 3) == ["file", "x", "number:file", "number:error", "error"]
    assert PredictionTable(None, names, 3, True, [], {}, "").header == predict.header(metadata, 3)


def test_beside_the_columns_of_a_followed_folder_a_class_has_its_own() -> None:
    from expkit.runner.followed_folder import columns_behind
    from expkit.runner.prediction_table import PredictionTable

    behind = columns_behind(["grey"])
    table = PredictionTable(["grain", "bytes", "steel"], (), 1, True, [], {}, "", further=behind)
    assert table.header[-4:] == ["class:grain", "class:bytes", "steel", "error"]


@pytest.mark.parametrize("number", ["-0.5", "+3", "-1e-05", "-1.25e+20", "0.1", "nan"])
def test_numbers_stay_numbers(number: str) -> None:
    assert predict.safe(number) == number == safe_cell(number)


def test_predicted_numbers_have_a_column_each() -> None:
    metadata = {"class_names": None, "target_names": ["x", "y"], "outputs": [], "temperature": 1}
    done = predict.Prediction(Path("a.png"), {"outputs": np.array([1.5, -2], np.float32)})
    assert predict.header(metadata, 3) == ["file", "x", "y", "error"]
    assert predict.row(done, metadata, 3) == ["a.png", "1.5", "-2", ""]
    assert predict.row(predict.Prediction(Path("b"), None, "why"), metadata, 3)[2:] == ["", "why"]


def test_the_script_knows_the_version_that_is_written(tmp_path: Path) -> None:
    """It refuses another one: whoever raises the version looks at the script, too."""
    metadata = write_folder(tmp_path)
    assert metadata["export_version"] == VERSION
    assert predict.read_metadata(tmp_path) == metadata


def test_the_columns_are_those_of_expkit_predict() -> None:
    """With uncertainty, a temperature, thresholds and classes, in the same order."""
    from expkit.runner.inference import FilePrediction
    from expkit.runner.prediction_table import PredictionTable

    names, numbers = ["a", "b", "c", "d"], np.array([0.1, 0.2, 0.4, 0.3], np.float32)
    thresholds = [_threshold("c", names, 0.2, 0.35)]
    metadata = {
        "class_names": names,
        "outputs": ["logits", "probabilities", "prediction", "uncertainty"],
        "temperature": 1.25,
        "thresholds": [_plain(each) for each in thresholds],
    }
    theirs = PredictionTable(
        names, (), 3, True, thresholds, {}, "temperature 1.25", has_uncertainty=True
    )
    outputs = {"probabilities": numbers, "uncertainty": np.float32(0.75)}
    ours = predict.Prediction(Path("x.png"), outputs)
    assert predict.header(metadata, 3) == theirs.header
    assert predict.row(ours, metadata, 3) == theirs.row(
        FilePrediction(Path("x.png"), numbers, uncertainty=0.75)
    )
    bad = predict.Prediction(Path("x.png"), None, "why")
    assert predict.row(bad, metadata, 3) == theirs.row(FilePrediction(Path("x.png"), None, "why"))


def test_decisions_are_those_of_expkit() -> None:
    """On random probabilities, by one, two and three thresholds, with and without a sure side."""
    random = np.random.default_rng(0)
    names = ["a", "b", "c"]
    table = random.dirichlet(np.full(3, 0.5), 400).astype(np.float32)
    seen = set()
    for chosen in (["b"], ["c", "a"], names):
        thresholds = [
            _threshold(name, names, 0.2 + 0.1 * i, None if name == "a" else 0.6)
            for i, name in enumerate(chosen)
        ]
        plain = [_plain(each) for each in thresholds]
        ours = [predict.decide(plain, names, row.tolist()) for row in table]
        assert ours == decide(thresholds, table)
        seen |= set(ours)
    assert seen == {*names, MAYBE}
    assert predict.decide([], names, [1.0, 0.0, 0.0]) == ""


def _threshold(name: str, names: Sequence[str], low: float, high: float | None) -> Threshold:
    return Threshold(name, names, low, high, None, None, "val", 0, "confirmed", {})


def _plain(threshold: Threshold) -> Mapping[str, Any]:
    return {"class": threshold.class_name, "low": threshold.low, "high": threshold.high}


def test_large_images_go_into_the_model_one_by_one() -> None:
    """The memory of a batch is bounded: two images above the bound are never together."""
    seen: list[int] = []

    def model(images: Any) -> Mapping[str, Any]:
        seen.append(len(images))
        return {"outputs": np.zeros(len(images))}

    metadata = {"input": {"shape": ["b", "h", "w", 3]}, "batch": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "MOST_VALUES", 1000)
        patch.setattr(predict, "read_image", lambda path, _: np.zeros((20, int(str(path)), 3)))
        paths = [Path("17"), Path("17"), Path("2"), Path("2"), Path("2")]
        done = list(predict.predict_files(model, metadata, paths))
    assert seen == [1, 1, 3]
    assert [each.path for each in done] == paths


def test_a_model_that_fails_on_some_images_predicts_the_others() -> None:
    def model(images: Any) -> Mapping[str, Any]:
        if images.shape[1] == 2:
            raise MemoryError("too large")
        return {"outputs": np.ones(len(images))}

    metadata = {"input": {"shape": ["b", "h", "w", 3]}, "batch": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "read_image", lambda path, _: np.zeros((int(str(path)), 1, 3)))
        done = list(predict.predict_files(model, metadata, [Path("1"), Path("2"), Path("1")]))
    assert [each.error for each in done] == ["", "the model fails: too large", ""]


def test_an_interruption_ends_without_a_traceback(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(Path("exported"))
    paint(Path("a.png"), 0)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Image, "open", interrupt)
    code, rows, err = main("a.png")
    assert code == 130
    assert not rows
    assert err.startswith("interrupted")


def test_the_script_is_written_for_python_3_9_and_for_strangers() -> None:
    """Its syntax is that of 3.9, and it imports neither torch nor expkit."""
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    others = imported - set(sys.stdlib_module_names)
    assert others == {"numpy", "PIL", "onnxruntime", "openvino"}


def test_a_missing_package_is_named_with_what_to_install(tmp_path: Path) -> None:
    """A Python without any package at all."""
    write_folder(tmp_path / "exported")
    done = _run_alone(tmp_path, [], "a.png")
    assert done.returncode == 2
    assert "numpy" in done.stderr
    assert "pip install onnxruntime numpy pillow" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_runtime_is_named_with_what_to_install(tmp_path: Path) -> None:
    write_folder(tmp_path / "exported")
    paint(tmp_path / "a.png", 0)
    done = _run_alone(tmp_path, ["numpy", "numpy.libs", "PIL", "pillow.libs"], "a.png")
    assert done.returncode == 2
    assert "No module named 'onnxruntime'" in done.stderr
    assert "pip install onnxruntime numpy pillow" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_runs_where_there_is_neither_torch_nor_expkit(tmp_path: Path) -> None:
    write_folder(tmp_path / "exported")
    paint(tmp_path / "images" / "a.png", 204)
    packages = ["numpy", "numpy.libs", "PIL", "pillow.libs", "onnxruntime", "flatbuffers", "google"]
    done = _run_alone(tmp_path, packages, "images")
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["prediction"] == CLASSES[1]
    assert row["bright"] == "0.8"


ALONE = """
import runpy, sys
place, script, *words = sys.argv[1:]
sys.path.insert(0, place)
for name in ("torch", "expkit"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} is here")
sys.argv = [script, *words]
runpy.run_path(script, run_name="__main__")
"""


def _run_alone(
    folder: Path, packages: Sequence[str], *words: str
) -> subprocess.CompletedProcess[str]:
    """Run the script by a Python that sees only these packages, and no other."""
    place = folder / "packages"
    place.mkdir()
    installed = Path(np.__file__).parents[1]
    for name in packages:
        if (installed / name).exists():
            (place / name).symlink_to(installed / name)
    command = [sys.executable, "-I", "-S", "-B", "-c", ALONE, str(place), "exported/predict.py"]
    return subprocess.run(
        [*command, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
