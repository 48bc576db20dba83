"""When a finished run may stand for a job: by the same code alone."""

from __future__ import annotations

from typing import Any

import pytest

from expkit.records.sweep.reuse import is_same_code, targets_of

CODE: dict[str, Any] = {
    "commit": "c0ffee",
    "dirty": False,
    "sources": "5a",
    "versions": {"expkit": "1", "torch": "2"},
}
BARE = {**CODE, "commit": None}
OWN, KNOWN = ["expkit.models.Conv", "my_models.Net"], ["expkit.models.Conv", "torch.optim.Adam"]


@pytest.mark.parametrize(
    ("ours", "theirs", "targets", "is_same"),
    [
        (CODE, CODE, OWN, True),
        (CODE, {**CODE, "dirty": True}, KNOWN, False),
        ({**CODE, "dirty": True}, CODE, KNOWN, False),
        (CODE, {**CODE, "commit": "decade"}, KNOWN, False),
        (CODE, BARE, KNOWN, False),
        (CODE, {**CODE, "versions": {"expkit": "1", "torch": "3"}}, KNOWN, False),
        (CODE, {**CODE, "sources": "5b"}, KNOWN, False),
        (CODE, {key: CODE[key] for key in ("commit", "dirty", "versions")}, KNOWN, False),
        (BARE, BARE, KNOWN, True),
        ({**BARE, "dirty": True}, {**BARE, "dirty": True}, KNOWN, True),  # before any commit
        (BARE, BARE, OWN, False),
        ({**BARE, "own_code": "ab"}, {**BARE, "own_code": "ab"}, OWN, True),
        ({**BARE, "own_code": "ab"}, {**BARE, "own_code": "cd"}, OWN, False),
        ({**CODE, "own_code": "ab"}, {**CODE, "dirty": True, "own_code": "ab"}, OWN, True),
        ({**CODE, "own_code": "ab"}, {**CODE, "sources": "5b", "own_code": "ab"}, OWN, False),
        ({**BARE, "own_code": "ab"}, BARE, OWN, False),  # from before it was recorded
    ],
)
def test_the_same_code_is_proven(
    ours: dict[str, Any], theirs: dict[str, Any], targets: list[str], is_same: bool
) -> None:
    """By sources, versions and the content of own modules; of older runs, by a clean commit."""
    assert is_same_code(ours, theirs, targets) is is_same


def test_targets_are_found_at_any_depth() -> None:
    """In the flat config of a digest, whose lists are not flat."""
    config = {
        "model._target_": "a.B",
        "name": "_target_",
        "augment.transforms": [{"_target_": "c.D"}],
    }
    assert targets_of(config) == ["a.B", "c.D"]
