"""The lanes of a page: where each step, wait and arrow of a story is drawn. Units are pixels of the drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.model.text import cut
from lab.report.html.arrows import Arrow, arrows

__all__ = ["Band", "Curve", "Dot", "Drawing", "Span", "drawing"]

TOP, LEFT, ROW = 40, 46, 30
BANNER = 22
"""The height that a preemption adds above its step."""
LANES = {1: 420, 2: 330, 3: 280}
LANE = 230
"""The width of a lane: the fewer there are, the wider each."""
LETTER = 7.7
"""The width of a letter; the list of steps has all of a text that is cut."""
LOOP = 26
"""How far the arrow between two steps of one lane bends."""
KIND_AT = 0.7
"""Where on its way an arrow has its kind: to the right, since bands have their texts on the left."""
_SHORT = re.compile(
    r"(SELECT)\b.*?\bFROM\s+(\S+)|(INSERT INTO)\s+(\S+)|(DELETE FROM)\s+(\S+)|(UPDATE)\s+(\S+)", re.DOTALL
)
_WHERE = re.compile(r"\bWHERE (\w+ = [^\s()]{1,20})(?: RETURNING | FOR | →| <|$)")
"""The one row that a statement is about."""
_CHANGE = re.compile(r"\bSET (.+?)(?: WHERE | RETURNING |$)|\bVALUES (\(.*?\))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dot:
    """A step of an actor."""

    number: int
    lane: int
    x: int
    y: int
    label: str
    text: str
    end: bool
    """It ends a transaction."""
    failed: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A wait: from the step that began it to the one that ended it. `frozen` is its part after the lock was there."""

    lane: int
    x: int
    top: int
    height: int
    frozen: bool
    text: str


@dataclass(frozen=True, slots=True)
class Band:
    """A line over all lanes: a preemption, a fault, or time that passes."""

    kind: str
    y: int
    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow as it is drawn, with the middle of it, where its kind stands."""

    arrow: Arrow
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """All lanes. `actors`: name and x of each."""

    width: int
    height: int
    actors: tuple[tuple[str, int], ...]
    dots: tuple[Dot, ...]
    spans: tuple[Span, ...]
    bands: tuple[Band, ...]
    curves: tuple[Curve, ...]


def drawing(page: Mapping[str, Any]) -> Drawing:
    """The lanes of a page's story. `page`: as `FailurePage.dump` has it."""
    steps = page["story"]["steps"]
    took = dict.fromkeys(step["actor"] for step in steps if step["actor"])
    actors = [name for name in page["story"]["actors"] if name in took]
    actors += [name for name in took if name not in actors]
    lane = {name: number for number, name in enumerate(actors)}
    wide = LANES.get(len(actors), LANE)
    at = _Places(wide, _heights(steps))
    dots = tuple(_dot(step, lane[step["actor"]], at) for step in steps if step["actor"])
    places = {dot.number: dot for dot in dots}
    return Drawing(
        LEFT + wide * max(len(actors), 1),
        at.y(len(steps) + 1),
        tuple((name, at.x(number)) for name, number in lane.items()),
        dots,
        tuple(_spans(steps, lane, page["granted"], at)),
        tuple(_bands(steps, at)),
        tuple(_curves(arrows(page), places)),
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """Where lanes and steps are."""

    wide: int
    heights: Sequence[int]

    def x(self, lane: int) -> int:
        return LEFT + self.wide * lane + 14

    def y(self, number: int) -> int:
        """The middle of a step; behind the last one, the end of the lanes."""
        return self.heights[number - 1]


def _heights(steps: Sequence[Mapping[str, Any]]) -> list[int]:
    found, y = [], TOP
    for step in steps:
        y += BANNER if step["preempted"] else 0
        found.append(y + ROW // 2)
        y += ROW
    return [*found, y + ROW // 2]


def _dot(step: Mapping[str, Any], lane: int, at: _Places) -> Dot:
    result = step["result"] or {}
    return Dot(
        step["number"],
        lane,
        at.x(lane),
        at.y(step["number"]),
        cut(_label(step), int((at.wide - 20) / LETTER)),
        step["text"],
        step["kind"] in ("COMMIT", "ROLLBACK"),
        bool(result.get("error")),
    )


def _label(step: Mapping[str, Any]) -> str:
    """A few words: what is done to which table, with which values, and what was read."""
    found = _SHORT.search(step["sql"] or "")
    short = " ".join(part.strip('"') for part in found.groups() if part) if found else str(step["text"])
    short = short.replace("INSERT INTO", "INSERT").replace("DELETE FROM", "DELETE")
    result = step["result"] or {}
    if found and (where := _WHERE.search(step["text"])):
        short = f"{short} {where[1]}"
    if found and (changed := _CHANGE.search(step["text"])):
        short = f"{short}: {changed[1] or changed[2]}"
    if found and result.get("rows") and not result.get("error"):
        values = ", ".join(map(str, result["rows"][0]))
        more = f" and {len(result['rows']) - 1} more" if len(result["rows"]) > 1 else ""
        short = f"{short} → {values}{more}"
    elif short.startswith("SELECT") and result and not result.get("error"):
        short = f"{short} → no row"
    short = f"… {short}" if step["woken"] else short
    return f"{result['error']} {short}" if result.get("error") else short


def _spans(
    steps: Sequence[Mapping[str, Any]], lane: Mapping[str, int], granted: Mapping[str, int], at: _Places
) -> Iterator[Span]:
    for index, step in enumerate(steps):
        wait = step["wait"]
        if wait is None or not step["actor"]:
            continue
        actor, first = step["actor"], step["number"]
        last = next((each["number"] for each in steps[index + 1 :] if each["actor"] == actor), len(steps) + 1)
        there = min(granted.get(str(first), last), last)
        paused = step["pause"] is not None
        holders = " and ".join(wait["holders"])
        said = f"{actor} is paused {wait['target']}" if paused else f"{actor} waits for {holders}: {wait['target']}"
        frozen = f"the lock of {actor} is there; it stays frozen until it is chosen in #{last}"
        for top, bottom, text, is_frozen in ((first, there, said, paused), (there, last, frozen, True)):
            if bottom > top:
                yield Span(lane[actor], at.x(lane[actor]), at.y(top), at.y(bottom) - at.y(top), is_frozen, text)


def _bands(steps: Sequence[Mapping[str, Any]], at: _Places) -> Iterator[Band]:
    for step in steps:
        y = at.y(step["number"])
        if step["preempted"]:
            text = f"preemption: {step['preempted']} was runnable"
            yield Band("preemption", y - (ROW + BANNER) // 2, text, step["number"])
        if step["fault"] == "time":
            yield Band("time", y, step["text"], step["number"])
        elif step["fault"]:
            yield Band("fault", y, f"fault: {step['text']}", step["number"])


def _curves(found: Sequence[Arrow], places: Mapping[int, Dot]) -> Iterator[Curve]:
    for number, arrow in enumerate(found):
        if arrow.start not in places or arrow.end not in places:
            continue
        here, there = places[arrow.start], places[arrow.end]
        middle: tuple[float, float]
        bend = LOOP + 10 * (number % 3)
        if here.lane == there.lane:
            middle = (here.x - bend, (here.y + there.y) / 2)
        else:
            middle = ((here.x + there.x) / 2, (here.y + there.y) / 2 - bend)
        path = f"M{here.x} {here.y} Q{middle[0]:g} {middle[1]:g} {there.x} {there.y}"
        at = _along(here, middle, there, KIND_AT if there.x > here.x else 1 - KIND_AT)
        yield Curve(arrow, path, *at)


def _along(here: Dot, middle: tuple[float, float], there: Dot, part: float) -> tuple[float, float]:
    """A point of the curve."""
    one, both, other = (1 - part) ** 2, 2 * part * (1 - part), part**2
    x = one * here.x + both * middle[0] + other * there.x
    y = one * here.y + both * middle[1] + other * there.y
    return round(x, 1), round(y, 1)
