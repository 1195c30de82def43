"""Curves as a picture: survival of schedulers, discovery of a hunt. Matplotlib (extra `plots`) is loaded when asked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.analysis.searches import Searches
from lab.analysis.standings import Standings
from lab.analysis.survival import survival
from lab.analysis.tally import HuntResult
from lab.errors import UsageError

__all__ = ["draw", "draw_search", "drawing", "saved"]

SHOWN = 6
"""Curves in one picture: more cannot be told apart."""
BARS = 10
"""Outcomes that have a bar: the most frequent ones."""
TICKS = 5
"""Places at which the numbers at risk are shown."""


def drawing() -> Any:
    """Matplotlib's figures, without a window. Raises `UsageError` where it is not installed."""
    try:
        return import_module("matplotlib.figure")
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install 'concurrency-lab[plots]'") from None


def draw(compared: Sequence[Standings], path: Path) -> bool:
    """The share of searches still without a violation, with bands and numbers at risk, a row for each scenario.

    Returns whether there was anything to draw. Raises `UsageError` where the file cannot be written.
    """
    shown = [each for each in compared if each.found]
    if not shown:
        return False
    figure = drawing().Figure(figsize=(8, 6 * len(shown)), layout="constrained")
    grid = figure.subplots(2 * len(shown), 1, squeeze=False, height_ratios=[4, 1] * len(shown))
    for number, each in enumerate(shown):
        _curves(grid[2 * number][0], grid[2 * number + 1][0], each)
    saved(figure, path)
    return True


def draw_search(result: HuntResult, path: Path) -> None:
    """Distinct traces over executions, and executions by outcome. Raises `UsageError` where it cannot be written."""
    figure = drawing().Figure(figsize=(8, 7), layout="constrained")
    above, below = figure.subplots(2, 1)
    points = [(0, 0), *result.curve, (result.executions, len(result.traces))]
    above.step(*zip(*points, strict=True), where="post")
    above.set(title=result.target, xlabel="executions", ylabel="distinct traces", xlim=(0, max(result.executions, 1)))
    most = result.outcomes.most_common(BARS)
    below.barh([name for name, _ in reversed(most)], [number for _, number in reversed(most)])
    below.set(xlabel="executions", ylabel="outcome")
    saved(figure, path)


def saved(figure: Any, path: Path) -> None:
    """Write a figure. Raises `UsageError` where the file cannot be written."""
    try:
        figure.savefig(path)
    except OSError as error:
        raise UsageError(f"--plot {path}: {error.strerror or error}") from None


def _curves(axes: Any, below: Any, standings: Standings) -> None:
    look = standings.look(standings.able)
    best = sorted(look.searches, key=look.mean)[:SHOWN]
    most = max(look.most_of(each) for each in best)
    for each in best:
        curve = survival(look.times(each))
        times = [0.0, *curve.times, look.most_of(each)]
        low, share, high = ([1.0, *values, values[-1]] for values in (curve.low, curve.share, curve.high))
        (line,) = axes.step(times, share, where="post", label=each.name)
        axes.fill_between(times, low, high, step="post", alpha=0.15, color=line.get_color())
    unit = "seconds" if standings.in_seconds else "executions"
    axes.set(title=standings.target, xlim=(0, most), ylim=(0, 1.02), xlabel=unit)
    axes.set_ylabel("searches without a violation")
    axes.legend()
    _at_risk(below, best, standings, [most * place / TICKS for place in range(TICKS + 1)])


def _at_risk(axes: Any, best: Sequence[Searches], standings: Standings, places: Sequence[float]) -> None:
    """A table of how many searches are still going on at some places."""
    look = standings.look(standings.able)
    rows = [[str(sum(time >= place for time in look.times(each).times)) for place in places] for each in best]
    axes.axis("off")
    table = axes.table(
        cellText=rows,
        rowLabels=[each.name for each in best],
        colLabels=[f"{place:g}" for place in places],
        loc="center",
    )
    table.auto_set_font_size(False)  # noqa: FBT003 - matplotlib's own signature
    table.set_fontsize(7)
    axes.set_title("at risk", fontsize=8)
