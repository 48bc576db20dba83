"""The space that a search chooses from, and the overrides of one choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from expkit.errors import UserError

Distribution = CategoricalDistribution | IntDistribution | FloatDistribution
Space = Mapping[str, Distribution]


def read_space(words: Sequence[str]) -> tuple[Space, dict[str, str]]:
    """Split overrides into the search space, and those that every trial has."""
    space, fixed = {}, {}
    for override in OverridesParser.create().parse_overrides(list(words)):
        name = override.get_key_element()
        if override.is_sweep_override():
            space[name] = _distribution(override)
        else:
            fixed[name] = override.get_value_element_as_str()
    return {name: each for name, each in space.items() if name not in fixed}, fixed


def _distribution(override: Override) -> Distribution:
    """A list is a choice, a range has steps and both its ends, an interval has all between."""
    swept = override.value()
    if override.is_choice_sweep() or (isinstance(swept, RangeSweep) and swept.shuffle):
        return CategoricalDistribution(
            [str(each) for each in override.sweep_iterator(Transformer.encode)]
        )
    assert isinstance(swept, RangeSweep | IntervalSweep)
    low, high = swept.start, swept.stop if isinstance(swept, RangeSweep) else swept.end
    step = swept.step if isinstance(swept, RangeSweep) else None
    assert low is not None
    assert high is not None
    is_log = "log" in swept.tags
    try:
        if all(isinstance(each, int) for each in (low, high, step or 1)):
            return IntDistribution(int(low), int(high), log=is_log, step=int(step or 1))
        return FloatDistribution(float(low), float(high), log=is_log, step=step)
    except ValueError as error:
        raise UserError(
            f"{override.get_key_element()} cannot be searched there: {error}",
            where=override.input_line or override.get_key_element(),
            allowed="interval(LOW,HIGH), with LOW above 0 where it is tagged log",
        ) from error


def grid_values(name: str, distribution: Distribution) -> list[Any]:
    """All values of a choice or a range; of an interval of whole numbers each of them."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if distribution.step is None:
        raise UserError(
            f"{name} has no end of values, and a grid tries each",
            where="hydra/sweeper/sampler=grid",
            allowed="choices and ranges: seed=1,2 or 'model.dropout=range(0,0.5,0.1)'",
        )
    num_steps = int((distribution.high - distribution.low) / distribution.step + 1e-9)
    return [distribution.low + place * distribution.step for place in range(num_steps + 1)]


def corners(space: Space) -> Iterator[dict[str, Any]]:
    """Both ends of each range and all choices, one at a time: what is wrong there is told at once.

    In the middle of the night it would be the end of the search.
    """
    ends = {name: _ends(each) for name, each in space.items()}
    first = {name: values[0] for name, values in ends.items()}
    yield from ({**first, name: value} for name, values in ends.items() for value in values)


def _ends(distribution: Distribution) -> Sequence[Any]:
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
