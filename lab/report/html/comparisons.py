"""Pages of comparisons: of one scenario at every isolation level, and of schedulers on scenarios."""

from __future__ import annotations

from collections.abc import Sequence

from lab.analysis.overview import Row
from lab.analysis.standings import Standings
from lab.analysis.survival import survival
from lab.report.html.charts import Chart, chart
from lab.report.html.render import rendered
from lab.report.hunts import AS_IT_STANDS
from lab.report.plots import SHOWN

__all__ = ["matrix_html", "survival_chart", "tuning_html"]

BEYOND = 1.25
"""How far a curve is drawn behind the last violation."""

BEYOND = 1.25
"""How far a curve is drawn behind the last violation."""


def matrix_html(target: str, rows: Sequence[Row], said: Sequence[str]) -> str:
    """The page of a scenario at every level. `said`: what the terminal has below its table."""
    levels = [(row.isolation or AS_IT_STANDS, row.own, row.result) for row in rows]
    return rendered("matrix.html", target=target, levels=levels, said=said)


def tuning_html(compared: Sequence[Standings], said: Sequence[str]) -> str:
    """The page of a comparison of schedulers. `said`: the lines of the terminal, with each table as text."""
    drawn = [(each, survival_chart(each)) for each in compared]
    return rendered("tuning.html", drawn=drawn, said=said)


def survival_chart(standings: Standings) -> Chart | None:
    """The share of searches that have not met a violation yet; None where none met one. The best schedulers only."""
    if not standings.found:
        return None
    look = standings.look(standings.able)
    curves = []
    for each in sorted(look.searches, key=look.mean)[:SHOWN]:
        found = survival(look.times(each))
        curves.append((each.name, [(0.0, 1.0), *zip(found.times, found.share, strict=True)]))
    unit = "seconds" if standings.in_seconds else "executions"
    last = max(x for _, points in curves for x, _ in points)
    end = min(last * BEYOND, max(look.most_of(each) for each in look.searches))
    return chart(curves, x_title=unit, y_title="searches without a violation", most=1.0, end=end)
