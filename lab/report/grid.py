"""What helps, as a grid: remedies in rows, levels in columns. Text and pages are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.model.remedy import NO_TIME, NOT_RUN, UNLESS_STARVED, Price, Remedies, Tried
from lab.scenario.declare import ISOLATION_LEVELS

__all__ = ["AS_IT_IS", "Cell", "Grid", "Priced", "grid"]

WORDS = {
    "pass": "helps",
    UNLESS_STARVED: "helps, unless starved",
    "fail": "does not help",
    "inconclusive": "inconclusive",
    NO_TIME: NO_TIME,
    NOT_RUN: NOT_RUN,
}
PRICED = ("pass", UNLESS_STARVED, "inconclusive")
"""What does not help costs nothing that anybody would pay."""
AS_IT_IS = "as it is"
OWN_LEVELS = "own levels"
"""The column of a scenario whose actors state levels of their own."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of a remedy at a level; `verdict` is "" and the text "-" where it was not tried there."""

    verdict: str = ""
    text: str = "-"


@dataclass(frozen=True, slots=True)
class Priced:
    """What a remedy costs, and whether every trace was run under it."""

    name: str
    price: Price
    complete: bool = False
    counted: bool = True
    """How many executions that rests on is said."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`rows`: name of a remedy, and its cells in the order of the levels."""

    levels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    prices: tuple[Priced, ...]
    words: tuple[str, ...]
    """Why a remedy has no better verdict, and what a verdict does not cover."""


def grid(remedies: Remedies) -> Grid:
    """The grid of what was tried."""
    own = remedies.isolation or OWN_LEVELS
    run = [(each, each.remedy) for each in remedies.tried if each.remedy is not None]
    cells = {(AS_IT_IS, own): Cell("fail", f"{remedies.broken} of {remedies.unfixed.executions} break")}
    for each, remedy in run:
        cells[remedy.row or each.name, remedy.isolation or own] = Cell(each.verdict, WORDS[each.verdict])
    used = {level for _, level in cells}
    levels = (own, *(level for level in ISOLATION_LEVELS if level in used and level != own))
    rows = dict.fromkeys(row for row, _ in cells)
    return Grid(
        levels,
        tuple((row, tuple(cells.get((row, level), Cell()) for level in levels)) for row in rows),
        (
            Priced(AS_IT_IS, remedies.unfixed, counted=False),
            *(
                Priced(each.name, each.price, each.complete)
                for each, _ in run
                if each.price is not None and each.verdict in PRICED
            ),
        ),
        tuple(line for each in remedies.tried for line in _words(each)),
    )


def _words(tried: Tried) -> Iterator[str]:
    if tried.verdict == NOT_RUN:
        yield f"{NOT_RUN}: {tried.name}: {tried.reason}" if tried.reason else f"{NOT_RUN}: {tried.name}"
    elif tried.reason:
        yield f"{tried.name}: {tried.reason}"
    if tried.note:
        yield f"{tried.name}: {tried.note}"
