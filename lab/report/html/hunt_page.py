"""The page of a hunt: the verdict and its limits, what was met, and every kind of failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.analysis.tally import HuntResult
from lab.model.remedy import Remedies
from lab.report.grid import grid
from lab.report.html.charts import Chart, chart
from lab.report.html.render import Helps, rendered

__all__ = ["bars", "curve", "hunt_html"]

MOST_BARS = 12


def hunt_html(
    result: HuntResult,
    scheduler: str,
    remedies: Remedies | None,
    said: Sequence[str],
    links: Sequence[str | None],
) -> str:
    """The page. `said`: the verdict's lines, as the terminal has them; `links`: the page of each failure, if any."""
    return rendered(
        "hunt.html",
        result=result,
        shown={key: value for key, value in result.shown().items() if key != "failures"},
        scheduler=scheduler,
        said=said,
        failures=list(zip(result.failures, links, strict=True)),
        curve=curve(result),
        outcomes=bars(result.outcomes),
        aborts=bars(result.aborts),
        anomalies=bars(result.anomalies),
        helps=None if remedies is None else Helps(remedies, None if remedies.trouble else grid(remedies)),
    )


def curve(result: HuntResult) -> Chart | None:
    """Distinct traces over executions; None where that was not followed."""
    if not result.curve:
        return None
    points = [(0, 0), *result.curve]
    return chart([("distinct traces", points)], x_title="executions", y_title="distinct traces", end=result.executions)


def bars(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Name, number and its share of the largest in percent; the most frequent ones, the rest together."""
    ordered = sorted(
        ((number, name) for name, number in counts.items() if number), key=lambda each: (-each[0], each[1])
    )
    found = [(name, number) for number, name in ordered[:MOST_BARS]]
    if rest := ordered[MOST_BARS:]:
        found.append((f"{len(rest)} more", sum(number for number, _ in rest)))
    largest = max((number for _, number in found), default=1)
    return [(name, number, round(100 * number / largest, 1)) for name, number in found]
