"""Run folders whose records say what no run says: numbers, names and paths of a stranger."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hostile_arena import CONTROL, LONG, REFUSED, Arena
from hostile_folders import BUILDING, COMMANDS, READING, Gift, ask_of_gift

pytestmark = pytest.mark.broad(2)

NAN, INF = float("nan"), float("inf")
ALL = (*READING, "plot", "predict", "resume")
Change = Callable[[Any], object]


def put(*path: object) -> Change:
    """Put the last of these at the place that the others name."""
    *parents, key, value = path

    def change(record: Any) -> None:
        for name in parents:
            record = record[name]
        record[key] = value

    return change


def drop(*path: str) -> Change:
    def change(record: Any) -> None:
        *parents, key = path
        for name in parents:
            record = record[name]
        del record[key]

    return change


DATASET: dict[str, Change] = {
    "labels below none": put("splits", "val", "class_counts", [-5, 8]),
    "a billion labels": put("splits", "val", "class_counts", [10**9, 10**9]),
    "labels of 400 digits": put("splits", "val", "class_counts", [10**400, 1]),
    "labels of nothing": put("splits", "val", "class_counts", [0, 0]),
    "labels that are none": put("splits", "val", "class_counts", [NAN, 1]),
    "labels of another number": put("splits", "val", "class_counts", [1]),
    "labels of texts": put("splits", "val", "class_counts", ["a", "b"]),
    "samples below none": put("splits", "val", "num_samples", -1),
    "samples that are none": put("splits", "val", "num_samples", NAN),
    "no splits": put("splits", {}),
    "a split of a list": put("splits", "val", [1]),
    "a split with a path for a name": put("splits", "../../beside", {}),
    "no training split": drop("splits", "train"),
    "a fingerprint of a list": put("splits", "val", "fingerprint", [1]),
    "no classes": put("class_names", []),
    "one class": put("class_names", ["cat"]),
    "classes of null": put("class_names", None),
    "classes of numbers": put("class_names", [1, 2]),
    "classes of a text": put("class_names", "ab"),
    "a class twice": put("class_names", ["cat", "cat"]),
    "more classes than outputs": put("class_names", ["cat", "dog", "cow"]),
    "100,000 classes": put("class_names", [f"c{n}" for n in range(100_000)]),
    "a very long class": put("class_names", ["cat", LONG]),
    "a shape below none": put("image_shape", [3, -8, 8]),
    "a shape of millions": put("image_shape", [3, 10**6, 10**6]),
    "a shape of 400 digits": put("image_shape", [3, 10**400, 8]),
    "a shape of nothing": put("image_shape", []),
    "a shape of texts": put("image_shape", ["a", "b", "c"]),
    "a shape of zeros": put("image_shape", [0, 0, 0]),
    "a shape of fractions": put("image_shape", [3, 8.5, 8]),
    "a task that is none": put("task", "conquest"),
    "a task of regression": put("task", "regression"),
    "a task of a list": put("task", []),
    "a name of a list": put("name", [1]),
    "a decoding of a text": put("preprocessing", {"decoding": "x"}),
    "a decoding of a million": put("preprocessing", "decoding", "size", [10**6, 10**6]),
    "a decoding below none": put("preprocessing", "decoding", "size", [-8, 8]),
    "a decoding by a method that is none": put("preprocessing", "decoding", "interpolation", "x"),
    "a decoding of no fraction": put("preprocessing", "decoding", "crop_fraction", 0),
    "a decoding of a fraction that is none": put("preprocessing", "decoding", "crop_fraction", NAN),
    "a decoding of a tiny fraction": put("preprocessing", "decoding", "crop_fraction", 1e-300),
    "a decoding of 99 channels": put("preprocessing", "decoding", "channels", 99),
    "a decoding with a key too many": put("preprocessing", "decoding", "frobnicate", 1),
    "a preprocessing of a list": put("preprocessing", [1]),
    "a normalizer of a text": put("preprocessing", "normalizer", "x"),
    "a normalizer of texts": put("preprocessing", "normalizer", {"mean": ["a"], "std": ["b"]}),
    "an image outside": put(
        "layouts", {"test": {"image": "../../beside/picture.png", "rows": 2, "columns": 8,
                             "cells": list(range(16))}}),
    "an image anywhere": put(
        "layouts", {"test": {"image": "/etc/passwd", "rows": 2, "columns": 8,
                             "cells": list(range(16))}}),
    "an image that is a device": put(
        "layouts", {"test": {"image": "/dev/zero", "rows": 2, "columns": 8,
                             "cells": list(range(16))}}),
    "a layout of a billion": put(
        "layouts", {"test": {"image": "x.png", "rows": 10**9, "columns": 10**9, "cells": [0]}}),
    "a layout below none": put(
        "layouts", {"test": {"image": "x.png", "rows": -2, "columns": 0, "cells": [-5]}}),
    "a layout of nothing": put("layouts", {"test": {}}),
    "a layout of a list": put("layouts", [1]),
    "a layout of a split that is none": put(
        "layouts", {"nowhere": {"image": "x.png", "rows": 2, "columns": 8, "cells": [0]}}),
    "trained by a text": put("trained_by", "x"),
    "trained by nothing": put("trained_by", {"run": None, "fingerprints": None, "monitored": 7}),
    "trained by codes": put("trained_by", {"run": "\x1b[2J", "fingerprints": {"train": "x"},
                                           "monitored": "\x1b[2J"}),
}  # fmt: skip


@pytest.mark.parametrize("name", DATASET)
def test_facts_of_the_data_that_cannot_be(name: str, arena: Arena) -> None:
    """dataset.json, which says what the model answers and how images are brought to it."""

    def spoil(gift: Gift) -> None:
        gift.json("dataset.json", DATASET[name])
        gift.without_summaries()

    ask_of_gift(arena, ALL, spoil)


def test_classes_of_other_names_are_other_data(arena: Arena) -> None:
    """A resumed run would count its predictions under names that its data does not have."""
    path = arena.give("interrupted")
    Gift(path, arena).json("dataset.json", put("class_names", ["cat", "wolf"]))
    answer = arena.ask("resume", "gift", codes=(REFUSED,))
    assert "the names of the classes" in answer.err


LINES: dict[str, tuple[str, Change]] = {
    "a loss that is none": ("history.jsonl", put("train/loss", NAN)),
    "a loss of infinity": ("history.jsonl", put("val/loss", -INF)),
    "a loss of a text": ("history.jsonl", put("train/loss", "low")),
    "a loss of a list": ("history.jsonl", put("train/loss", [1])),
    "a loss of null": ("history.jsonl", put("train/loss", None)),
    "a loss of 400 digits": ("history.jsonl", put("train/loss", 10**400)),
    "an accuracy above all": ("history.jsonl", put("val/accuracy", 1e300)),
    "an epoch below none": ("history.jsonl", put("epoch", -1)),
    "an epoch of a text": ("history.jsonl", put("epoch", "2")),
    "an epoch of 400 digits": ("history.jsonl", put("epoch", 10**400)),
    "an epoch of a fraction": ("history.jsonl", put("epoch", 1.5)),
    "an epoch of true": ("history.jsonl", put("epoch", True)),
    "a stage of a list": ("history.jsonl", put("stage", [1])),
    "a stage of null": ("history.jsonl", put("stage", None)),
    "a stage of codes": ("history.jsonl", put("stage", "\x1b[2J\u202e")),
    "a stage of a path": ("history.jsonl", put("stage", "../../../beside/x")),
    "a very long stage": ("history.jsonl", put("stage", LONG)),
    "a stage that is not there": ("history.jsonl", put("stage", "finetune")),
    "a metric of codes": ("history.jsonl", put("train/\x1b[2J", 1.0)),
    "a metric of a formula": ("history.jsonl", put("=cmd|' /C calc'!A0", "=1+1")),
    "a metric of slashes": ("history.jsonl", put("///", 1.0)),
    "a learning rate of a text": ("history.jsonl", put("lr", "fast")),
    "a learning rate below none": ("history.jsonl", put("lr", -1)),
    "seconds of a text": ("history.jsonl", put("seconds", "x")),
    "a time of a text": ("history.jsonl", put("at", "x")),
    "a record of nothing": ("history.jsonl", lambda record: record.clear()),
    "a signal that is none": ("signals.jsonl", put("kind", "frobnicate")),
    "a signal of a list": ("signals.jsonl", put("kind", [1])),
    "a signal of codes": ("signals.jsonl", put("kind", "\x1b[2J")),
    "a signal of an epoch of a text": ("signals.jsonl", put("epoch", "x")),
    "a signal of deep values": ("signals.jsonl", put("values", [[[[[[1]]]]]])),
    "a passing that is none": ("stages.jsonl", put("passed", "perhaps")),
    "a reason of codes": ("stages.jsonl", put("reason", "\x1b]0;owned\x07\u202e")),
    "a reason of a list": ("stages.jsonl", put("reason", [1])),
    "a very long reason": ("stages.jsonl", put("reason", LONG)),
    "a reason of markup": ("stages.jsonl", put("reason", "| a |\n\n# b <script>")),
    "a kind that is none": ("stages.jsonl", put("kind", "Conquest")),
    "a kind of a list": ("stages.jsonl", put("kind", [1])),
    "a stage that was not asked for": ("stages.jsonl", put("stage", "nothing")),
    "a stage that is a path": ("stages.jsonl", put("stage", "../../x")),
    "a stage that is a list": ("stages.jsonl", put("stage", [1])),
    "a best epoch below none": ("stages.jsonl", put("best_epoch", -9)),
    "a best epoch of a text": ("stages.jsonl", put("best_epoch", "x")),
    "a best epoch of 400 digits": ("stages.jsonl", put("best_epoch", 10**400)),
    "epochs of a text": ("stages.jsonl", put("num_epochs", "x")),
    "seconds that are none": ("stages.jsonl", put("seconds", NAN)),
    "seconds of infinity": ("stages.jsonl", put("seconds", INF)),
    "seconds of 400 digits": ("stages.jsonl", put("seconds", 10**400)),
    "memory below none": ("stages.jsonl", put("peak_memory_bytes", -1)),
    "figures of a list": ("stages.jsonl", put("figures", [1])),
    "figures of texts": ("stages.jsonl", put("figures", {"a": "b"})),
    "a key too many": ("stages.jsonl", put("frobnicate", 1)),
    "nothing of a stage": ("stages.jsonl", lambda record: record.clear()),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_no_run_writes(name: str, arena: Arena) -> None:
    """Of history, signals and stages; told, or passed over, by all that reads them."""
    file, change = LINES[name]

    def spoil(gift: Gift) -> None:
        if (gift.path / file).exists():
            gift.lines(file, change)
        gift.without_summaries()

    ask_of_gift(arena, ("show", "analyze", "diagnose", "compare", "plot", "resume"), spoil)


RECORDS: dict[str, tuple[str, Change]] = {
    "a summary of nothing": ("summary.json", lambda record: record.clear()),
    "a verdict of codes": ("summary.json", put("verdict", "\x1b[2Jmet")),
    "a verdict of a list": ("summary.json", put("verdict", [1])),
    "a reason of codes": ("summary.json", put("verdict_reason", "\x1b[2J\u202e")),
    "metrics of a list": ("summary.json", put("metrics", [1])),
    "metrics of texts": ("summary.json", put("metrics", {"test": {"accuracy": "high"}})),
    "metrics that are none": ("summary.json", put("metrics", {"test": {"accuracy": NAN}})),
    "metrics of 400 digits": ("summary.json", put("metrics", {"test": {"accuracy": 10**400}})),
    "a judged split that is none": ("summary.json", put("judged_split", "nothing")),
    "a judged split of codes": ("summary.json", put("judged_split", "\x1b[2J")),
    "findings of a text": ("summary.json", put("findings", "x")),
    "findings of codes": (
        "summary.json",
        put("findings", [{"rule": "\x1b[2J", "severity": "fatal", "message": "\x1b[2J"}]),
    ),
    "findings of nothing": ("summary.json", put("findings", [{}])),
    "stages of a text": ("summary.json", put("stages", "x")),
    "stages of nothing": ("summary.json", put("stages", [{}])),
    "classes of a list": ("summary.json", put("classes", [1])),
    "seconds of a text": ("summary.json", put("wall_seconds", "x")),
    "a status of codes": ("summary.json", put("status", "\x1b[2J")),
    "a digest of nothing": ("digest.json", lambda record: record.clear()),
    "a digest of another version": ("digest.json", put("version", 10**400)),
    "a digest of codes": ("digest.json", put("name", "\x1b[2J\u202e")),
    "a digest's metrics of deep lists": ("digest.json", put("metrics", {"test": {"a": [[1]]}})),
    "a digest's metric that is none": ("digest.json", put("metrics", "test", "accuracy", NAN)),
    "a digest's metric of 400 digits": ("digest.json", put("metrics", "test", "accuracy", 10**400)),
    "a digest's config of lists": ("digest.json", put("config", {"a": [[{}]]})),
    "a digest's config of codes": ("digest.json", put("config", {"\x1b[2J": "\x1b[2J"})),
    "a digest's overrides of codes": ("digest.json", put("overrides", ["\x1b[2J=\u202e"])),
    "a digest's choices of lists": ("digest.json", put("choices", {"model": [1]})),
    "a digest's code of lists": ("digest.json", put("code", {"versions": [1], "commit": [2]})),
    "a digest's samples of texts": ("digest.json", put("num_samples", {"test": "x"})),
    "a digest's fingerprints of lists": ("digest.json", put("fingerprints", {"test": [1]})),
    "a digest's seconds that are none": ("digest.json", put("seconds", NAN)),
    "versions of a list": ("environment.json", put("versions", [1])),
    "versions of codes": ("environment.json", put("versions", {"torch": "\x1b[2J"})),
    "a device of codes": ("environment.json", put("device", "\x1b[2J\u202e")),
    "a device of a list": ("environment.json", put("device", [1])),
    "a commit of a list": ("environment.json", put("git", [1])),
    "a commit of codes": ("environment.json", put("git", {"commit": "\x1b[2J"})),
    "a command of codes": ("environment.json", put("command", ["\x1b[2J", "\u202e"])),
    "a command of a number": ("environment.json", put("command", 7)),
    "a hash of a list": ("environment.json", put("config_hash", [1])),
    "no hash": ("environment.json", drop("config_hash")),
    "no versions": ("environment.json", drop("versions")),
    "no device": ("environment.json", drop("device")),
    "choices of a list": ("environment.json", put("choices", [1])),
    "a job of a path": ("environment.json", put("job", "../../x")),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_no_run_writes(name: str, arena: Arena) -> None:
    """What was computed once is not believed where it cannot be."""
    file, change = RECORDS[name]

    def spoil(gift: Gift) -> None:
        if (gift.path / file).exists():
            gift.json(file, change)

    ask_of_gift(arena, ("show", "compare", "report", "resume", "plot"), spoil)


THRESHOLDS: dict[str, object] = {
    "nothing": {},
    "a list": [1],
    "a class that is none": {"class_name": "fish"},
    "a class of codes": {"class_name": "\x1b[2J", "class_names": ["\x1b[2J", "x"]},
    "classes of a number": {"class_names": 7},
    "a cut-off of a text": {"low": "x"},
    "a cut-off that is none": {"low": NAN},
    "a cut-off above all": {"low": 7.0, "high": 9.0},
    "a cut-off of a list": {"low": [1], "high": [2]},
    "cut-offs the wrong way round": {"low": 0.9, "high": 0.1},
    "more classes than outputs": {"class_names": ["cat", "dog", "cow"]},
    "evidence of codes": {"evidence": {"\x1b[2J": "\x1b[2J"}},
    "evidence of a list": {"evidence": [1]},
    "a confirmation that is none": {"is_confirmed": "perhaps"},
    "a key too many": {"frobnicate": 1},
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_that_no_run_has(name: str, arena: Arena) -> None:
    """By predict, which would decide by it, and by the pages."""
    arena.have()
    arena.give()
    arena.ask(*COMMANDS["threshold"])
    made = json.loads((arena.gift / "threshold.json").read_text())

    def spoil(gift: Gift) -> None:
        given = THRESHOLDS[name]
        # one threshold, or several side by side under a key each
        record = {**made, **given} if isinstance(given, dict) and given else given
        (gift.path / "threshold.json").write_text(json.dumps(record))

    ask_of_gift(arena, ("predict", "plot", "threshold", "show"), spoil)


LABELS: dict[str, object] = {
    "nothing": {},
    "no classes": {"class_names": [], "targets": []},
    "labels that are none": {"class_names": ["cat", "dog", "maybe"], "targets": [9, -1]},
    "labels of texts": {"class_names": ["cat", "dog", "maybe"], "targets": ["a"] * 12},
    "labels of a text": {"class_names": "abc", "targets": "abc"},
    "labels of lists": {"class_names": [[1]], "targets": [[1]]},
    "one class": {"class_names": ["cat"], "targets": [0] * 12},
    "other classes": {"class_names": ["dog", "cat", "maybe"], "targets": [0] * 12},
    "a class twice": {"class_names": ["cat", "dog", "dog"], "targets": [0] * 12},
    "labels of another number": {"class_names": ["cat", "dog", "maybe"], "targets": [0] * 7},
    "labels of 400 digits": {"class_names": ["cat", "dog", "c"], "targets": [10**400] * 12},
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_no_stage_gave(name: str, arena: Arena) -> None:
    """labels.json, where the config says that a stage learnt from it."""

    def spoil(gift: Gift) -> None:
        gift.config(put("procedure", "train", "labels_from", "train"))
        (gift.path / "labels.json").write_text(json.dumps(LABELS[name]))
        gift.without_summaries()

    ask_of_gift(arena, ("show", "diagnose", *BUILDING), spoil)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_labels_of_more_classes_than_the_weights_tell(command: str, arena: Arena) -> None:
    """Sound by themselves: refused by the weights, and before a folder is made."""

    def spoil(gift: Gift) -> None:
        gift.config(put("procedure", "train", "labels_from", "train"))
        labels = {"class_names": ["cat", "dog", "maybe"], "targets": [0] * 12}
        (gift.path / "labels.json").write_text(json.dumps(labels))

    ask_of_gift(arena, (command,), spoil, refused=(command,))


TABLES: dict[str, str] = {
    "a header alone": "split,sample,target,prediction,target_rank,cat,dog\n",
    "no header": "test,a.png,cat,cat,0,0.5,0.5\n",
    "a class that is none": "{header}test,a.png,fish,cat,0,0.5,0.5\n",
    "a split that is none": "{header}nothing,a.png,cat,cat,0,0.5,0.5\n",
    "a split of codes": "{header}\x1b[2J,a.png,cat,cat,0,0.5,0.5\n",
    "a sample of codes": "{header}test,\x1b[2J\u202e.png,cat,cat,0,0.5,0.5\n",
    "a sample of a formula": "{header}test,=cmd|' /C calc'!A0,cat,dog,1,0.4,0.6\n",
    "a very long sample": "{header}test,{long},cat,dog,1,0.4,0.6\n",
    "a sample with a NUL": "{header}test,a\0.png,cat,dog,1,0.4,0.6\n",
    "probabilities that are none": "{header}test,a.png,cat,cat,0,nan,nan\n",
    "probabilities of infinity": "{header}test,a.png,cat,cat,0,inf,-inf\n",
    "probabilities of 400 digits": "{header}test,a.png,cat,cat,0,1e400,-1e400\n",
    "a probability beyond single floats": "{header}test,a.png,cat,cat,0,1e39,0\n",
    "a probability of many digits": "{header}test,a.png,cat,cat,0,{digits},0\n",
    "probabilities of true and false": "{header}test,a.png,cat,cat,0,True,False\n",
    "a rank of 400 digits": "{header}test,a.png,cat,cat,{digits},0.5,0.5\n",
    "a rank of a fraction": "{header}test,a.png,cat,cat,0.5,0.5,0.5\n",
    "a rank that is none": "{header}test,a.png,cat,cat,nan,0.5,0.5\n",
    "a rank of infinity": "{header}test,a.png,cat,cat,inf,0.5,0.5\n",
    "probabilities of texts": "{header}test,a.png,cat,cat,0,high,low\n",
    "probabilities below none": "{header}test,a.png,cat,cat,0,-7,8\n",
    "a rank of a text": "{header}test,a.png,cat,cat,first,0.5,0.5\n",
    "a rank below none": "{header}test,a.png,cat,cat,-9,0.5,0.5\n",
    "a column too few": "{header}test,a.png,cat,cat,0,0.5\n",
    "a column too many": "{header}test,a.png,cat,cat,0,0.5,0.5,0.5\n",
    "an open quote": '{header}test,"a.png,cat,cat,0,0.5,0.5\n',
    "a million columns": "," * 1_000_000 + "\n",
    "nothing": "",
    "a blank line": "\n\n\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_predictions_that_no_model_made(name: str, arena: Arena) -> None:
    """predictions.csv, of which every figure is made."""
    text = TABLES[name].replace("{header}", TABLES["a header alone"])
    text = text.replace("{long}", LONG).replace("{digits}", "9" * 400)

    def spoil(gift: Gift) -> None:
        (gift.path / "predictions.csv").write_text(text)
        gift.without_summaries()

    ask_of_gift(arena, ("show", "compare", "diagnose", "threshold", "plot"), spoil)


NAMES = {
    "terminal codes": "\x1b]0;owned\x07\x1b[2J",
    "right to left": "\u202egnp.exe\u2066",
    "C1 codes": "\x9b2J\x85",
    "a formula": "=HYPERLINK(\"http://a.b\";1)",
    "a formula of a plus": "+1+1|cmd",
    "a formula of an at": "@SUM(1)",
    "a formula after a tab": "\t=1+1",
    "markup": "<script>alert(1)</script>",
    "Markdown": "](http://a.b) ![x](http://a.b/c.png) | # `x`",
    "lines": "a\n\n# b\r\nc",
    "mathematics": "$\\frac{1}{0",
    "mathematics of no end": "$x^{" + "{" * 50 + "$",
    "a path": "../../beside/precious.txt",
    "an absolute path": "/etc/passwd",
    "a format": "{0.__class__} %s %n {}",
    "a template": "{{ 7 * 7 }} {% include '/etc/passwd' %}",
    "nothing": "",
    "a NUL": "a\0b",
    "a lone surrogate": "\ud800",
    "emoji": "\U0001f9d1\u200d\U0001f680" * 20,
    "a very long word": "w" * 5000,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.draws
@pytest.mark.parametrize("kind", NAMES)
def test_a_class_is_named_by_a_stranger(kind: str, arena: Arena) -> None:
    """Cleaned or escaped at each way out: terminal, pages, tables, file names and images."""
    name = NAMES[kind]
    arena.have()
    for command in ("show", "plot", "predict", "report", "compare"):
        path = arena.give()
        _rename_class(Gift(path, arena), name)
        words = COMMANDS[command]
        if command == "predict":
            words = (*words, "--csv", "table.csv")
        if command == "compare":
            words = (*words, "--to", "compared")
        arena.ask(*words)
    for page in arena.work.rglob("*.md"):
        text = page.read_bytes().decode("utf-8", "replace")
        assert not CONTROL.search(text), f"{page.name} has control characters"
        assert "<script>" not in text, f"{page.name} has markup"
        assert "![x](http" not in text, f"{page.name} fetches an image"
    for table in arena.work.rglob("*.csv"):
        if table.parent.name in ("gift", "honest") and table.name == "predictions.csv":
            continue  # the stranger's own
        _check_cells(table.read_text())


def _rename_class(gift: Gift, name: str) -> None:
    gift.json("dataset.json", put("class_names", ["cat", name]))
    with (gift.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    rows = [[name if cell == "dog" else cell for cell in row] for row in rows]
    with (gift.path / "predictions.csv").open("w", newline="", errors="surrogatepass") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    gift.without_summaries()


def _check_cells(text: str) -> None:
    """No cell is a formula to a spreadsheet, or obeyed by a terminal; numbers may have a sign."""
    assert not CONTROL.search(text), text
    for row in csv.reader(text.splitlines()):
        for cell in row:
            is_number = re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?%?|[+-]?(nan|inf)|-", cell)
            assert is_number or not cell.lstrip().startswith(("=", "+", "-", "@")), cell
