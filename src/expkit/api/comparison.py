"""Two runs, or two recipes over several seeds, beside each other: is the second better?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expkit.api import html
from expkit.api.runs import Named, words_of
from expkit.api.screens import one_screen
from expkit.errors import UserError
from expkit.metrics.significance import Difference
from expkit.reports.compare import table as tables
from expkit.reports.compare.comparison import Compared
from expkit.reports.compare.named_runs import NamedComparison, compare_named
from expkit.reports.compare.screen import comparison_screen
from expkit.reports.tables import Table
from expkit.sanitize import one_line

MOST_OPEN = 8  # settings that are shown at once

if TYPE_CHECKING:
    import pandas as pd


@one_screen
def compare(
    a: Named | Iterable[Named], b: Named | Iterable[Named], metric: str | None = None
) -> Comparison:
    """Tell whether `b` is better than `a`, and whether that is more than luck.

    Each is a run by its path, a part of its name or itself, or several that are alike but for
    their seed. Both are judged as `expkit compare A B --metric METRIC` does.
    """
    ours, theirs = words_of(a), words_of(b)
    named = compare_named([*ours, *theirs], baseline=ours[0], metric=metric)
    if len(named.comparison.groups) != 2:
        raise UserError(
            f"these are {len(named.comparison.groups)} recipes, and two are compared here",
            where="; ".join(group.name for group in named.comparison.groups)[:200],
            allowed="two runs, or two lists of runs that are alike but for their seed",
            fix="expkit compare RUN RUN RUN   (in a terminal: many beside the first)",
        )
    return Comparison(named)


@dataclass(frozen=True, repr=False)
class Comparison:
    """What tells two runs apart, and what the difference proves."""

    named: NamedComparison

    @property
    def _row(self) -> Compared:
        return self.named.comparison.rows[0]

    @property
    def _difference(self) -> Difference | None:
        return self._row.differences.get(self.metric)

    @property
    def metric(self) -> str:
        """The metric that is judged by."""
        return self.named.comparison.metric

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `no evidence of a difference`, or `not compared`."""
        return "not compared" if self._row.verdict is None else self._row.verdict.word

    @property
    def text(self) -> str:
        """The verdict with its numbers, or the reason why there is none."""
        return one_line(tables.answer(self._row))

    @property
    def difference(self) -> float | None:
        """`b` less `a` in the metric; None where it has no test."""
        return None if self._difference is None else self._difference.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference."""
        return None if self._difference is None else self._difference.interval

    @property
    def p(self) -> float | None:
        """The p value of the difference."""
        return None if self._difference is None else self._difference.p

    @property
    def settings(self) -> pd.DataFrame:
        """The settings that differ: a row a setting, a column for each of the two."""
        import pandas as pd

        table = tables.settings_table(self.named.comparison).turned()
        rows = [[one_line(cell) for cell in row] for row in table.rows]
        return pd.DataFrame(rows, columns=["setting", "a", "b"]).set_index("setting")

    @property
    def table(self) -> pd.DataFrame:
        """A row a metric: both values, the difference with its interval, and p."""
        import pandas as pd

        comparison = self.named.comparison
        rows = []
        for metric in comparison.metrics:
            found = self._row.differences.get(metric)
            low, high = (found and found.interval) or (None, None)
            rows.append(
                {
                    "metric": one_line(metric),
                    "a": comparison.baseline.mean_of(metric),
                    "b": self._row.group.mean_of(metric),
                    "difference": found and found.value,
                    "low": low,
                    "high": high,
                    "p": found and found.p,
                }
            )
        return pd.DataFrame(rows).set_index("metric").astype(float)

    def __repr__(self) -> str:
        return f"<Comparison in {one_line(self.metric)}: {self.text}>"

    def __str__(self) -> str:
        """Return the screen of `expkit compare`."""
        return comparison_screen(self.named.comparison)

    def _repr_html_(self) -> str:
        comparison = self.named.comparison
        kinds = {"better": "good", "worse": "bad"}
        labels = [comparison.baseline.name, self._row.group.name]
        settings = tables.settings_table(comparison).turned()
        figures = tables.figures_table(comparison, tables.main_metrics(comparison))
        notes = [
            *tables.methods(comparison, [self.metric]),
            *(f"warning: {text}" for text in tables.doubts(comparison)),
            *comparison.abouts,
        ]
        return html.box(
            html.paragraph(f"<b>A</b> {html.text(labels[0])} <b>B</b> {html.text(labels[1])}"),
            html.paragraph(
                f"Is {html.text(self.metric)} better with B?",
                html.mark(self.verdict, kinds.get(self.verdict, "open")),
            ),
            html.paragraph(html.text(self.text)),
            _settings_html(settings),
            html.table(figures.header, figures.rows),
            *(html.paragraph(f'<span style="opacity:.7">{html.text(n)}</span>') for n in notes),
        )


def _settings_html(settings: Table) -> str:
    shown = html.table(["setting", "A", "B"], settings.rows)
    count = len(settings.rows)
    return shown if count <= MOST_OPEN else html.folded(f"{count} settings differ", shown)
