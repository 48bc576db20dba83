"""The page beside an exported model: what it is for, how good it is, and what it was not tried on.

It is made from the records of the run, and of the file's own predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.diagnosis.finding import Finding, counted
from expkit.metrics.calibration import NUM_BINS
from expkit.metrics.task_types import MAYBE
from expkit.records.exported import (
    CARD,
    MODEL_FILE,
    RECORDS,
    VERIFICATION,
    ExportRecord,
    read_exported,
)
from expkit.records.files import read_json, write_aside
from expkit.records.run.metadata import DatasetMetadata
from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.formatting import percent
from expkit.reports.markdown import block, code, folded, plain, portable_command, without_places
from expkit.reports.run import summary_tables
from expkit.reports.run.findings import evidence_text
from expkit.reports.run.summary import Summary, recall
from expkit.reports.tables import Table

MAX_CLASSES = 20  # that are listed in sight
WORDS = {"onnx": "ONNX", "openvino": "OpenVINO", "torch_export": "torch.export"}


def write_card(run: Run, folder: Path) -> None:
    """Write README.md into an exported folder that has its records already."""
    write_aside(folder / CARD, model_card(run, folder).encode())


def model_card(run: Run, folder: Path) -> str:
    """The page, from the run that trained and the folder of its exported model."""
    record = read_exported(folder).record
    proof = read_json(folder / VERIFICATION)
    own, summary = recall(Run(folder / RECORDS)), recall(run)
    parts = [
        f"# {plain(record.run)}",
        *_head(run.dataset, record, proof),
        *_usage(record),
        *_data(run.dataset),
        *_metrics(own),
        *_calibration(own, record),
        *_thresholds(record),
        *_verification(record, proof),
        *_leaks(Run(folder / RECORDS).dataset),
        *_findings(summary),
        *_limits(run.dataset, own, record),
        *_origin(run, record),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(metadata: DatasetMetadata, record: ExportRecord, proof: Mapping[str, Any]) -> list[str]:
    names, targets = metadata.class_names, metadata.target_names or ()
    does = (
        f"It predicts {counted(len(targets), 'number')} of an image: {_listed(targets)}."
        if names is None
        else f"It classifies an image into {len(names)} classes: {_listed(names)}."
    )
    name = MODEL_FILE[record.format]
    what = (
        f"{code(name)} is the model of the run {code(record.run)} as {WORDS[record.format]} in "
        f"{record.precision}. It takes image bytes of any size; resize, normalization"
        f"{'' if names is None else ', temperature and softmax'} are in it."
    )
    bad = "" if proof["passed"] else "**NOT GOOD: the file failed its verification, see below.**"
    return [does, what, bad]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(code, names[:MAX_CLASSES]))
    more = len(names) - MAX_CLASSES
    return f"{shown} and {more} more" if more > 0 else shown


def _usage(record: ExportRecord) -> list[str]:
    grey = record.about["input"]["shape"][3] == 1
    mode, last = ("L", "[None, ..., None]") if grey else ("RGB", "[None]")
    image = f'image = np.asarray(Image.open("image.jpg").convert("{mode}")){last}'
    if record.batch is not None:
        image += f".repeat({record.batch}, axis=0)"
    outputs = ", ".join(record.outputs) + ("," if len(record.outputs) == 1 else "")
    parts = ["## How to use"]
    if record.format == "torch_export":
        parts += [
            "There is no script for this format: it takes torch, and is unpickled when it is "
            "opened, so open it only where you trust whoever made it.",
            _fenced("sh", "expkit predict FOLDER image.jpg --trust torch_export"),
        ]
    else:
        runtime = {"onnx": "onnxruntime"}.get(record.format, record.format)
        lines = [
            f"pip install {runtime} numpy pillow",
            "python predict.py image.jpg",
            "python predict.py folder --csv predictions.csv",
        ]
        parts.append(_fenced("sh", "\n".join(lines)))
    code_lines = {
        "onnx": [
            "import numpy as np, onnxruntime",
            "from PIL import Image",
            'session = onnxruntime.InferenceSession("model.onnx")',
            image,
            f'{outputs} = session.run(None, {{"images": image}})',
        ],
        "openvino": [
            "import numpy as np, openvino",
            "from PIL import Image",
            'model = openvino.Core().compile_model("model.xml", "CPU")',
            image,
            f"{outputs} = model(image).values()",
        ],
        "torch_export": [
            "import numpy as np, torch",
            "from PIL import Image",
            'model = torch.export.load("model.pt2").module()',
            image,
            f"{outputs} = model(torch.from_numpy(image.copy()))",
        ],
    }
    parts.append("From Python:")
    parts.append(_fenced("python", "\n".join(code_lines[record.format])))
    if record.format != "torch_export":
        parts.append(
            "`predict.py` also turns a photograph as its EXIF data says, and brings 16 bits to 8, "
            "as the training did. Where that matters, take its `read_image`."
        )
    return parts


def _fenced(language: str, lines: str) -> str:
    """Lines of our own, which hold nothing from records."""
    return f"```{language}\n{lines}\n```"


def _data(metadata: DatasetMetadata) -> list[str]:
    splits = metadata.splits
    total = [f"{split.num_samples:,}" for split in splits.values()]
    head = f"Trained on {code(metadata.name)}, images of {_shape(metadata)}."
    if metadata.class_names is None:
        return ["## Data", head, Table(("split", *splits), [("samples", *total)]).markdown()]
    counts = [split.class_counts or () for split in splits.values()]
    rows = [
        (name, *(f"{each[place]:,}" if each else "-" for each in counts))
        for place, name in enumerate(metadata.class_names)
    ]
    table = Table(("class", *splits), [*rows, ("all", *total)]).markdown()
    few = len(rows) <= MAX_CLASSES
    return ["## Data", head, table if few else folded(f"all {len(rows)} classes", table)]


def _shape(metadata: DatasetMetadata) -> str:
    channels, height, width = metadata.image_shape
    kind = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    return f"{height} x {width} pixels, {kind}"


def _metrics(own: Summary) -> list[str]:
    """The file's own figures: of what is deployed, at its temperature and in its precision."""
    parts = [
        "## Metrics",
        f"Of the file's own predictions, {plain(own['judged_on'])}.",
        summary_tables.metrics_table(own),
    ]
    if (ignorance := formatting.against_ignorance(own)) is not None:
        parts.append(f"**The accuracy is {ignorance}.**")
    parts += [f"{plain(text[0].upper() + text[1:])}." for text in formatting.beside_metrics(own)]
    if classes := summary_tables.classes_table(own, MAX_CLASSES):
        few = len(own["classes"][own["judged_split"]]) <= MAX_CLASSES
        parts += ["" if few else f"The {MAX_CLASSES} classes with the lowest F1:", classes]
    return parts


def _calibration(own: Summary, record: ExportRecord) -> list[str]:
    if record.about["class_names"] is None:
        return []
    temperature = record.about["temperature"]
    fitted = (
        "No temperature was fitted (expkit calibrate): the probabilities are the plain softmax."
        if temperature == 1
        else f"The logits are divided by the temperature {temperature:.4g}, which was fitted on "
        "held-out samples (expkit calibrate)."
    )
    doubt = _doubt(record.about.get("calibration"))
    fits_too = temperature != 1 and own["judged_split"] == "val"
    flatters = " Half of these samples fitted the temperature, which flatters it." * fits_too
    error = own["metrics"].get(own["judged_split"], {}).get("calibration_error")
    if error is None:
        return ["## Calibration", fitted + doubt]
    ends = own["intervals"].get(own["judged_split"], {}).get("calibration_error")
    between = "" if ends is None else f" ({formatting.interval('calibration_error', ends)})"
    return [
        "## Calibration",
        f"{fitted}{doubt} The expected calibration error (ECE, {NUM_BINS} bins) is "
        f"{formatting.figure('calibration_error', error)}{between}: a confidence differs by so "
        f"much from the fraction of right predictions, on average.{flatters}",
    ]


def _doubt(calibration: Mapping[str, Any] | None) -> str:
    """Say that a temperature was kept which did not help on the samples that were to confirm it."""
    if calibration is None or calibration["helps"]:
        return ""
    loss, error = calibration["log_loss"], calibration["calibration_error"]
    return (
        " **It is not confirmed**: on the half of them that it was not fitted on "
        f"({counted(calibration['num_confirmed'], 'sample')}) it did not lower the log loss "
        f"beyond chance ({loss['before']:.4g} before, {loss['after']:.4g} after; ECE "
        f"{error['before']:.4g} and {error['after']:.4g}), and it was kept by `--force`."
    )


def _thresholds(record: ExportRecord) -> list[str]:
    kept: Sequence[Mapping[str, Any]] = record.about["thresholds"]
    if not kept:
        return []
    rows = [
        (
            each["class"],
            f"below {each['low']:.4g}",
            "never" if each["high"] is None else f"from {each['high']:.4g} on",
        )
        for each in kept
    ]
    return [
        "## Thresholds",
        f"The column `decision` is by these probabilities, and {code(MAYBE)} between them. They "
        "were chosen on one half of held-out samples and confirmed on the other.",
        Table(("class", "surely not", "surely"), rows).markdown(),
    ]


def _verification(record: ExportRecord, proof: Mapping[str, Any]) -> list[str]:
    total = proof["num_samples"]
    held = "held-out" if proof["is_held_out"] else "training (none are held out)"
    equal = min(each["num_equal"] for each in proof["batch_sizes"].values())
    verdict = "GOOD" if proof["passed"] else "NOT GOOD"
    sentences = [
        f"**{verdict}**: run by its own runtime, the file predicts on {equal:,} of {total:,} "
        f"{held} samples ({plain(proof['split'])}) what the model in torch does, "
        f"{percent(equal / total)} ({formatting.interval('accuracy', proof['agreement_interval'])})"
        f", at batch size {', '.join(proof['batch_sizes'])}; "
        f"{percent(proof['required_agreement'])} are required. The largest difference of a "
        f"{'number' if record.about['class_names'] is None else 'probability'} is "
        f"{_difference(proof)}."
    ]
    files = proof.get("from_files")
    if files and files["num_files"]:
        sentences.append(
            f"From image files, {files['num_equal']} of {files['num_files']} predictions of this "
            "folder equal those of `expkit predict` in fp32, with a largest difference of "
            f"{_difference(files)}."
        )
    elif files:
        sentences.append(f"Not tried from image files: {plain(files['reason'])}.")
    return ["## Verification", " ".join(sentences), *_speed(proof.get("speed"), record.batch)]


def _difference(found: Mapping[str, Any]) -> str:
    value = found["largest_difference"]
    return "that is no number" if value is None else f"{value:.2g}"


def _speed(speed: Mapping[str, Any] | None, batch: int | None) -> list[str]:
    if speed is None:
        return []
    padded = "" if batch is None else f", which the file takes {batch} at a time,"
    rows = [
        (
            name,
            *(f"{speed[kind][key]:.2f} ms" for key in ("median_ms", "p95_ms", "p99_ms")),
            f"{speed[f'{kind}_bytes'] / 1e6:.2f} MB",
        )
        for name, kind in (("this file", "exported"), ("torch", "torch"))
    ]
    height, width, _ = speed["shape"]
    return [
        f"One image of {height} x {width}{padded} on the processor of the machine that exported "
        f"it by {counted(speed['threads'], 'thread')}, measured in turns, "
        f"{speed['exported']['num_runs']} times each:",
        Table(("", "median", "95 % within", "99 % within", "size"), rows).markdown(),
    ]


def _leaks(measured: DatasetMetadata) -> list[str]:
    """Training samples among those that the metrics are of."""
    leaks = None if measured.trained_by is None else measured.trained_by.leaks
    if leaks is None:
        return []
    found = {name: each for name, each in leaks.splits.items() if each.count}
    told = [
        f"Of the samples of {plain(name)}, {each.exact} are training samples byte for byte, and "
        f"{each.near} nearly."
        for name, each in found.items()
    ]
    looked = "" if leaks.unchecked is None else f"Not all could be looked for: {leaks.unchecked}."
    none = "" if told else "No training sample was found among the held-out ones."
    return ["## Leaks", " ".join(filter(None, [*told, none, plain(looked)]))]


def _findings(summary: Summary) -> list[str]:
    """What the rules found in the run; the commands that mend it are in the run's own page."""
    found = [Finding.from_json(record) for record in summary["findings"]]
    told = [
        f"- **{each.severity}: {plain(each.rule)}**: {_of_anywhere(each.sentence)} Likely cause: "
        f"{_of_anywhere(each.cause)} Evidence: {_of_anywhere(evidence_text(each.evidence))}"
        for each in found
    ]
    return ["## Findings", "\n".join(told) or "The rules found nothing in the run."]


def _of_anywhere(text: str) -> str:
    """A sentence without a machine's paths, and with a full stop."""
    return without_places(plain(text)).rstrip(".") + "."


def _limits(metadata: DatasetMetadata, own: Summary, record: ExportRecord) -> list[str]:
    told = []
    if metadata.class_names is not None:
        told.append(
            "Every image gets one of these classes, also one that shows none of them: the "
            "confidence does not tell of images unlike the training ones."
        )
    told.append(
        f"The figures are of {counted(own['num_judged'], 'sample')} of {code(metadata.name)} and "
        "of nothing else: images of another camera, place or time may fare otherwise."
    )
    if metadata.judged_split == "train":
        told.append("No samples were held out: nothing is known of new images.")
    elif metadata.judged_split == metadata.monitored_split:
        told.append(f"The split {metadata.judged_split} also chose the epoch, which flatters it.")
    train = metadata.splits["train"].class_counts
    if metadata.class_names is not None and train is not None:
        fewest = min(train)
        rare = [n for n, c in zip(metadata.class_names, train, strict=True) if c == fewest]
        told.append(
            f"The fewest training samples of a class are {fewest} ({_listed(rare[:3])}"
            f"{' and others' if len(rare) > 3 else ''})."
        )
    if metadata.class_names is not None and not record.about["thresholds"]:
        told.append("No threshold is confirmed: the column `decision` is empty.")
    return ["## Limits", "\n".join(f"- {each}" for each in told)]


def _origin(run: Run, record: ExportRecord) -> list[str]:
    about, trained = record.about, record.about["trained_with"]
    versions, fingerprints = trained.get("versions") or {}, about["data"]["fingerprints"]
    rows = [
        ("run", record.run),
        ("exported", f"{about['made']}, by expkit {about['expkit_version']}"),
        ("trained with", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("code", _code(trained)),
        ("data fingerprints", ", ".join(f"{name} {each}" for name, each in fingerprints.items())),
        *((f"SHA-256 of {name}", digest) for name, digest in record.files.items()),
    ]
    return [
        "## Origin",
        Table(("", ""), [(label, without_places(text)) for label, text in rows if text]).markdown(),
        "Trained by:",
        block(portable_command(run)),
        "## Licence",
        plain(about["license"]),
    ]


def _code(trained: Mapping[str, Any]) -> str:
    """The version of the code: the commit around the run, and the digest of expkit's sources."""
    git, sources = trained.get("git") or {}, trained.get("sources")
    parts = []
    if git.get("commit"):
        parts.append(f"commit {git['commit']}{' with changes' if git.get('dirty') else ''}")
    if sources:
        parts.append(f"sources of expkit {sources}")
    return ", ".join(parts)
