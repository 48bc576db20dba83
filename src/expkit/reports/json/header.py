"""The first two keys of each document, by which a program knows what it reads.

A document is a frozen dataclass that names its schema. It stands in `documents.py`, from which
docs/make.py writes its JSON Schema. Every key is always there: null where nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Version = Literal[1]  # one more where a program that reads this version would misread the next
VERSION: Version = 1


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document of any kind."""

    schema: str  # expkit/ and the kind of document
    schema_version: Version = VERSION
