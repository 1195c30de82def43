"""Stalls: why nobody can go on, by who has what the other waits for, in the process and in the database.

All of it was observed when nobody could go on (`lab.model.stall`); what is not known there names no cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.checkers.causes.observed import Observed
from lab.model.cause import Cause
from lab.model.stall import Holder, Stall, circle_of

__all__ = ["in_a_circle", "never_given_back", "nobody_left"]

POOL = "a connection of "
"""How what is waited for begins where it is a connection of a pool."""


@dataclass(frozen=True, slots=True)
class _Link:
    """`waiter` waits for `what`, which `holder` has since the step `since`; 0: since before its first one."""

    waiter: Stall
    holder: str
    kind: str
    """"database", "pool", "task" or "process"."""
    what: str
    since: int

    @property
    def steps(self) -> tuple[int, ...]:
        return (self.since,) if self.since else ()


def in_a_circle(seen: Observed) -> Cause | None:
    """Each waits for the next: for locks of the process, rows, tasks that have to end, connections of a pool."""
    stalls = seen.record.stalls
    circle = circle_of(stalls)
    links = [_link(stalls, name, other) for name, other in zip(circle, (*circle[1:], *circle[:1]), strict=True)]
    known = [each for each in links if each is not None]
    if not known or len(known) < len(links):
        return None
    kinds = {each.kind for each in known}
    if kinds == {"pool"}:
        return _full_pool(known[0].waiter, stalls)
    if len(known) == 1:
        return _taken_twice(known[0])
    return _caused(seen, known, kinds)


def _link(stalls: Sequence[Stall], name: str, other: str) -> _Link | None:
    """The edge of a circle between two actors; None where it is not known what is waited for."""
    stall = next(each for each in stalls if each.actor == name)
    if stall.lock is not None:
        held = next(
            (h for each in stalls if each.actor == other for h in each.holds if h.what == stall.lock.target), None
        )
        return _Link(stall, other, "database", stall.lock.target or "a lock", held.step if held is not None else 0)
    if stall.wants is None:
        return None
    if stall.wants.ends:
        return _Link(stall, other, "task", f"the end of {other}", 0)
    holder = next((each for each in stall.wants.holders if _root(each.actor) == _root(other)), None)
    if holder is None:
        return None
    kind = "pool" if stall.wants.what.startswith(POOL) else "process"
    return _Link(stall, other, kind, stall.wants.what, holder.step)


def _root(actor: str) -> str:
    return actor.partition("/")[0]


def _caused(seen: Observed, links: Sequence[_Link], kinds: set[str]) -> Cause:
    text, steps = "; ".join(_story(seen, links)), _steps(seen, links)
    if "task" in kinds:
        return Cause(
            "task awaited with locks held",
            f"{text}: what waits for the task to end has what the task needs, directly or through others",
            steps,
            "let the tasks end before anything is locked, or hold no lock while a task or a thread is awaited",
        )
    if "database" in kinds:
        return Cause(
            "row held while waiting in the process",
            f"{text}: one edge of this deadlock is a lock of PostgreSQL and one is not, so no deadlock check sees it",
            steps,
            "take the lock of the process before the first row is locked, everywhere, or end the transaction before "
            "waiting for it",
        )
    return Cause(
        "process locks in opposite order",
        f"{text}: each took its locks in another order, and no deadlock check sees locks of the process",
        steps,
        "take the locks of the process in one order everywhere, or hold one at a time",
    )


def _story(seen: Observed, links: Sequence[_Link]) -> Iterator[str]:
    """A sentence for each actor of the circle: what it has that the one before it waits for, and what it waits for."""
    for link, behind in zip(links, (links[-1], *links[:-1]), strict=True):
        last = _last(seen, link.waiter.actor)
        waits = f"waits for {link.what}{f' (#{last})' if link.kind == 'database' and last else ''}"
        if behind.kind == "task":
            yield f"{link.waiter.actor} {waits}"
        else:
            yield f"{link.waiter.actor} has {behind.what}{_since(behind.since)} and {waits}"


def _since(step: int) -> str:
    return f" since #{step}" if step else ""


def _steps(seen: Observed, links: Sequence[_Link]) -> tuple[int, ...]:
    waits = {_last(seen, each.waiter.actor) for each in links if each.kind == "database"}
    return tuple(sorted({*waits, *(step for each in links for step in each.steps)} - {0}))


def _last(seen: Observed, actor: str) -> int:
    return max((step.number for step in seen.record.trace if step.actor == actor), default=0)


def _full_pool(stall: Stall, stalls: Sequence[Stall]) -> Cause | None:
    """All who have a connection of the pool wait for one more. None where one of them waits for something else."""
    assert stall.wants is not None
    waiting = {each.actor for each in stalls if each.wants is not None and each.wants.what == stall.wants.what}
    holders = stall.wants.holders
    if not holders or not all(each.actor in waiting for each in holders):
        return None
    taken = " and ".join(f"{each.actor}{f' (#{each.step})' if each.step else ''}" for each in holders)
    names = list(dict.fromkeys(each.actor for each in holders))
    return Cause(
        "second connection of a full pool",
        f"{taken} took all {len(holders)} connections of the pool, and {' and '.join(names)} wait"
        f"{'s' if len(names) == 1 else ''} for one more before giving any back",
        tuple(sorted({each.step for each in holders} - {0})),
        "do all work of a request in one session, or give its connection back before taking another; a pool larger by "
        "one is enough for these requests, and not for one request more",
    )


def _taken_twice(link: _Link) -> Cause | None:
    if link.kind != "process":
        return None
    return Cause(
        "lock taken twice",
        f"{link.waiter.actor} has {link.what}{_since(link.since)} and waits for it once more: such a lock does not "
        "know that it is the same task",
        link.steps,
        "take the lock once, in the outermost function, and call an inner one that expects it to be held",
    )


def never_given_back(seen: Observed) -> Cause | None:
    """Somebody waits for what an actor took that has ended since."""
    for stall in seen.record.stalls:
        gone: Holder | None = next((each for each in stall.wants.holders if each.ended), None) if stall.wants else None
        if gone is not None and stall.wants is not None and not stall.wants.ends:
            return Cause(
                "lock never given back",
                f"{gone.actor} took {stall.wants.what}{f' (#{gone.step})' if gone.step else ''} and ended without "
                f"giving it back; {stall.actor} waits for it",
                (gone.step,) if gone.step else (),
                "take it by `async with`, which gives it back on every path, also after an error",
            )
    return None


def nobody_left(seen: Observed) -> Cause | None:
    """Somebody waits for an event, for room in a queue or the like, and nobody is left who could give it."""
    for stall in seen.record.stalls:
        want = stall.wants
        if want is None or not want.act or want.holders:
            continue
        last = _last(seen, stall.actor)
        state = f", {want.state}{',' * bool(last)}" if want.state else ""
        others = [each.actor for each in seen.record.stalls if each.actor != stall.actor]
        left = f"{' and '.join(others)} cannot go on" if others else "all others have ended"
        return Cause(
            "nobody left to wake it",
            f"{stall.actor} waits for {want.what}{state}{f' since its last step (#{last})' if last else ''}, and "
            f"nobody is left who could {want.act}: {left}",
            (last,) if last else (),
            _advice(want.what),
        )
    return None


def _advice(what: str) -> str:
    if "Event" in what or "Condition" in what:
        return (
            "clear it before looking for what it announces, and look once more before each wait, so that what came in "
            "between is not lost"
        )
    if "Queue" in what or "Stream" in what:
        return (
            "whoever takes things out looks once more before it leaves, with no await between that look and leaving; "
            "or let one task read for as long as anybody may put"
        )
    return "let whoever has to give it do so on every path, also after an error"
