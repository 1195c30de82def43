"""The arrows between steps: who comes before whom, or waits for whom, each with its sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Arrow", "arrows", "last_step", "wanted"]


MOST_WAITS = 20
"""More arrows of lock waits would hide everything; the bars say the same."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a step to another one; `source` and `target` are transactions or actors. A read alone has one step twice."""

    kind: str
    """rw, wr, ww, read; or "waits"."""
    start: int
    end: int
    source: str
    target: str
    sentence: str


def arrows(page: Mapping[str, Any]) -> tuple[Arrow, ...]:
    """Those of the anomaly that explains the failure and of deadlocks, or of a stall; else of a few lock waits."""
    if found := (*_of_anomaly(page), *_of_deadlocks(page), *_of_stalls(page["story"])):
        return found
    waits = tuple(_of_waits(page))
    return waits if len(waits) <= MOST_WAITS else ()


def _of_anomaly(page: Mapping[str, Any]) -> Iterator[Arrow]:
    explanation = page["explanation"]
    for link in explanation["links"] if explanation else ():
        steps = link["steps"]
        if steps:
            yield Arrow(link["kind"], steps[0], steps[-1], link["before"], link["after"], link["sentence"])


def _of_deadlocks(page: Mapping[str, Any]) -> Iterator[Arrow]:
    for cycle in page["story"]["deadlocks"]:
        for edge in cycle:
            what = edge["row"] or "that"
            sentence = f"{edge['waiter']} waits for {edge['holder']}: {edge['mode']} on {edge['target']}"
            if edge["since"]:
                sentence += f"; {edge['holder']} has held {what} since #{edge['since']}"
            yield Arrow("waits", edge["step"], edge["since"], edge["waiter"], edge["holder"], sentence)


def _of_stalls(story: Mapping[str, Any]) -> Iterator[Arrow]:
    """From who cannot go on to where what it waits for was taken, in the process and in the database alike."""
    held = {(stall["actor"], each["what"]): each["step"] for stall in story["stalls"] for each in stall["holds"]}
    for stall in story["stalls"]:
        waiter, sentence = stall["actor"], f"{stall['actor']} waits for {wanted(stall)}"
        last = last_step(story, waiter)
        if stall["lock"] is not None:
            target = stall["lock"]["target"]
            others = {name: held.get((name, target), 0) for name in stall["lock"]["holders"]}
        else:
            others = {each["actor"]: each["step"] for each in (stall["wants"] or {"holders": ()})["holders"]}
        for name, step in others.items():
            if name and name != waiter:
                yield Arrow("waits", last, step or last_step(story, name), waiter, name, sentence)


def last_step(story: Mapping[str, Any], actor: str) -> int:
    """The number of the last step of an actor, 0 where it took none."""
    return max((step["number"] for step in story["steps"] if step["actor"] == actor), default=0)


def wanted(stall: Mapping[str, Any]) -> str:
    """What an actor waits for that cannot go on, and who has it: "asyncio.Lock `cache`, taken by bob in #2"."""
    if stall["lock"] is not None:
        holders = " and ".join(stall["lock"]["holders"])
        return f"{stall['lock']['target'] or 'a lock'}{holders and f', held by {holders}'}"
    want = stall["wants"]
    if want is None:
        return "something in the process"
    state = f", {want['state']}" if want["state"] else ""
    if want["ends"]:
        return f"{want['what']}: {' and '.join(each['actor'] for each in want['holders'])}"
    taken = " and ".join(f"{each['actor']}{_in(each['step'])}" for each in want["holders"] if each["actor"])
    act = f", and nobody is left who could {want['act']}" if want["act"] else ""
    return f"{want['what']}{state}{taken and f', taken by {taken}'}{act}"


def _in(step: int) -> str:
    return f" in #{step}" if step else ""


def _of_waits(page: Mapping[str, Any]) -> Iterator[Arrow]:
    """From a step that waits to the last step of who holds the lock."""
    last: dict[str, int] = {}
    for step in page["story"]["steps"]:
        wait = step["wait"]
        for holder in wait["holders"] if wait else ():
            if holder in last:
                sentence = f"{step['actor']} waits for {holder}: {wait['target'] or wait['mode']}"
                yield Arrow("waits", step["number"], last[holder], step["actor"], holder, sentence)
        if step["actor"]:
            last[step["actor"]] = step["number"]
