"""docs/json.md: its examples work as they stand, and it names each document."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from json_documents import parse_document, parse_lines
from PIL import Image
from running_expkit import Expkit
from synthetic_runs import classes_run, config_of, failed_gate_run

from expkit.records.run.annotations import change_tags
from expkit.reports.json.documents import DOCUMENTS
from expkit.reports.run.pages import refresh

PAGE = (Path(__file__).parents[1] / "docs" / "json.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"^    expkit (.+) \| jq -r '(.+)'$", PAGE, re.M))
Values = list[Any]


def ask_verdict(found: Any) -> Values:
    return [found["verdict"], found["metrics"][found["judged_split"]]["accuracy"]]


def ask_findings(found: Any) -> Values:
    findings = [each for run in found["runs"] for each in run["findings"]]
    serious = [each for each in findings if each["severity"] != "info"]
    return [text for each in serious for text in (each["rule"], each["command"])]


def ask_paths(found: Any) -> Values:
    return [each["path"] for each in found["runs"]]


def ask_comparison(found: Any) -> Values:
    return [
        value
        for row in found["compared"]
        for value in (
            row["label"],
            row["verdict"]["word"],
            row["differences"]["accuracy"]["p_adjusted"],
        )
    ]


def ask_models(found: Any) -> Values:
    return [each["name"] for each in found["groups"]["model"]]


def ask_images(found: Any) -> Values:
    images = found["predictions"]
    return [e["file"] for e in images if e["error"] or e["confidence"] < 0.5]


def ask_losses(found: Any) -> Values:
    epochs = [e for e in found if e["event"] == "epoch" and e["stage"] == "train"]
    return [value for e in epochs for value in (e["epoch"], e["figures"]["val/loss"])]


# the same in Python, for a machine without jq
IN_PYTHON: dict[str, Callable[[Any], Values]] = {
    "show last --json": ask_verdict,
    "diagnose last --json": ask_findings,
    "runs --where tags=paper --sort accuracy --json": ask_paths,
    "compare narrow wide --json": ask_comparison,
    "list model --json": ask_models,
    "predict tiny new --json": ask_images,
    "events last": ask_losses,
}


@pytest.mark.parametrize("words", IN_PYTHON)
def test_an_example_works_as_it_stands(
    words: str, request: pytest.FixtureRequest, run_here: Expkit, tmp_path: Path
) -> None:
    """Its command, and what jq makes of the document, which is what Python makes of it."""
    prepare(words, request, tmp_path)
    done = run_here(*words.split())
    read = parse_lines if words.startswith("events") else parse_document
    expected = IN_PYTHON[words](read(done.out))
    assert expected
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed; the same was asked in Python")
    asked = subprocess.run(
        ["jq", "-r", EXAMPLES[words]], input=done.out, capture_output=True, text=True, check=True
    )
    lines = asked.stdout.splitlines()
    assert len(lines) == len(expected)
    for line, value in zip(lines, expected, strict=True):
        assert line == value if isinstance(value, str) else json.loads(line) == value


def prepare(words: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Lay the run that the example speaks of."""
    outputs = tmp_path / "outputs"
    if words.startswith("diagnose"):
        failed_gate_run(outputs)
    elif words.startswith("compare"):
        for name, share, size in (("narrow", 0.8, 32), ("wide", 0.95, 128)):
            config = config_of(batch_size=size)
            run = classes_run(
                outputs, name=f"20260101_1200_{name}", share_right=share, config=config
            )
            refresh(run.path, plots=False)
    elif words.startswith("runs"):
        run = classes_run(outputs)
        refresh(run.path, plots=False)
        change_tags(run.path, add=["paper"], remove=[])
    elif words.startswith("predict"):
        request.getfixturevalue("tiny_run")
        (tmp_path / "new").mkdir()
        Image.new("RGB", (16, 16)).save(tmp_path / "new" / "a.png")
        (tmp_path / "new" / "b.png").write_text("no image")
    else:
        classes_run(outputs)


def test_each_example_has_its_answer_in_python() -> None:
    assert EXAMPLES.keys() == IN_PYTHON.keys()


def test_the_page_names_each_document() -> None:
    """By its schema's name, with a link to the file."""
    linked = re.findall(r"\[`expkit/(\w+)`\]\(schemas/(\w+)\.json\)", PAGE)
    assert {name for pair in linked for name in pair} == DOCUMENTS.keys()
    assert all(name == file for name, file in linked)


def test_the_python_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a command called expkit in the path, as an installed one is."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    command = tmp_path / "bin" / "expkit"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom expkit.cli import main\nmain()\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    monkeypatch.chdir(tmp_path)
    words = [sys.executable, "-c", block]
    refused = subprocess.run(words, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "there is no run 'last'" in refused.stderr
    run = classes_run(tmp_path / "outputs")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{run.name} ")
