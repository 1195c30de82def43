"""Stale reads: what an actor had read and another one replaced before the actor acted on it.

Told are those by which a failure is explained: the rw edges of its anomaly, and those rows that an actor read, another
one then wrote and committed, and the first wrote without reading them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.checkers.isolation.explanation import Explanation, Link
from lab.model.comments import without_comments
from lab.model.history import History, Read, Transaction, Write
from lab.model.trace import ActionKind, Trace

__all__ = ["Stale", "stale_reads"]


@dataclass(frozen=True, slots=True)
class Stale:
    """`actor` read `what` in the step `read`; `writer` wrote it in `wrote`. All steps are numbers from 1."""

    actor: str
    what: str
    """The row, or the condition: "account 1", "booking where room = 3"."""
    read: int
    writer: str
    wrote: int
    since: int
    """The step from whose end on the read was stale: the writer's COMMIT, or the write if `actor` acted before it."""
    acted: int
    """The actor's next write from then on, or the COMMIT of what it wrote before; 0 where there is neither."""


def stale_reads(trace: Trace, history: History | None, explanation: Explanation | None) -> tuple[Stale, ...]:
    """The stale reads of an execution, in the order of the trace, each once."""
    links = _of_links(trace, explanation.links) if explanation is not None else ()
    found = (*_of_rows(trace, history), *links)  # an edge of the anomaly, in whose words it is told, comes last
    each_once = {(each.actor, each.what, each.read): each for each in found}
    return tuple(sorted(each_once.values(), key=lambda each: (each.since, each.read)))


def _of_links(trace: Trace, links: Sequence[Link]) -> Iterator[Stale]:
    actors = {step.number: step.actor for step in trace}
    for link in links:
        if link.kind != "rw" or len(link.steps) != 2 or not all(step in actors for step in link.steps):  # noqa: PLR2004
            continue
        read, wrote = link.steps
        reader, writer = actors[read], actors[wrote]
        since = _since(trace, reader, read, writer, wrote)
        if reader != writer and since:
            yield Stale(
                reader, link.predicate or link.item, read, writer, wrote, since, _acts(trace, reader, read, since)
            )


def _since(trace: Trace, reader: str, read: int, writer: str, wrote: int) -> int:
    """The writer's COMMIT, until which what was read may still come back; 0 where a write before the read has none.

    Where the reader acted before it, or there is none, it is the write: the reader waited for its lock then, and acted
    when that was let go, or the statement was a transaction of its own.
    """
    commit = _commit_after(trace, writer, max(wrote, read))
    if wrote < read:
        return commit
    acted = _acts(trace, reader, read, wrote)
    return commit if commit and (not acted or commit < acted) else wrote


def _of_rows(trace: Trace, history: History | None) -> Iterator[Stale]:
    """By the versions: read, replaced and committed by another one, then written without another look."""
    done = [each for each in history.transactions if each.committed] if history is not None else []
    actors = {step.number: step.actor for step in trace}
    for mine in done:
        for write in (each for each in mine.operations if isinstance(each, Write)):
            actor = actors.get(write.step, "")
            read = max(_reads(history, actors, actor, write), default=0) if actor else 0
            for other, theirs in _between(done, mine, write.item, read, write.step) if read else ():
                writer, since = (
                    actors.get(theirs.step, ""),
                    _commit_after(trace, actors.get(theirs.step, ""), theirs.step),
                )
                if writer not in ("", actor) and since and since < write.step and other.committed:
                    yield Stale(actor, write.item, read, writer, theirs.step, since, write.step)


def _reads(history: History | None, actors: dict[int, str], actor: str, write: Write) -> Iterator[int]:
    """The steps in which an actor read a row before it wrote it, in whichever transaction; the write itself too."""
    for each in history.transactions if history is not None else ():
        for one in each.operations:
            mine = isinstance(one, Read) and one.item == write.item and actors.get(one.step) == actor
            if mine and one.step <= write.step:
                yield one.step


def _between(
    done: Sequence[Transaction], mine: Transaction, item: str, start: int, end: int
) -> Iterator[tuple[Transaction, Write]]:
    for other in done:
        for one in other.operations if other is not mine else ():
            if isinstance(one, Write) and one.item == item and start < one.step < end and one.undone is None:
                yield other, one


def _commit_after(trace: Trace, actor: str, number: int) -> int:
    """The step of the actor's next COMMIT; 0 where there is none."""
    commits = (s.number for s in trace if s.actor == actor and s.action.kind is ActionKind.COMMIT and s.number > number)
    return next(commits, 0)


def _acts(trace: Trace, actor: str, read: int, since: int) -> int:
    """The actor's next INSERT, UPDATE or DELETE behind a step; else its COMMIT, if it wrote behind the read."""
    verbs = ("INSERT", "UPDATE", "DELETE")
    own = [s for s in trace if s.actor == actor and s.number > read and s.action.kind is ActionKind.STATEMENT]
    writes = [s.number for s in own if without_comments(s.action.text).lstrip().upper().startswith(verbs)]
    later = next((number for number in writes if number > since), 0)
    return later or (_commit_after(trace, actor, since) if writes else 0)
