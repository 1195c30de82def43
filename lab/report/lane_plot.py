"""The lanes of one execution as a picture, for a terminal without a browser: the same drawing as that of its page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.errors import printable
from lab.report.html.curves import Curve
from lab.report.html.lanes import Drawing
from lab.report.html.lanes import drawing as lanes_of
from lab.report.plots import drawing, saved

__all__ = ["draw_lanes"]

DOTS = 100
"""Units of the drawing in an inch."""
COLOURS = ("#0b57a8", "#a3400b", "#146c2e", "#7b2d8e", "#006874", "#8c1d52", "#5b5b00", "#4a4f57")
"""Of the lanes, as on a page."""
BAD, WARN = "#b3261e", "#7a4d00"
HEAD = 30
"""The height of the title."""
_MOVE = re.compile(r"([MLQ])([^MLQ]+)")


def draw_lanes(page: Mapping[str, Any], title: str, path: Path) -> None:
    """Draw the lanes of a page's story. `page`: as `FailurePage.dump` has it. Raises `UsageError`."""
    drawn = lanes_of(page)
    figure = drawing().Figure(figsize=(drawn.width / DOTS, (drawn.height + HEAD) / DOTS))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawn.width), ylim=(drawn.height, -HEAD))
    axes.axis("off")
    _say(axes, 8, -HEAD / 2, title, size=9, weight="bold")
    for number, (name, x) in enumerate(drawn.actors):
        axes.plot([x, x], [HEAD, drawn.height], color="#c9ced3", zorder=0)
        _say(axes, x - 8, 18, name, size=8, weight="bold", color=COLOURS[number % len(COLOURS)])
    _waits(axes, drawn)
    for curve in drawn.curves:
        _arrow(axes, curve)
    _steps(axes, drawn)
    saved(figure, path)


def _waits(axes: Any, drawn: Drawing) -> None:
    for span in drawn.spans:
        hatch, colour = "////" if span.frozen else None, COLOURS[span.lane % len(COLOURS)]
        axes.bar(
            span.x,
            span.height,
            10,
            span.top,
            facecolor="none" if hatch else colour,
            edgecolor=colour,
            hatch=hatch,
            alpha=0.5,
        )
    for band in drawn.bands:
        colour = BAD if band.kind == "fault" else WARN
        axes.plot([70, drawn.width], [band.y + 9, band.y + 9], color=colour, linestyle=":", linewidth=0.8)
        _say(axes, 70, band.y, band.text, color=colour)


def _steps(axes: Any, drawn: Drawing) -> None:
    for mark in drawn.marks:
        colour = BAD if mark.kind == "stale" else WARN
        axes.plot([mark.x + 5, mark.x + 5], [mark.y, mark.y + mark.height], color=colour, linestyle=":")
        _say(axes, mark.x + 12, mark.y, mark.label, color=colour, style="italic")
    for dot in drawn.dots:
        shape = "s" if dot.end else "o"
        axes.plot([dot.x], [dot.y], shape, color=COLOURS[dot.lane % len(COLOURS)], markersize=6)
        _say(axes, 6, dot.y, str(dot.number), color="#5b636b")
        _say(axes, dot.x + 12, dot.y, dot.label, color=BAD if dot.failed else "#1c2024")


def _arrow(axes: Any, curve: Curve) -> None:
    paths, patches = import_module("matplotlib.path"), import_module("matplotlib.patches")
    codes: list[int] = []
    points: list[tuple[float, float]] = []
    for kind, numbers in _MOVE.findall(curve.path):
        values = [float(each) for each in numbers.split()]
        found = list(zip(values[::2], values[1::2], strict=True))
        codes += [{"M": paths.Path.MOVETO, "L": paths.Path.LINETO, "Q": paths.Path.CURVE3}[kind]] * len(found)
        points += found
    style = "--" if curve.arrow.kind == "waits" else "-"
    shape = {"arrowstyle": "-|>", "mutation_scale": 9, "color": COLOURS[0], "linestyle": style, "shrinkB": 4}
    axes.add_patch(patches.FancyArrowPatch(path=paths.Path(points, codes), **shape))
    _say(
        axes,
        curve.x,
        curve.y - 4,
        curve.arrow.kind,
        color=COLOURS[0],
        weight="bold",
        ha="center",
        backgroundcolor="white",
    )


def _say(axes: Any, x: float, y: float, text: str, *, size: float = 7, **more: Any) -> None:
    """A text as it stands: a dollar begins no formula."""
    axes.text(x, y, printable(text), fontsize=size, family="monospace", va="center", parse_math=False, **more)
