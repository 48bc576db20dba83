"""timm's model names, read from its source: importing timm would load torch first."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

from expkit.errors import UserError, nearest_of

ELSEWHERE = ("hf-hub:", "hf_hub:", "local-dir:")  # prefixes of models that timm fetches itself


def check_timm_name(name: str, key: str = "model.name") -> None:
    """Refuse a name that timm does not have, or a tag of pretrained weights that it does not."""
    if name.startswith(ELSEWHERE):
        return
    models, source = _registered()
    model, _, tag = name.partition(".")
    if model not in models:
        raise UserError(
            f"timm has no model '{model}'",
            where=f"{key}={name}",
            nearest=nearest_of(model, models),
            allowed=f"one of timm's {len(models):,} models: timm.list_models('*part*')",
        )
    tags = sorted(set(re.findall(rf"""['"]{model}\.(\w+)['"]""", source)))
    if tag and tag not in tags:
        nearest = nearest_of(tag, tags)
        raise UserError(
            f"timm has no weights '{tag}' of {model}",
            where=f"{key}={name}",
            nearest=f"{model}.{nearest}" if nearest else None,
            allowed=", ".join(f"{model}.{each}" for each in tags) or f"{model} alone: it has none",
        )


@functools.cache
def _registered() -> tuple[frozenset[str], str]:
    """All registered names, and the text that the tags of their weights stand in."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None, "timm is required"
    assert spec.origin is not None, "timm is a package with an __init__.py"
    files = (Path(spec.origin).parent / "models").glob("*.py")
    source = "\n".join(file.read_text("utf-8") for file in files)
    return frozenset(re.findall(r"^@register_model\s+def (\w+)\(", source, re.MULTILINE)), source
