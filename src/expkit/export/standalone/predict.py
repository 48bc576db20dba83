"""Predict image files with the exported model that lies beside this script.

It needs Python 3.9 or newer, numpy, Pillow, and onnxruntime (or openvino, for a model.xml):

    python predict.py IMAGE|FOLDER ... [--csv OUT]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
import os
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

try:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image, ImageOps
except ImportError as error:
    print(f"{error}: pip install onnxruntime numpy pillow", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:  # they take a while
    raise SystemExit(130) from None

Pixels = npt.NDArray[np.uint8]  # an image is H x W x C, a batch N x H x W x C
Outputs = Mapping[str, npt.NDArray[Any]]
Model = Callable[[Pixels], Outputs]
MOST_IMAGES = 64  # at once
MOST_VALUES = 16_000_000  # of the images at once: the model has them in 8 bytes each
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")  # to a spreadsheet
# what a terminal obeys or hides, and the letters that stand for it
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
WRITTEN_OUT = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
BYTES = re.compile("([\udc80-\udcff]+)")  # of a file's name that is no UTF-8


class UserError(Exception):
    """The reason, in words, why nothing can be predicted."""


class Prediction(NamedTuple):
    """A file's outputs by their names, or why there are none."""

    path: Path
    outputs: Outputs | None
    error: str = ""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="IMAGE|FOLDER")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="the table (default: the screen)")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes named (default 3)")
    arguments = parser.parse_args(words)
    try:
        paths = list_images(arguments.files)
        metadata = read_metadata(Path(__file__).parent)
        model = open_model(Path(__file__).parent, metadata)
        bad = write_table(model, metadata, paths, arguments.csv, max(1, arguments.top))
    except KeyboardInterrupt:
        print("interrupted: the table holds the images until now", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads the table has enough of it
        drop_output()
        return 2
    except UserError as error:
        tell(f"predict.py: {error}")
        return 2
    except OSError as error:  # of a file of the folder, or of the table
        drop_output()
        place = error.filename or arguments.csv or "the screen"
        tell(f"predict.py: cannot read or write '{place}': {in_words(error, place)}")
        return 2
    print(f"{len(paths) - bad} of {len(paths)} images predicted", file=sys.stderr)
    return 2 if bad else 0


def drop_output() -> None:
    """Let what could not be written not be tried once more at the end."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(line: str) -> None:
    """Print a line about what went wrong, whatever is in a name."""
    print(clean(line).replace("\n", "\\n").replace("\t", "\\t"), file=sys.stderr)


def read_metadata(folder: Path) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads((folder / "metadata.json").read_bytes())
    except ValueError as error:
        raise UserError(f"metadata.json is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise UserError("metadata.json is damaged: it holds no JSON object")
    if metadata.get("export_version") != 1:
        raise UserError("metadata.json is of another version than this script")
    return metadata


def open_model(folder: Path, metadata: Mapping[str, Any]) -> Model:
    """Open the model by its runtime, if its files are those that were exported."""
    for name, digest in metadata["files"].items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise UserError(f"{name} is not the file that was exported: its SHA-256 differs")
    names = metadata["outputs"]
    package = {"onnx": "onnxruntime"}.get(metadata["format"], "openvino")
    try:
        if package == "onnxruntime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3  # errors alone
            session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
            return lambda images: dict(zip(names, session.run(names, {"images": images})))
        import openvino

        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", hint)

        def run(images: Pixels) -> Outputs:
            results = compiled(images)
            return {name: results[name] for name in names}

        return run
    except ImportError as error:
        raise UserError(f"{error}: pip install {package} numpy pillow") from error
    except Exception as error:  # an older runtime raises what it will
        raise UserError(f"{package} cannot open the model (is it too old?): {error}") from error


def list_images(given: Iterable[Path]) -> list[Path]:
    """The files that were named, and the images in the folders, however deep."""
    formats = Image.registered_extensions()
    suffixes = {suffix for suffix, name in formats.items() if name in Image.OPEN}
    paths: list[Path] = []
    for path in given:
        if path.is_file():
            paths.append(path)
        elif not path.is_dir():
            raise UserError(f"there is no file or folder '{path}'")
        found = []
        for folder, folders, names in os.walk(path):  # of a file: nothing
            folders[:] = [name for name in folders if not name.startswith(".")]
            files = [Path(folder) / name for name in names if not name.startswith(".")]
            found += [each for each in files if each.suffix.lower() in suffixes]
        paths += sorted(each for each in found if each.is_file() or each.is_symlink())
    if not paths:
        raise UserError(f"no images were found in {', '.join(map(str, given))}")
    return paths


def read_image(path: Path, channels: int) -> Pixels:
    """An image as the model was trained on: upright, in 8 bits, grey or RGB, in its own size."""
    with Image.open(path) as opened:
        if opened.format == "EPS":  # Pillow would hand it to Ghostscript, which runs it
            raise ValueError("EPS is a program, and no image of pixels")
        opened.load()
        image = ImageOps.exif_transpose(opened)
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are 32-bit numbers (mode {image.mode}), not levels")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


def predict_files(
    model: Model, metadata: Mapping[str, Any], paths: Iterable[Path]
) -> Iterator[Prediction]:
    """Yield each file's prediction, in order; images of one size go into the model together."""
    images: dict[int, Pixels] = {}
    waiting: list[Prediction] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        for path in paths:
            error = ""
            try:
                images[len(waiting)] = read_image(path, metadata["input"]["shape"][3])
            except Exception as reason:  # a broken file makes Pillow raise whatever it will
                error = in_words(reason, path)
            waiting.append(Prediction(path, None, error))
            num_values = sum(each.size for each in images.values())
            if len(waiting) == MOST_IMAGES or num_values > MOST_VALUES:
                yield from fill_in(waiting, images, model, metadata["batch"])
                images, waiting = {}, []
    yield from fill_in(waiting, images, model, metadata["batch"])


def fill_in(
    waiting: list[Prediction], images: Mapping[int, Pixels], model: Model, batch: int | None
) -> list[Prediction]:
    """Predict the images, which stand at these places of those that wait."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, image in images.items():
        alike[image.shape].append(place)
    for places in alike.values():
        size = batch or len(places)
        for start in range(0, len(places), size):
            chosen = places[start : start + size]
            filled = [*chosen, *[chosen[-1]] * (size - len(chosen))]  # of a fixed batch
            try:
                outputs = model(np.stack([images[place] for place in filled]))
            except Exception as error:  # whatever a runtime raises, as for want of memory
                for place in chosen:
                    waiting[place] = waiting[place]._replace(error=f"the model fails: {error}")
                continue
            for i, place in enumerate(chosen):
                own = {name: each[i] for name, each in outputs.items()}
                waiting[place] = waiting[place]._replace(outputs=own)
    return waiting


def header(metadata: Mapping[str, Any], top: int) -> list[str]:
    classes = metadata["class_names"]
    if classes is None:
        names = metadata["target_names"]
        return ["file", *distinct_columns(names, ("file", "error"), "number"), "error"]
    ranks = range(2, min(top, len(classes)) + 1)
    others = [column for k in ranks for column in (f"top{k}", f"top{k}_confidence")]
    uncertainty = ["uncertainty"] if "uncertainty" in metadata["outputs"] else []
    manner = [] if metadata["temperature"] == 1 else ["probabilities"]
    first = ["file", "prediction", "confidence", "decision", *others, *uncertainty]
    return [*first, *distinct_columns(classes, (*first, *manner, "error")), *manner, "error"]


def distinct_columns(names: Sequence[str], taken: Sequence[str], kind: str = "class") -> list[str]:
    """A column for each class: its name, or `class:NAME` where another column is called so."""
    columns: list[str] = []
    for name in names:
        column = name
        while column in taken or column in columns or (column != name and column in names):
            column = f"{kind}:{column}"
        columns.append(column)
    return columns


def row(prediction: Prediction, metadata: Mapping[str, Any], top: int) -> list[str]:
    """A file's cells, in the order of the header."""
    path, outputs, error = prediction
    classes, temperature = metadata["class_names"], metadata["temperature"]
    if outputs is None:
        return [str(path), *[""] * (len(header(metadata, top)) - 2), error]
    names = metadata["target_names"] if classes is None else classes
    found = outputs["outputs" if classes is None else "probabilities"]
    if len(found) != len(names):  # each would stand in another's column
        raise UserError(f"metadata.json has {len(names)} names, and the model {len(found)} outputs")
    if classes is None:
        return [str(path), *(f"{number:.6g}" for number in found.tolist()), ""]
    probabilities = found
    numbers = [f"{number:.6g}" for number in probabilities.tolist()]
    order = (-probabilities).argsort(kind="stable").tolist()[:top]
    ranked = [cell for i in order for cell in (classes[i], numbers[i])]
    decision = decide(metadata["thresholds"], classes, probabilities.tolist())
    uncertainty = [f"{outputs['uncertainty']:.6g}"] if "uncertainty" in outputs else []
    manner = [] if temperature == 1 else [f"temperature {temperature:.4g}"]
    return [str(path), *ranked[:2], decision, *ranked[2:], *uncertainty, *numbers, *manner, ""]


def decide(
    thresholds: Sequence[Mapping[str, Any]], classes: Sequence[str], probabilities: Sequence[float]
) -> str:
    """The class by the confirmed thresholds, or maybe; empty where there are none.

    An image that is surely of none of their classes is of the most probable other one.
    """
    if not thresholds:
        return ""
    own = [probabilities[classes.index(each["class"])] for each in thresholds]
    others = set(classes) - {each["class"] for each in thresholds}
    if others and all(p < each["low"] for p, each in zip(own, thresholds)):
        return max(zip(probabilities, classes), key=lambda pair: (pair[1] in others, pair[0]))[1]
    sure = [
        each["class"]
        for p, each in zip(own, thresholds)
        if each["high"] is not None and p >= each["high"]
    ]
    return sure[0] if len(sure) == 1 else "maybe"


def write_table(
    model: Model, metadata: Mapping[str, Any], paths: Sequence[Path], to: Path | None, top: int
) -> int:
    """Write each row as it comes, and return how many files could not be predicted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    num_bad = 0
    with contextlib.ExitStack() as stack:
        stream: Any = Screen()
        if to is not None:
            opened = to.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            stream = stack.enter_context(opened)
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(map(safe, header(metadata, top)))
        for prediction in predict_files(model, metadata, paths):
            writer.writerow(map(safe, row(prediction, metadata, top)))
            if prediction.error:
                num_bad += 1
                tell(f"not read: {prediction.path}: {prediction.error}")
        stream.flush()
    return num_bad


def in_words(error: Exception, path: object) -> str:
    """The reason of an error without numbers of the system, or the path that stands beside it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error)
    for shown in (f"'{path}'", repr(str(path))):  # as Pillow repeats it
        text = text.replace(f" {shown}", "")
    return text or type(error).__name__


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, and no terminal obeys."""
    shown = text
    if clean_cell(text) != text or WRITTEN_OUT.search(text):
        shown = clean_cell(text.replace("\\", "\\\\"))
    return f"'{shown}" if FORMULA.match(shown) and not is_number(shown) else shown


def clean_cell(text: str) -> str:
    """A text that no terminal obeys; bytes of a name that are no UTF-8 stay for the file."""
    pieces = BYTES.split(text.replace("\r", "\\x0d"))
    return "".join(each if BYTES.match(each) else clean(each) for each in pieces)


def clean(text: str) -> str:
    """A text for the screen: `\\x1b` in letters for what a terminal would obey."""

    def letters(match: re.Match[str]) -> str:
        code = ord(match[0])
        short = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        return "\\r" if match[0] == "\r" else short if code < 0x10000 else f"\\U{code:08x}"

    return HIDDEN.sub(letters, text)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class Screen:
    """The standard output, on which nothing is obeyed."""

    def write(self, text: str) -> int:
        return sys.stdout.write(clean(text))

    def flush(self) -> None:
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
