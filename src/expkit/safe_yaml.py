"""YAML as it comes from anybody: no more than it seems to hold, whatever its aliases repeat."""

from __future__ import annotations

from typing import Any

import yaml

MAX_NODES = 100_000  # with all aliases written out
MAX_DEPTH = 100


def load_yaml(content: str | bytes) -> Any:
    """Return the plain data of a YAML text, once it is known that its aliases stay small."""
    has_aliases = "*" in content if isinstance(content, str) else b"*" in content
    if has_aliases:
        refuse_bombs(content)
    return yaml.load(content, yaml.CSafeLoader)


def refuse_bombs(content: str | bytes, most: int = MAX_NODES) -> None:
    """Raise a YAMLError, with its line, where a text is deep, or its aliases multiply.

    A merge or OmegaConf would write all of them out, which takes forever.
    """
    sizes: dict[str, int] = {}  # by anchor, with the aliases within it written out
    open_: list[tuple[str | None, int]] = []  # the lists and mappings around the event
    for event in yaml.parse(content, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) > MAX_DEPTH:
                raise _refusal("it is nested too deep", event)
            continue
        anchor, size = None, 0
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == name for name, _ in open_):
                raise _refusal(f"the alias *{event.anchor} stands within what it repeats", event)
            size = sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
        if anchor is not None:
            sizes[anchor] = size
        if open_ and size:
            name, before = open_[-1]
            open_[-1] = (name, before + size)
            if before + size > most:
                raise _refusal(f"with its aliases it holds more than {most:,} values", event)


def refuse_repeats(content: str | bytes) -> None:
    """Raise a YAMLError where a mapping has a key twice, of which the last alone would count."""
    nodes, seen = [yaml.compose(content, yaml.CSafeLoader)], set[int]()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = set[str]()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    raise _refusal(f"the key '{key.value}' stands there twice", key)
                keys.add(str(key.value))
                nodes.append(value)


def _refusal(what: str, event: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # one of the C parser, which has no common class with the other
    return yaml.MarkedYAMLError(problem=what, problem_mark=mark)
