"""The space that a search chooses from, and the overrides of one choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import BaseDistribution, CategoricalDistribution

Space = Mapping[str, BaseDistribution]


def corners(space: Space) -> Iterator[dict[str, Any]]:
    """Both ends of each range and all choices, one at a time: what is wrong there is told at once.

    In the middle of the night it would be the end of the search.
    """
    ends = {name: _ends(each) for name, each in space.items()}
    first = {name: values[0] for name, values in ends.items()}
    yield from ({**first, name: value} for name, values in ends.items() for value in values)


def _ends(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]


def words_of(params: Mapping[str, Any]) -> list[str]:
    """Write the parameters as overrides, for a launcher."""
    return [f"{name}={value}" for name, value in params.items()]


def params_of(words: Sequence[str], space: Space) -> Iterator[tuple[str, Any]]:
    """The searched values among a job's words, as the study knows them."""
    for override in OverridesParser.create().parse_overrides(list(words)):
        name = override.get_key_element()
        if name not in space:
            continue
        text, distribution = override.get_value_element_as_str(), space[name]
        if isinstance(distribution, CategoricalDistribution):
            yield from ((name, each) for each in distribution.choices if str(each) == text)
        else:
            value = override.value()
            if isinstance(value, int | float):
                yield name, value
