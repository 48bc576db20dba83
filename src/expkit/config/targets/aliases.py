"""The types that names in an annotation stand for, looked up where they are written."""

from __future__ import annotations

import ast
import sys

from expkit.config.targets.annotations import KNOWN_NAMES, last_name, unquoted
from expkit.config.targets.resolver import Class, Found, Module, Opaque, resolve

# Bases whose instances plain YAML data may pass for.
PLAIN_BASES = frozenset({"str", "int", "float", "Protocol", "TypedDict", "NamedTuple"})


def written_out(annotation: ast.expr | None, module: Module) -> ast.expr | None:
    """A module's annotation with its aliases replaced by what they stand for.

    Classes keep their names; what cannot be read becomes `Any`.
    """
    return None if annotation is None else _write_out(annotation, module, frozenset())


def _write_out(annotation: ast.expr, module: Module, seen: frozenset[Found]) -> ast.expr:
    def again(part: ast.expr) -> ast.expr:
        return _write_out(part, module, seen)

    match unquoted(annotation):
        case ast.Name() | ast.Attribute() as name:
            return _write_out_name(name, module, seen)
        case ast.BinOp(left=left, op=ast.BitOr() as bar, right=right):
            return ast.BinOp(again(left), bar, again(right))
        case ast.Subscript(value=head, slice=inner) as whole:
            if last_name(head) == "Literal":
                return whole
            if last_name(head) not in KNOWN_NAMES:
                return again(head)  # a generic class is its name; a generic alias becomes Any
            return ast.Subscript(head, again(inner))
        case ast.Tuple(elts=items):
            return ast.Tuple(list(map(again, items)))
        case other:
            return other


def _write_out_name(
    name: ast.Name | ast.Attribute, module: Module, seen: frozenset[Found]
) -> ast.expr:
    if last_name(name) in KNOWN_NAMES:
        return name
    match found := resolve(module, name):
        case Class() if not _admits_plain_values(found):
            return name
        case Opaque(value=ast.Subscript() | ast.BinOp() as value) if found not in seen:
            return _write_out(value, found.module, seen | {found})
        case _:
            return ast.Name("Any")


def _admits_plain_values(found: Class) -> bool:
    """Whether plain YAML data may pass for an instance: an enum's value, a protocol, a number."""
    bases = {last_name(unquoted(base)) or "" for base in found.node.bases}
    is_standard = found.module.name.partition(".")[0] in sys.stdlib_module_names
    return is_standard or any(base in PLAIN_BASES or base.endswith("Enum") for base in bases)
