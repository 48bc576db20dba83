"""Writes the parts of docs/ that are made from the code, between their marks: `make docs`.

<!-- fields expkit.records.run.metadata.StageResult -->  the keys of a record, from its class
<!-- rules -->                                           the rules of conf/diagnosis
<!-- end -->                                             where such a part ends
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from expkit.config.paths import builtin_conf, first_comment
from expkit.safe_yaml import load_yaml

DOCS = Path(__file__).parent
PART = re.compile(r"^<!-- (fields|rules)(?: (\S+))? -->\n.*?^<!-- end -->$", re.M | re.S)
OVERRIDE = re.compile(r"[~+]*[\w.@/]*(?:…[\w.]*)*[a-z_]=\S+")  # optimizer.lr=…
SEVERITIES = ("fatal", "warning", "info")


def main() -> None:
    """Write each page anew."""
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(with_parts(path.read_text("utf-8")), "utf-8")


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


def rules_list() -> str:
    """Each rule: what it says, its thresholds, its likely causes and what may cure them."""
    return "\n\n".join(
        describe_rule(path) for path in sorted((builtin_conf() / "diagnosis").glob("*.yaml"))
    )


def describe_rule(path: Path) -> str:
    text = path.read_text("utf-8")
    settings = load_yaml(text)
    module, _, name = settings["_target_"].rpartition(".")
    code = RuleCode(import_module(module), name)
    lines = [f"### {path.stem}", "", f"{first_comment(path)}.", ""]
    cases = list(settings.get("cases", {}).values())
    severities = code.severities() + [case.get("severity") for case in cases]
    lines += [f"- Severity: {', '.join(each for each in SEVERITIES if each in severities)}."]
    comments = {key: comment for key, (_, comment) in fields_of(code.rule).items()}
    comments |= dict(re.findall(r"^(\w+):[^#\n]*# (.*)$", text, re.M))
    for key, value in thresholds(settings, code.rule).items():
        lines.append(f"- `{key}: {value}`" + (f": {comments[key]}" if comments.get(key) else ""))
    if explains := settings.get("explains"):
        lines.append(f"- Stands for {', '.join(f'`{each}`' for each in explains)}, if found too.")
    lines += [f"- Likely cause: {cause}." for cause in [*code.causes(), *said(cases, "cause")]]
    if remedies := [*code.remedies(), *said(cases, "remedies")]:
        lines.append(f"- May cure it: {', '.join(f'`{each}`' for each in remedies)}.")
    steps = [*code.commands(), *said(cases, "command"), *said(cases, "otherwise")]
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


def thresholds(settings: Mapping[str, Any], rule: type) -> dict[str, Any]:
    """The numbers that a rule goes by: its YAML's, and the defaults of its class."""
    defaults = {
        key: field.default
        for key, field in rule.__dataclass_fields__.items()
        if isinstance(field.default, int | float)
    }
    given = {key: value for key, value in settings.items() if isinstance(value, int | float)}
    return {**defaults, **given}


class RuleCode:
    """What a rule's code says, read from its syntax tree."""

    def __init__(self, module: ModuleType, name: str) -> None:
        self.module = module
        self.rule = getattr(module, name)
        tree = ast.parse(inspect.getsource(module))
        named = {
            node.name: node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        self.nodes: list[ast.AST] = []
        waiting, seen = [name], set()
        while waiting:  # the class, with what it calls of its own module
            each = waiting.pop(0)
            if each in named and each not in seen:
                seen.add(each)
                self.nodes += list(ast.walk(named[each]))
                waiting += [n.id for n in ast.walk(named[each]) if isinstance(n, ast.Name)]

    def severities(self) -> list[str]:
        found = {node.value for node in self.nodes if isinstance(node, ast.Constant)}
        return [each for each in SEVERITIES if each in found]

    def causes(self) -> list[str]:
        return self._given("cause")

    def commands(self) -> list[str]:
        return self._given("command")

    def remedies(self) -> list[str]:
        """The overrides that it proposes; … stands for what it computes."""
        inside = {id(part) for n in self.nodes if isinstance(n, ast.JoinedStr) for part in n.values}
        texts = [each for n in self.nodes if id(n) not in inside for each in self._texts(n)]
        words = [text.replace("procedure.….", "procedure.STAGE.") for text in texts]
        return list(dict.fromkeys(word for word in words if OVERRIDE.fullmatch(word)))

    def _given(self, argument: str) -> list[str]:
        texts = [
            " ".join(text.split())
            for node in self.nodes
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == argument
            for text in self._texts(keyword.value)
        ]
        return list(dict.fromkeys(text for text in texts if text))

    def _texts(self, node: ast.AST) -> Iterator[str]:
        """The texts that an expression may be; … stands for what is computed."""
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield "".join(next(self._texts(part), "…") for part in parts)
            case ast.IfExp(body=body, orelse=other):
                yield from self._texts(body)
                yield from self._texts(other)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                ends = list(self._texts(right)) or ["…"]
                yield from (start + end for start in self._texts(left) for end in ends)
            case ast.Name(id=name) if isinstance(getattr(self.module, name, None), str):
                yield getattr(self.module, name)


if __name__ == "__main__":
    sys.exit(main())
