"""Deadlocks: who held what the other wanted, since which statement, and what became of the one that was refused."""

from __future__ import annotations

from dataclasses import dataclass

from lab.checkers.causes.grammar import locks, tables_of, written_table
from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.model.cause import Cause
from lab.model.footprint import Lock
from lab.model.outcome import ResultKind
from lab.model.record import DeadlockEdge

__all__ = ["deadlocked", "retried_in_part", "swallowed"]

DEADLOCK = "40P01"
SHARED = (Lock.KEY_SHARE, Lock.SHARE)


@dataclass(frozen=True, slots=True)
class _Edge:
    """`wants` waits for a lock that `holder` has taken by `held`."""

    wants: Sent
    holder: Unit
    held: Sent


def deadlocked(seen: Observed) -> Cause | None:
    """Lock order, an upgrade from share to exclusive, or the lock of a foreign key."""
    for cycle in seen.record.deadlocks:
        edges = [_resolved(seen, edge) for edge in cycle]
        if all(edges):
            return _cause(seen, [edge for edge in edges if edge is not None])
    return None


def _resolved(seen: Observed, edge: DeadlockEdge) -> _Edge | None:
    """The statements of an edge; None where it is not known which one took the lock."""
    wants = _waiting(seen, edge.waiter, edge.holder)
    wanted = _waiting(seen, edge.holder, "")
    if wants is None or wanted is None:
        return None
    unit = next(unit for unit, each in seen.sent if each is wanted)
    held = [each for each in unit.sent if each.answered < min(wants.answered, wanted.answered) and not each.error]
    took = [each for each in held if _is_taken(seen, each, wants)]
    if not took and held:
        return None
    return _Edge(wants, unit, took[0] if took else wanted)


def _waiting(seen: Observed, actor: str, holder: str) -> Sent | None:
    """The statement in which an actor waited when the cycle closed, or by which it closed it."""
    mine = [each for _, each in seen.of(actor)]
    refused = next((each for each in mine if each.error == DEADLOCK), None)
    if refused is not None:
        return refused
    end = min((each.answered for _, each in seen.sent if each.error == DEADLOCK), default=0)
    waiting = [each for each in mine if each.waits and each.number < end < each.answered]
    return next((each for each in waiting if not holder or each.waited_for(holder)), None)


def _is_taken(seen: Observed, held: Sent, wants: Sent) -> bool:
    """Whether one statement took a lock that clashes with what the other needs."""
    ours, theirs = held.accesses, wants.accesses
    if ours is not None and theirs is not None:
        return any(a.lock.clashes(b.lock) and a.rows.meet(b.rows) for a in ours for b in theirs) or _is_twin(
            held, wants
        )
    if _is_twin(held, wants) or _asks_parent(seen, held, wants):
        return True
    row = seen.row_of(wants)
    took = {item for item, absent in held.looks if not absent and locks(held.text)} | set(held.changes)
    return bool(took & ({row} | set(wants.changes)))


def _is_twin(held: Sent, wants: Sent) -> bool:
    """One statement with the same values locks the same, whatever that is."""
    return (held.text, held.values) == (wants.text, wants.values)


def _cause(seen: Observed, edges: list[_Edge]) -> Cause:
    steps = tuple(sorted({step for edge in edges for step in (edge.held.answered, edge.wants.number)} - {0}))
    if all(_asks_parent(seen, edge.held, edge.wants) for edge in edges):
        return _foreign_key(edges, steps)
    if all(_is_shared(edge) for edge in edges):
        return _upgrade(edges, steps)
    if any(edge.held is edge.wants or edge.held.number >= edge.wants.answered for edge in edges) or any(
        any(edge.held is other.wants for other in edges) for edge in edges
    ):
        return _inside_a_statement(edges)
    story = [
        f"{edge.holder.actor} held since #{edge.held.answered} what {edge.wants.actor} waited for in "
        f"#{edge.wants.number}"
        for edge in sorted(edges, key=lambda each: each.held.answered)
    ]
    return Cause(
        "lock order",
        f"{', and '.join(story)}: each took its locks in another order",
        steps,
        "take the locks in one order everywhere, by the key for example; or run the whole transaction again after "
        "a 40P01",
    )


def _asks_parent(seen: Observed, held: Sent, wants: Sent) -> bool:
    """Whether it is the row that a foreign key of an INSERT has locked that is wanted, not what was inserted."""
    parents = seen.parents_of(written_table(held.text)) if held.is_insert else frozenset()
    if not parents & tables_of(wants.text) or not (locks(wants.text) == "UPDATE" or wants.verb == "DELETE"):
        return False
    row = seen.row_of(wants)
    return bool(row) and row.rpartition(" ")[2] in held.values


def _is_shared(edge: _Edge) -> bool:
    """Whether the holder took the lock in a share mode, and is itself among those who want more."""
    if locks(edge.held.text) in ("SHARE", "KEY SHARE"):
        return True
    clashing = [
        a.lock
        for a in edge.held.accesses or ()
        for b in edge.wants.accesses or ()
        if a.lock.clashes(b.lock) and a.rows.meet(b.rows)
    ]
    return bool(clashing) and all(lock in SHARED for lock in clashing)


def _upgrade(edges: list[_Edge], steps: tuple[int, ...]) -> Cause:
    return Cause(
        "upgrade from share to exclusive",
        f"{_holders(edges)} locked the same in a share mode, which both may; each then wanted it for itself "
        f"({_wanted(edges)}) and waited for the other to let go",
        steps,
        "lock FOR UPDATE from the start where the row is written later",
    )


def _foreign_key(edges: list[_Edge], steps: tuple[int, ...]) -> Cause:
    inserts = _holders(edges, "'s INSERT")
    return Cause(
        "foreign-key lock",
        f"{inserts} locked the row that a foreign key refers to FOR KEY SHARE, which both may; each then wanted that "
        f"row for itself ({_wanted(edges)}) and waited for the other to let go",
        steps,
        "lock the parent FOR UPDATE before the INSERT, or only FOR NO KEY UPDATE where its key stays as it is",
    )


def _holders(edges: list[_Edge], by: str = "") -> str:
    """Who locked first, each with the step; `by`: what of its own it did that by."""
    first = sorted(edges, key=lambda each: each.held.answered)
    return " and ".join(f"{edge.holder.actor}{by} (#{edge.held.answered})" for edge in first)


def _wanted(edges: list[_Edge]) -> str:
    """The steps in which they wanted more."""
    return " and ".join(f"#{step}" for step in sorted({edge.wants.number for edge in edges}))


def _inside_a_statement(edges: list[_Edge]) -> Cause:
    steps = tuple(sorted({edge.wants.number for edge in edges}))
    actors = " and ".join(dict.fromkeys(f"{edge.wants.actor} (#{edge.wants.number})" for edge in edges))
    return Cause(
        "lock order",
        f"{actors} each lock several rows by one statement, one row after the other, and met in the middle of it",
        steps,
        "lock the rows by SELECT … ORDER BY … FOR UPDATE first, in one order everywhere; or run the whole transaction "
        "again after a 40P01",
    )


def retried_in_part(seen: Observed) -> Cause | None:
    """After a refusal only the statement that was refused was sent again, and what came before it was lost."""
    for unit, refused in seen.sent:
        if not refused.error or not unit.refused:
            continue
        later = [each for _, each in seen.of(unit.actor) if each.number > refused.answered]
        lost = [each for each in unit.sent if each.changes and each.answered < refused.number]
        again = next((each for each in later if _is_twin(each, refused)), None)
        if again is None or not lost or any(_is_twin(each, one) for each in later for one in lost):
            continue
        return Cause(
            "only the last statement was retried",
            f"the refusal of #{refused.answered} (SQLSTATE {refused.error}) took back all that {unit.actor} had done "
            f"in its transaction; #{refused.number} was sent again (#{again.number}), #{lost[0].answered} was not",
            tuple(sorted({lost[0].answered, refused.answered, again.number})),
            "run the whole transaction again, from its first statement",
        )
    return None


def swallowed(seen: Observed) -> Cause | None:
    """An actor whose transaction was refused wrote nothing afterwards, and returned as if it had."""
    for unit, refused in seen.sent:
        result = seen.record.outcome.results.get(unit.actor)
        if refused.error != DEADLOCK or result is None or result.kind is not ResultKind.RETURNED:
            continue
        if any(each.number > refused.answered for _, each in seen.of(unit.actor)):
            continue
        return Cause(
            "refusal swallowed",
            f"{unit.actor}'s transaction was refused in #{refused.answered} (SQLSTATE {refused.error}) and nothing of "
            f"it was done; {unit.actor} sent no statement after that and returned without an error",
            (refused.answered,),
            "run the whole transaction again, or let the error reach the caller",
        )
    return None
