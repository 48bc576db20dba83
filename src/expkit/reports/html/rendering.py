"""Pages of HTML from templates: every text is escaped, and the page asks nobody for anything."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from expkit.sanitize import clean

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# what would end a script, start a comment in one, or break its lines
DANGEROUS = {each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


def render(template: str, **values: Any) -> bytes:
    """Return a page made by a template, as the bytes of its file."""
    page = _environment().get_template(template)
    text = page.render(version=version("expkit"), **values)
    return text.encode("utf-8", errors="replace")


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from expkit.reports.html.from_markdown import to_html

    environment = Environment(
        loader=PackageLoader("expkit.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = _asset
    environment.filters["to_html"] = to_html
    environment.filters["json_script"] = json_script
    environment.filters["plain_script"] = plain_script
    return environment


def _cleaned(value: Any) -> Any:
    """A text without what would turn the direction of those around it."""
    return clean(value) if type(value) is str else value


@functools.cache
def _asset(name: str) -> Markup:
    """Return a style sheet or a script of ours as it is."""
    from markupsafe import Markup

    environment = _environment()
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def json_script(data: Any) -> Markup:
    """Return JSON for a script element, which nothing in it can end."""
    return plain_script(plain_data(data))


def plain_script(data: Any) -> Markup:
    """Return the same of data that are plain already."""
    from markupsafe import Markup

    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character, written in DANGEROUS.items():
        text = text.replace(character, written)
    return Markup(text)


def plain_data(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite become null, and texts are cleaned."""
    kind = type(value)
    if kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): plain_data(each) for key, each in value.items()}
    assert isinstance(value, Sequence), f"{kind} in the data of a page"
    return [plain_data(each) for each in value]
