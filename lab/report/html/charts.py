"""Figures of a hunt as drawn: lines over executions, and steps of survival. Units are pixels of the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["HEIGHT", "WIDTH", "Chart", "Line", "chart", "ticks"]

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 44
TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One curve."""

    name: str
    path: str
    number: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over two axes."""

    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    x_title: str
    y_title: str
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


Points = Sequence[tuple[float, float]]


def chart(
    curves: Sequence[tuple[str, Points]], *, x_title: str, y_title: str, most: float | None = None, end: float = 0
) -> Chart:
    """Curves that stay where they are until their next point. `most`: the top of the axis; `end`: its right end."""
    width = max([end, *(x for _, points in curves for x, _ in points)]) or 1
    height = most or max((y for _, points in curves for _, y in points), default=1) or 1
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def across(x: float) -> float:
        return round(LEFT + (right - LEFT) * x / width, 1)

    def up(y: float) -> float:
        return round(bottom - (bottom - TOP) * y / height, 1)

    lines = []
    for number, (name, points) in enumerate(curves):
        (first_x, first_y), *rest = points
        path = f"M{across(first_x)} {up(first_y)}"
        path += "".join(f"H{across(x)}V{up(y)}" for x, y in rest) + f"H{across(width)}"
        lines.append(Line(name, path, number))
    return Chart(
        tuple(lines),
        tuple(Tick(across(each), f"{each:g}") for each in ticks(width)),
        tuple(Tick(up(each), f"{each:g}") for each in ticks(height)),
        x_title,
        y_title,
    )


def ticks(most: float) -> list[float]:
    """Round numbers from 0 up to `most`, about five of them."""
    rough = most / TICKS
    size = 10.0 ** len(str(int(rough))) / 10 if rough >= 1 else 10.0 ** -_zeros(rough)
    step = next(size * each for each in (1, 2, 5, 10) if size * each >= rough)
    return [round(step * number, 6) for number in range(int(most / step + 1e-9) + 1)]


def _zeros(small: float) -> int:
    """How many places behind the point its first digit has: 1 for 0.2, 2 for 0.04."""
    places = 1
    while small * 10**places < 1:
        places += 1
    return places
