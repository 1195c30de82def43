"""The lanes of a page: where each step, wait and arrow of a story is drawn. Units are pixels of the drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.model.text import cut
from lab.report.html.arrows import arrows, last_step, wanted
from lab.report.html.curves import Curve, curves

__all__ = ["Band", "Dot", "Drawing", "Mark", "Span", "drawing"]

TOP, LEFT, ROW = 40, 46, 30
BANNER = 22
"""The height that a preemption adds above its step."""
LANES = {1: 460, 2: 390, 3: 285}
LANE = 250
"""The width of a lane: the fewer there are, the wider each."""
LETTER = 7.7
"""The width of a letter; the list of steps has all of a text that is cut."""
GUTTER = 38
"""What is free left of a lane's dots: texts end before it, and arrows go up and down in it."""
_SHORT = re.compile(
    r"(SELECT)\b.*?\bFROM\s+(\S+)|(INSERT INTO)\s+(\S+)|(DELETE FROM)\s+(\S+)|(UPDATE)\s+(\S+)", re.DOTALL
)
_FOR = re.compile(r"\bFOR (NO KEY UPDATE|UPDATE|KEY SHARE|SHARE)\b", re.IGNORECASE)
"""How a SELECT locks the rows that it reads."""
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
class Mark:
    """What is said in a lane beside its steps: that what it read is stale from here on, or where it stands at the end.

    `x` and `y` are where its text begins; `height` is that of the line below it, 0 for none.
    """

    kind: str
    """`stale` or `stuck`."""
    lane: int
    x: int
    y: int
    height: int
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All lanes. `actors`: name and x of each; `notes`: the number of a step, and what else is to be known of it."""

    width: int
    height: int
    actors: tuple[tuple[str, int], ...]
    dots: tuple[Dot, ...]
    spans: tuple[Span, ...]
    bands: tuple[Band, ...]
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...]
    notes: Mapping[int, str]


def drawing(page: Mapping[str, Any]) -> Drawing:
    """The lanes of a page's story. `page`: as `FailurePage.dump` has it."""
    steps = page["story"]["steps"]
    took = dict.fromkeys(step["actor"] for step in steps if step["actor"])
    actors = [name for name in page["story"]["actors"] if name in took]
    actors += [name for name in took if name not in actors]
    lane = {name: number for number, name in enumerate(actors)}
    wide = LANES.get(len(actors), LANE)
    stalls = page["story"]["stalls"]
    at = _Places(wide, _heights(steps, stuck=bool(stalls)))
    notes = _notes(page["story"])
    dots = tuple(_dot(step, lane[step["actor"]], at, notes) for step in steps if step["actor"])
    return Drawing(
        LEFT + wide * max(len(actors), 1),
        at.y(len(steps) + 1) + (ROW // 2 if stalls else 0),
        tuple((name, at.x(number)) for name, number in lane.items()),
        dots,
        (*_spans(steps, lane, page["granted"], at), *_standing(page["story"], lane, at)),
        tuple(_bands(steps, at)),
        tuple(curves(arrows(page), {dot.number: (dot.lane, dot.x, dot.y) for dot in dots}, ROW // 2)),
        (*_stale(page["story"], lane, at), *_stuck(page["story"], lane, at)),
        notes,
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


def _heights(steps: Sequence[Mapping[str, Any]], *, stuck: bool) -> list[int]:
    """The middle of each step, and the end; where all are stuck, a row more says where they stand."""
    found, y = [], TOP
    for step in steps:
        y += BANNER if step["preempted"] else 0
        found.append(y + ROW // 2)
        y += ROW
    return [*found, y + ROW // 2 + (ROW // 2 if stuck else 0)]


def _notes(story: Mapping[str, Any]) -> dict[int, str]:
    """Number of a step -> what else is to be known of it: that it acts by a stale read, what it takes meanwhile."""
    stale: dict[int, list[str]] = {}
    for each in story["stale"]:
        stale.setdefault(each["acted"], []).append(f"#{each['read']}")
    found = {number: f"by stale {' and '.join(dict.fromkeys(reads))}" for number, reads in stale.items()}
    for stall in story["stalls"]:
        for held in stall["holds"]:
            if not held["what"].startswith("row "):  # a statement took it, which says so
                before = f"{found[held['step']]}, " if held["step"] in found else ""
                found[held["step"]] = f"{before}takes {_shortly(held['what'])}"
    return found


def _shortly(what: str) -> str:
    """What a thing of the process is called in the code, without its kind where it has a name."""
    if what.startswith("a connection of "):
        return "a connection of the pool"
    return what.split("`")[1] if what.count("`") == 2 else what  # noqa: PLR2004 - a pair


def _dot(step: Mapping[str, Any], lane: int, at: _Places, notes: Mapping[int, str]) -> Dot:
    result = step["result"] or {}
    note = notes.get(step["number"])
    return Dot(
        step["number"],
        lane,
        at.x(lane),
        at.y(step["number"]),
        cut(f"{f'{note}: ' if note else ''}{_label(step)}", int((at.wide - GUTTER - 12) / LETTER)),
        step["text"],
        step["kind"] in ("COMMIT", "ROLLBACK"),
        bool(result.get("error")),
    )


def _label(step: Mapping[str, Any]) -> str:
    """A few words: what is done to which table, with which values, and what was read."""
    found = _SHORT.search(step["sql"] or "")
    text, others = _first_of_many(step)
    short = " ".join(part.strip('"') for part in found.groups() if part) if found else str(step["text"])
    short = short.replace("INSERT INTO", "INSERT").replace("DELETE FROM", "DELETE")
    result = step["result"] or {}
    locks = _FOR.search(step["sql"] or "") if short.startswith("SELECT") else None
    if found and (where := _WHERE.search(text)):
        short = f"{short} {where[1]}"
    if locks:
        short = f"{short} FOR {locks[1].upper()}"
    if found and (changed := _CHANGE.search(text)):
        short = f"{short}: {changed[1] or changed[2]}{others}"
    if found and result.get("rows") and not result.get("error"):
        values = ", ".join(map(str, result["rows"][0]))
        more = f" and {len(result['rows']) - 1} more" if len(result["rows"]) > 1 else ""
        short = f"{short} → {values}{more}"
    elif short.startswith("SELECT") and result and not result.get("error"):
        short = f"{short} → no row"
    short = f"… {short}" if step["woken"] else short
    return f"{result['error']} {short}" if result.get("error") else short


def _first_of_many(step: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a statement as far as its first row of values goes, and that there are more, or ""."""
    rows = [row for row in step["parameters"] or () if isinstance(row, list | tuple)]
    if len(rows) < 2:  # noqa: PLR2004 - one row is the whole statement
        return step["text"], ""
    return step["text"].split(", then ", 1)[0], f", then {len(rows) - 1} more"


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


def _standing(story: Mapping[str, Any], lane: Mapping[str, int], at: _Places) -> Iterator[Span]:
    """The waits for something in the process, which no step shows: from an actor's last step to the end."""
    for stall, last in _stalled(story, lane):
        if stall["lock"] is None:
            top = at.y(last) if last else TOP
            text = f"{stall['actor']} waits for {wanted(stall)}, and nobody can go on"
            where = lane[stall["actor"]]
            height = at.y(len(story["steps"]) + 1) - top
            yield Span(where, at.x(where), top, height, frozen=False, text=text)


def _stuck(story: Mapping[str, Any], lane: Mapping[str, int], at: _Places) -> Iterator[Mark]:
    """Below the last step, what each actor waits for that cannot go on."""
    for stall, _ in _stalled(story, lane):
        what = stall["lock"]["target"] or "a lock" if stall["lock"] else (stall["wants"] or {}).get("what", "")
        x = at.x(lane[stall["actor"]])
        text = f"waits for {_shortly(what) or 'something in the process'}"
        label = cut(text, int((at.wide - GUTTER - 12) / LETTER))
        y = at.y(len(story["steps"]) + 1)
        yield Mark("stuck", lane[stall["actor"]], x, y, 0, label, f"{stall['actor']} waits for {wanted(stall)}")


def _stalled(story: Mapping[str, Any], lane: Mapping[str, int]) -> Iterator[tuple[Mapping[str, Any], int]]:
    for stall in story["stalls"]:
        if stall["actor"] in lane:
            yield stall, last_step(story, stall["actor"])


def _stale(story: Mapping[str, Any], lane: Mapping[str, int], at: _Places) -> Iterator[Mark]:
    """From where on what an actor had read was stale, in its own lane, down to the step that acted on it."""
    for each in story["stale"]:
        if each["actor"] not in lane:
            continue
        top = at.y(each["since"])
        height = at.y(each["acted"]) - top if each["acted"] else 0
        committed = each["since"] != each["wrote"]
        did = "committed" if committed else "wrote"
        room, label = int((at.wide - GUTTER - 12) / LETTER), f"stale from here: {each['writer']} {did} it"
        label = label if len(label) <= room else cut(f"stale from here: {each['writer']}", room)
        text = (
            f"what {each['actor']} read in #{each['read']} ({each['what']}) is stale from #{each['since']} on: "
            f"{each['writer']} wrote it in #{each['wrote']}"
            + (f" and committed in #{each['since']}" if committed else "")
        )
        yield Mark("stale", lane[each["actor"]], at.x(lane[each["actor"]]), top, height, label, text)
