"""A cycle as it is drawn: names on a circle, an arrow for each edge. Units are pixels of the drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan2, cos, pi, sin
from typing import Any

from lab.model.text import cut
from lab.report.html.arrows import Arrow, arrows

__all__ = ["Circle", "Edge", "Node", "circle"]

WIDTH, HEIGHT = 460, 300
RADIUS = 96
FLAT = 150
"""The height for two names."""
BOX = (64, 17)
"""Half the width and half the height of a name's box."""
NAME = 15
BEND = 0.28


@dataclass(frozen=True, slots=True)
class Node:
    """A name, with the middle of its box."""

    name: str
    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow, and where its label stands."""

    arrow: Arrow
    label: str
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Circle:
    """A whole cycle."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    top: int = 0
    height: int = HEIGHT


def circle(page: Mapping[str, Any]) -> Circle | None:
    """The cycle of the anomaly, of the deadlocks, or of the stall; None where nothing goes round."""
    found = [each for each in arrows(page) if each.source and each.target and each.source != each.target]
    if not page["explanation"] and not page["story"]["deadlocks"]:
        found = _of_stall(page["story"]["circle"], {(each.source, each.target): each for each in found})
    names = list(dict.fromkeys(name for each in found for name in (each.source, each.target)))
    if len(names) < 2 or {each.source for each in found} != set(names):  # noqa: PLR2004 - a cycle has two
        return None
    nodes = {name: _node(name, number, len(names)) for number, name in enumerate(names)}
    drawn = tuple(_edge(each, nodes[each.source], nodes[each.target], number) for number, each in enumerate(found))
    if len(nodes) == 2:  # noqa: PLR2004 - they stand beside each other
        return Circle(tuple(nodes.values()), drawn, (HEIGHT - FLAT) // 2, FLAT)
    return Circle(tuple(nodes.values()), drawn)


def _of_stall(names: Sequence[str], known: Mapping[tuple[str, str], Arrow]) -> list[Arrow]:
    pairs = zip(names, [*names[1:], *names[:1]], strict=True)
    return [known.get(pair) or Arrow("waits", 0, 0, *pair, f"{pair[0]} waits for {pair[1]}") for pair in pairs]


def _node(name: str, number: int, of: int) -> Node:
    angle = 2 * pi * number / of - (pi if of == 2 else pi / 2)  # noqa: PLR2004 - two stand beside each other
    wide = 1.5 if of > 2 else 1.4  # noqa: PLR2004
    x, y = WIDTH / 2 + wide * RADIUS * cos(angle), HEIGHT / 2 + RADIUS * sin(angle)
    return Node(name, cut(name, NAME), round(x, 1), round(y, 1))


def _edge(arrow: Arrow, here: Node, there: Node, number: int) -> Edge:
    ahead = (there.x - here.x, there.y - here.y)
    middle = ((here.x + there.x) / 2 - ahead[1] * -BEND, (here.y + there.y) / 2 - ahead[0] * BEND)
    start, end = _border(here, middle), _border(there, middle)
    path = f"M{start[0]:.1f} {start[1]:.1f} Q{middle[0]:.1f} {middle[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    steps = f" #{arrow.start}→#{arrow.end}" if arrow.start and arrow.end else ""
    at = ((start[0] + end[0]) / 4 + middle[0] / 2, (start[1] + end[1]) / 4 + middle[1] / 2)
    return Edge(arrow, f"{arrow.kind}{steps}", path, round(at[0], 1), round(at[1], 1))


def _border(node: Node, towards: tuple[float, float]) -> tuple[float, float]:
    """Where a line from the middle of a box leaves it."""
    angle = atan2(towards[1] - node.y, towards[0] - node.x)
    across, along = cos(angle), sin(angle)
    far = min(BOX[0] / abs(across) if across else 1e9, BOX[1] / abs(along) if along else 1e9)
    return node.x + across * far, node.y + along * far
