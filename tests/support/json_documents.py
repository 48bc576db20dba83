"""JSON documents as a program reads them, held against the published schemas."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def parse_document(text: str) -> dict[str, Any]:
    """Read a text that is one document and nothing else, with the keys of its schema and no more.

    The schemas let programs meet keys that came later; here there are none that they do not name.
    """
    document: dict[str, Any] = json.loads(text, parse_constant=_refuse)
    assert list(document)[:2] == ["schema", "schema_version"]
    kind = document["schema"].removeprefix("expkit/")
    errors = [
        f"{error.json_path}: {error.message}" for error in _validator(kind).iter_errors(document)
    ]
    assert errors == []
    return document


def parse_lines(text: str) -> list[dict[str, Any]]:
    """Read a text whose every line is a document."""
    assert text.endswith("\n")
    return [parse_document(line) for line in text.removesuffix("\n").split("\n")]


@functools.cache
def _validator(kind: str) -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((SCHEMAS / f"{kind}.json").read_text("utf-8"))
    _close(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _close(schema: Any) -> None:
    """Forbid keys that an object's schema does not name."""
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict | list):
            _close(each)
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema["additionalProperties"] = False


def _refuse(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no JSON")
