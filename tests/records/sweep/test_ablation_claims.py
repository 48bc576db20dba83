"""Claims of an ablation as they are typed."""

from __future__ import annotations

import pytest

from expkit.errors import UserError
from expkit.records.sweep.ablation_claims import Claim, parse_claims


def test_a_claim_of_its_own_stands_before_that_of_every_change() -> None:
    """In the order of the changes; without `every`, only what is claimed."""
    claims = {"every": "> -0.01", "wide": "< 2e-2"}
    assert parse_claims(claims, ["sgd", "wide"]) == [
        Claim("sgd", ">", -0.01),
        Claim("wide", "<", 0.02),
    ]
    assert parse_claims({"wide": "<0"}, ["sgd", "wide"]) == [Claim("wide", "<", 0)]
    assert parse_claims({}, ["every"]) == []


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"wid": "> 0"}, "no change 'wid'"),
        ({"wide": "0.01"}, "cannot be read"),
        ({"wide": "> 1 %"}, "cannot be read"),
        ({"wide": "> 1.2.3"}, "cannot be read"),
        ({"wide": "> 1e999"}, "cannot be read"),
        ({"wide": None}, "cannot be read"),
    ],
)
def test_a_claim_that_judges_nothing_is_refused(claims: dict[str, object], said: str) -> None:
    """With the nearest change, and how a claim is written."""
    with pytest.raises(UserError, match=said):
        parse_claims(claims, ["wide", "sgd"])


def test_no_change_is_called_every() -> None:
    """A claim of it would be one of all changes."""
    with pytest.raises(UserError, match="no name of a change"):
        parse_claims({"every": "> 0"}, ["every"])
