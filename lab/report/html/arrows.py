"""The arrows between steps: who comes before whom, or waits for whom, each with its sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Arrow", "arrows"]


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
    """Those of the anomaly that explains the failure and of deadlocks; else of the lock waits, if they are few."""
    if found := (*_of_anomaly(page), *_of_deadlocks(page)):
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
