"""What a statement saw was older than the lock that it had waited for, or than what it was put together with."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.causes.grammar import has_another_source, locks, tables_of, written_table
from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.checkers.isolation.anomalies import AnomalyName
from lab.checkers.isolation.graph import Edge, EdgeKind
from lab.model.cause import Cause

__all__ = ["half_done", "older_than_the_lock", "rechecked", "rechecked_in_text", "skewed", "two_moments"]

ONE_SNAPSHOT = ("REPEATABLE READ", "SERIALIZABLE")


def _missed(seen: Observed) -> Iterator[tuple[Edge, Sent, Unit, Sent, Unit]]:
    """The rw edges of the cycle: the edge, who read and in which transaction, who wrote and in which."""
    for edge in seen.anomaly.cycle if seen.anomaly is not None else ():
        if edge.kind is EdgeKind.RW and {edge.source, edge.target} <= seen.of_transaction.keys():
            look, change = seen.answered_in(edge.source_step), seen.answered_in(edge.target_step)
            if look is not None and change is not None:
                yield edge, look, seen.of_transaction[edge.source], change, seen.of_transaction[edge.target]


def rechecked(seen: Observed) -> Cause | None:
    """EvalPlanQual: a statement answered after the wait for a lock by the snapshot from before it."""
    for _, look, _, change, other in _missed(seen):
        if look.number < other.end < look.answered and look.waited_for(other.actor) and look.level not in ONE_SNAPSHOT:
            return _rechecked(look, other, change, "does not show")
    return None


def _rechecked(look: Sent, other: Unit, change: Sent, shows: str) -> Cause:
    return Cause(
        "row re-checked after a wait",
        f"{look.actor}'s {look.verb} (#{look.number}) waited for {other.actor}; when {other.actor} had committed "
        f"(#{other.end}) only the row that it waited for was read anew, all else by the snapshot from before the wait: "
        f"its answer (#{look.answered}) {shows} {other.actor}'s change (#{change.answered})",
        tuple(sorted({look.number, look.answered, change.answered})),
        "lock first, by a statement of its own (the parent row; or the rows by FOR UPDATE SKIP LOCKED in the inner "
        "SELECT), and look in the next statement",
    )


def rechecked_in_text(seen: Observed) -> Cause | None:
    """The same of a statement with an inner SELECT or a join: both chose one row, or the second one got nothing."""
    for unit, each in seen.sent:
        if not each.waits or each.result is None or each.error or each.level != "READ COMMITTED":
            continue
        if not has_another_source(each.text) or not any("row " in wait.target for wait in each.waits):
            continue
        for other in seen.others(unit.actor):
            if not each.waited_for(other.actor) or not each.number < other.end < each.answered:
                continue
            for theirs in other.sent:
                if theirs.text == each.text and set(theirs.changes) & set(each.changes):
                    return _rechecked(each, other, theirs, "takes the same row in spite of")
                if theirs.changes and _is_empty(each) and _table_of(theirs) in tables_of(each.text):
                    return _rechecked(each, other, theirs, "is empty because of")
    return None


def _is_empty(each: Sent) -> bool:
    assert each.result is not None
    return not each.result.rows and (each.verb == "SELECT" or each.result.tag.endswith(" 0"))


def _table_of(each: Sent) -> str:
    return written_table(each.text)


def older_than_the_lock(seen: Observed) -> Cause | None:
    """At the higher levels the snapshot is that of the first statement, also where this one waits for a lock."""
    for _, look, unit, change, other in _missed(seen):
        if look.level not in ONE_SNAPSHOT or not other.end < look.number:
            continue
        waited = next((each for each in unit.sent if each.waited_for(other.actor) and each.number < other.end), None)
        if waited is not None:
            return Cause(
                "snapshot older than the lock",
                f"{look.actor} waited for {other.actor}'s lock (#{waited.number}) at {look.level}, where its snapshot "
                f"is from before the wait: what {other.actor} changed (#{change.answered}) and committed "
                f"(#{other.end}) is not in the answer of #{look.answered}",
                tuple(sorted({waited.number, change.answered, look.answered})),
                "run at READ COMMITTED, where the statement after the lock sees it; or at SERIALIZABLE with a retry",
            )
    return None


def skewed(seen: Observed) -> Cause | None:
    """Write skew: each of two or more transactions changed what another had read, and none the row of another."""
    anomaly = seen.anomaly
    if anomaly is None or anomaly.name not in (AnomalyName.G2_ITEM, AnomalyName.G2):
        return None
    missed = list(_missed(seen))
    if len(missed) != len(anomaly.cycle) or any(each.error for _, _, unit, _, _ in missed for each in unit.sent):
        return None  # somebody came between, or went another way after an error
    parts = [
        f"{look.actor} read {edge.predicate or edge.item} (#{look.answered}) before {change.actor}'s change of it "
        f"({f'{edge.item}, ' if edge.predicate else ''}#{change.answered}) was committed"
        for edge, look, _, change, _ in sorted(missed, key=lambda each: each[1].answered)
    ]
    by_predicate = any(edge.predicate for edge, *_ in missed)
    return Cause(
        "write skew by a predicate" if by_predicate else "write skew",
        ", and ".join(parts),
        tuple(sorted({step for _, look, _, change, _ in missed for step in (look.answered, change.answered)})),
        f"{_TO_LOCK[by_predicate]}, or run at SERIALIZABLE with a retry",
    )


_TO_LOCK = {
    True: "lock a row that all have in common FOR UPDATE before looking (the parent's), or let a constraint decide",
    False: "read the rows with SELECT … FOR UPDATE, all of them and in one order",
}


def two_moments(seen: Observed) -> Cause | None:
    """Read skew: one transaction read by two statements, and another was committed between them."""
    anomaly = seen.anomaly
    if anomaly is None or anomaly.name not in (AnomalyName.G_SINGLE, AnomalyName.PMP):
        return None
    last = anomaly.cycle[-1]
    for _, look, unit, _, other in _missed(seen):
        again, change = seen.answered_in(last.target_step), seen.answered_in(last.source_step)
        if again is None or change is None or last.kind is not EdgeKind.WR:
            continue
        if other is not seen.of_transaction.get(last.source):
            continue
        only_reads = all(each.verb == "SELECT" and not locks(each.text) for each in unit.sent)
        another = (look.text, look.values) != (again.text, again.values)
        if only_reads and another and look.answered < other.end < again.number:
            return Cause(
                "read at two moments",
                f"{unit.actor} read by one statement (#{look.answered}) before {other.actor} committed (#{other.end}) "
                f"and by another after it (#{again.answered}), which shows {other.actor}'s change "
                f"(#{change.answered})",
                tuple(sorted({look.answered, change.answered, again.answered})),
                "read at REPEATABLE READ, or by one statement",
            )
    return None


def half_done(seen: Observed) -> Cause | None:
    """One actor changed two rows in two transactions, and another read both of them between the two."""
    if seen.anomaly is not None:
        return None
    for first in seen.units:
        for second in seen.units:
            if first is second or first.actor != second.actor or not (first.committed and second.committed):
                continue
            if first.end < second.end and (found := _between(seen, first, second)) is not None:
                return found
    return None


def _between(seen: Observed, first: Unit, second: Unit) -> Cause | None:
    for reader, look in seen.sent:
        items = [item for item, _ in look.looks]
        if reader.actor == first.actor or not first.end < look.number or not look.answered < second.end:
            continue
        before = next((each for item in items if (each := first.changed(item)) is not None), None)
        after = next((each for item in items if (each := second.changed(item)) and not first.changed(item)), None)
        if before is not None and after is not None:
            return Cause(
                "two transactions where one is meant",
                f"{first.actor} changed rows in a transaction of its own (#{before.answered}, committed in "
                f"#{first.end}) and others in the next (#{after.answered}, committed in #{second.end}); {look.actor} "
                f"read them in between (#{look.answered})",
                tuple(sorted({before.answered, look.answered, after.answered})),
                "make both changes in one transaction",
            )
    return None
