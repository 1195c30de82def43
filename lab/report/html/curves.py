"""Where the arrows of the lanes run: beside the dots and between the rows, so that no text is under them.

An arrow leaves its step to the left, goes up or down in the free space left of the lane, across between two rows, and
comes to the other step from the left. Units are pixels of the drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab.report.html.arrows import Arrow

__all__ = ["Curve", "curves"]

NEAREST, APART, TRACKS = 14, 6, 4
"""Of the ways left of a lane: how far the first is from its dots, how far they are apart, how many there are."""
ROUND = 5
"""The radius of a corner."""
KIND_AT = 26
"""How far left of its end an arrow across has its kind; each further one as much again."""

Place = tuple[int, int, int]
"""Lane, x and y of a step."""


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow as it is drawn; `x` and `y` are where its kind stands."""

    arrow: Arrow
    path: str
    x: float
    y: float


def curves(found: Sequence[Arrow], places: Mapping[int, Place], half: int) -> Iterator[Curve]:
    """Each arrow between two steps that are drawn. `half`: half the height of a row, where no text is."""
    for number, arrow in enumerate(found):
        if arrow.start in places and arrow.end in places and arrow.start != arrow.end:
            yield _curve(arrow, places[arrow.start], places[arrow.end], number, half)


def _curve(arrow: Arrow, here: Place, there: Place, number: int, half: int) -> Curve:
    (lane, x, y), (other, x2, y2) = here, there
    track = NEAREST + APART * (number % TRACKS)
    if lane == other:
        path = _path([(x, y), (x - track, y), (x - track, y2), (x2, y2)])
        return Curve(arrow, path, x - track, (y + y2) / 2 + 4)
    nearer = 2 * (number % 3)  # towards the other step: behind it a preemption may have its text
    between = y2 - half + nearer if y2 > y else y2 + half - nearer
    path = _path([(x, y), (x - track, y), (x - track, between), (x2 - track, between), (x2 - track, y2), (x2, y2)])
    kind = KIND_AT * (1 + number % 3) + TRACKS * APART
    return Curve(arrow, path, x2 - track - kind if x2 > x else x2 - track + kind, between + (4 if y2 > y else 6))


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Straight lines with round corners."""
    text = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(at, before), _towards(at, after)
        text += f"L{start[0]:g} {start[1]:g}Q{at[0]:g} {at[1]:g} {end[0]:g} {end[1]:g}"
    return f"{text}L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(at: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """A point near one, on the way to another."""
    across, along = other[0] - at[0], other[1] - at[1]
    far = max(abs(across), abs(along))
    part = min(ROUND, far / 2) / far if far else 0
    return at[0] + across * part, at[1] + along * part
