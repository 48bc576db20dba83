"""Writes the parts of docs/ that are made from the code, between their marks: `make docs`.

<!-- fields expkit.records.run.metadata.StageResult -->  the keys of a record, from its class
<!-- rules -->                                           the rules of conf/diagnosis
<!-- end -->                                             where such a part ends

docs/schemas/NAME.json are the JSON Schemas of the documents in expkit.reports.json.documents.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from expkit.config.paths import builtin_conf, first_comment
from expkit.diagnosis import remedies
from expkit.reports.json.documents import DOCUMENTS
from expkit.safe_yaml import load_yaml

DOCS = Path(__file__).parent
PART = re.compile(r"^<!-- (fields|rules)(?: (\S+))? -->\n.*?^<!-- end -->$", re.M | re.S)
OVERRIDE = re.compile(r"[~+]*[\w.@/]*(?:…[\w.]*)*[a-z_]=\S+")  # optimizer.lr=…
SEVERITIES = ("fatal", "warning", "info")


def main() -> None:
    """Write each page and each schema anew."""
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(with_parts(path.read_text("utf-8")), "utf-8")
    for name, document in DOCUMENTS.items():
        (DOCS / "schemas" / f"{name}.json").write_text(schema_text(document), "utf-8")


def with_parts(page: str) -> str:
    """Return a page with its marked parts as the code has them now."""

    def write(match: re.Match[str]) -> str:
        kind, argument = match.groups()
        content = fields_table(argument) if kind == "fields" else rules_list()
        return f"{match[0].partition(chr(10))[0]}\n{content}\n<!-- end -->"

    return PART.sub(write, page)


def fields_table(name: str) -> str:
    """The keys of a record with their types and comments."""
    module, _, class_name = name.rpartition(".")
    rows = ["| key | type | |", "|---|---|---|"]
    for key, (kind, comment) in fields_of(getattr(import_module(module), class_name)).items():
        cells = (f"`{key}`", f"`{kind}`", comment)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def fields_of(record: type) -> dict[str, tuple[str, str]]:
    """Each annotated field of a class: its type, and the comment on it."""
    source = inspect.getsource(record)
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    return {
        ast.unparse(node.target): (
            re.sub(r"Annotated\[(\w+), .*\]", r"\1", ast.unparse(node.annotation)),
            comment_on(source.splitlines(), node),
        )
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
    }


def comment_on(lines: list[str], node: ast.AnnAssign) -> str:
    """The comment behind a field, or the lines of comment before it."""
    behind = lines[node.end_lineno - 1][node.end_col_offset :].partition("#")[2]
    if behind:
        return behind.strip()
    before: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        before.insert(0, line.strip("# "))
    return " ".join(before)


def schema_text(document: Any) -> str:
    """The JSON Schema of a document, its keys described by the comments on them.

    Keys may be added within a version, so that unknown ones are not forbidden.
    """
    from pydantic import TypeAdapter

    schema = TypeAdapter(document).json_schema(mode="serialization")
    kinds = get_args(document) or (document,)
    classes = {name: each for kind in kinds for name, each in classes_of(kind).items()}
    of_itself = [] if get_args(document) else [(document.__name__, schema)]
    for name, part in [*of_itself, *schema.get("$defs", {}).items()]:
        if name in classes:
            describe_keys(part, classes[name])
    for part in parts_of(schema):
        part.pop("title", None)
        part.pop("default", None)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema}, indent=1, ensure_ascii=False) + "\n"


def classes_of(document: type) -> dict[str, type]:
    """The dataclasses that a document's module, and those that it is made of, can see."""
    found: dict[str, type] = {}
    waiting = [document]
    while waiting:
        each = waiting.pop()
        if found.setdefault(each.__name__, each) is not each:
            continue
        for base in each.__mro__:
            names = vars(sys.modules[base.__module__]).values() if base is not object else ()
            waiting += [
                kind
                for kind in names
                if isinstance(kind, type)
                and dataclasses.is_dataclass(kind)
                and kind.__name__ not in found
            ]
    return found


def describe_keys(part: dict[str, Any], record: type) -> None:
    """Describe an object's keys, all of which are there."""
    comments: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if dataclasses.is_dataclass(base):
            comments |= {key: comment for key, (_, comment) in fields_of(base).items() if comment}
    part["description"] = inspect.cleandoc(record.__doc__ or "").partition("\n\n")[0]
    part["required"] = list(part["properties"])
    for key, value in part["properties"].items():
        if key in comments:
            value["description"] = comments[key]


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema; the names of properties are none."""
    if isinstance(schema, list):
        for each in schema:
            yield from parts_of(each)
    elif isinstance(schema, dict):
        yield schema
        for key, each in schema.items():
            is_names = key in ("properties", "$defs")
            for inner in each.values() if is_names else [each]:
                yield from parts_of(inner)


def rules_list() -> str:
    """Each rule: what it says, its thresholds, its likely causes and what may cure them."""
    return "\n\n".join(
        describe_rule(path) for path in sorted((builtin_conf() / "diagnosis").glob("*.yaml"))
    )


def describe_rule(path: Path) -> str:
    text = path.read_text("utf-8")
    settings = load_yaml(text)
    module, _, name = settings["_target_"].rpartition(".")
    code = code_of(import_module(module), name)
    lines = [f"### {path.stem}", "", f"{first_comment(path)}.", ""]
    cases = list(settings.get("cases", {}).values())
    severities = [node.value for node in code if isinstance(node, ast.Constant)]
    severities += [case["severity"] for case in cases]
    lines += [f"- Severity: {', '.join(each for each in SEVERITIES if each in severities)}."]
    comments = dict(re.findall(r"^(\w+):[^#\n]*# (.*)$", text, re.M))
    thresholds = {key: value for key, value in settings.items() if isinstance(value, int | float)}
    lines += [f"- `{key}: {value}`: {comments[key]}" for key, value in thresholds.items()]
    if explains := settings.get("explains"):
        lines.append(f"- Stands for {', '.join(f'`{each}`' for each in explains)}, if found too.")
    lines += [f"- Likely cause: {cause}." for cause in said(cases, "cause")]
    if cures := list(dict.fromkeys([*overrides_in(code), *said(cases, "remedies")])):
        lines.append(f"- May cure it: {', '.join(f'`{each}`' for each in cures)}.")
    steps = [*said(cases, "command"), *said(cases, "otherwise")]
    lines += [f"- To do: {step}." for step in steps]
    return "\n".join(lines)


def said(cases: list[dict[str, Any]], key: str) -> list[str]:
    """The causes, the remedies or the commands of a rule's cases; … stands for what it computes."""
    found = [plainly(text) for case in cases for text in texts_of(case, key)]
    return list(dict.fromkeys(text for text in found if text))


def texts_of(case: Mapping[str, Any], key: str) -> Iterator[str]:
    """The texts of a case under a key, each of its parts in a text of its own."""
    given = case.get(key, "")
    texts = [given] if isinstance(given, str) else [word for group in given for word in group]
    for text in texts:
        names = [name for name in case.get("parts", {}) if f"{{{name}}}" in text]
        yield from (fill_parts(text, case.get("parts", {}), name) for name in names or [""])


def fill_parts(text: str, parts: Mapping[str, str], chosen: str) -> str:
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part if name == chosen else "")
    return text


def plainly(template: str) -> str:
    for stage in ("stage", "training"):
        template = template.replace(f"procedure.{{{stage}}}.", "procedure.STAGE.")
    return re.sub(r"{.*?}", "…", template)


def code_of(module: ModuleType, name: str) -> list[ast.AST]:
    """The syntax tree of a rule's class, with what it calls of its module and of the remedies."""
    named = {
        node.name: node
        for each in (remedies, module)
        for node in ast.parse(inspect.getsource(each)).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    nodes: list[ast.AST] = []
    waiting, seen = [name], set()
    while waiting:
        each = waiting.pop(0)
        if each in named and each not in seen:
            seen.add(each)
            nodes += list(ast.walk(named[each]))
            waiting += [n.id for n in ast.walk(named[each]) if isinstance(n, ast.Name)]
    return nodes


def overrides_in(nodes: list[ast.AST]) -> list[str]:
    """The overrides that a rule's code proposes; … stands for what it computes."""
    inside = {id(part) for n in nodes if isinstance(n, ast.JoinedStr) for part in n.values}
    texts = [text_of(node) for node in nodes if id(node) not in inside]
    words = [text.replace("procedure.….", "procedure.STAGE.") for text in texts]
    return list(dict.fromkeys(word for word in words if OVERRIDE.fullmatch(word)))


def text_of(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) or "…" for part in parts)
    return ""


if __name__ == "__main__":
    sys.exit(main())
