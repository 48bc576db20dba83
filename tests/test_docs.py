"""The pages of docs/: made parts are up to date, links lead somewhere, all files are named."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from running_expkit import TINY_GATES, Expkit, only_run

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """docs/make.py, which writes the made parts."""
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_made_parts_are_up_to_date(make: ModuleType, path: Path) -> None:
    page = path.read_text("utf-8")
    assert make.with_parts(page) == page, "make docs writes them anew"


def test_the_schemas_are_those_of_the_documents(make: ModuleType) -> None:
    """A key that came, went or changed its type is seen in the page that promises it."""
    pytest.importorskip("pydantic")
    from expkit.reports.json.documents import DOCUMENTS

    schemas = {path.stem: path for path in (ROOT / "docs" / "schemas").iterdir()}
    assert schemas.keys() == DOCUMENTS.keys()
    for name, document in DOCUMENTS.items():
        assert make.schema_text(document) == schemas[name].read_text("utf-8"), "make docs"


def test_every_rule_has_its_section_with_its_severities() -> None:
    page = (ROOT / "docs" / "diagnosis.md").read_text("utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |^<!-- end)", page, re.M | re.S))
    assert sections.keys() == {path.stem for path in (ROOT / "conf/diagnosis").glob("*.yaml")}
    assert [name for name, text in sections.items() if "Severity: ." in text] == []


def test_a_threshold_stands_with_the_value_that_is_used(make: ModuleType) -> None:
    """The YAML's value, with its comment."""
    text = make.describe_rule(ROOT / "conf/diagnosis/overfitting.yaml")
    assert "- `min_rise: 0.05`: of the lowest held-out loss\n" in text
    assert "- `min_sigmas: 3.0`: the rise beside one epoch's noise\n" in text


def test_remedies_are_those_of_the_cases_and_of_the_code_that_they_share(make: ModuleType) -> None:
    """The learning rate stands in a YAML's case, the other start in expkit.diagnosis.remedies."""
    text = make.describe_rule(ROOT / "conf/diagnosis/dead_units.yaml")
    assert "- May cure it: `optimizer.lr=…`." in text
    assert "`model.init=kaiming`" in make.describe_rule(ROOT / "conf/diagnosis/loss_at_chance.yaml")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8"))
    local = [target for target in targets if not target.startswith("http")]
    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.draws
def test_every_file_of_a_run_is_named_on_the_page_of_its_format(run_here: Expkit) -> None:
    page = (ROOT / "docs" / "run_folder.md").read_text("utf-8")
    first_column = re.findall(r"^\| (`[^|]*`) \|", page, re.M)
    named = [name for cell in first_column for name in re.findall(r"`([^`]+)`", cell)]
    patterns = [
        choice
        for name in named
        for choice in (
            [name.replace("{best,last}", end) for end in ("best", "last")]
            if "{" in name
            else [f"{name}*" if name.endswith("/") else name]
        )
    ]
    patterns = [pattern.replace("STAGE", "*") for pattern in patterns]
    done = run_here("train", *TINY_GATES, "procedure=full", "procedure.train.max_epochs=1")
    assert done.code == 0, done.err
    run = only_run(Path.cwd())
    files = [path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()]
    assert "history.jsonl" in files
    unnamed = [file for file in files if not any(fnmatch.fnmatch(file, each) for each in patterns)]
    assert unnamed == []
