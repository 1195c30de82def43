"""A row was looked for, was not there, and was inserted, while somebody else did the same."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.causes.grammar import tables_of, written_table
from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.checkers.isolation.anomalies import AnomalyName
from lab.model.cause import Cause

__all__ = ["duplicate_key", "inserted_twice", "parent_deleted", "parent_referenced"]

DUPLICATE, NO_PARENT = "23505", "23503"
NAME = "check-then-insert"


def duplicate_key(seen: Observed) -> Cause | None:
    """A duplicate key of an actor that had looked whether the row is there and found none."""
    actor = seen.raised
    for _, failed in seen.of(actor)[-1:]:  # one that it went on after is not why it ended
        if failed.error == DUPLICATE and failed.verb == "INSERT":
            for look in _looks_before(seen, failed):
                for other, theirs in _inserts_of_others(seen, actor, written_table(failed.text)):
                    if look.answered < other.end <= failed.answered and look.values <= theirs.values:
                        return _duplicate(look, other, theirs, failed)
    return None


def _looks_before(seen: Observed, insert: Sent) -> Iterator[Sent]:
    """What the same actor had sent to look for the row that it then inserts, and that found none."""
    table = written_table(insert.text)
    for _, each in seen.of(insert.actor):
        looks = each.answered < insert.number and each.found_nothing and table in tables_of(each.text)
        if looks and each.values <= insert.values:
            yield each


def _inserts_of_others(seen: Observed, actor: str, table: str) -> Iterator[tuple[Unit, Sent]]:
    for other in seen.others(actor):
        yield from ((other, each) for each in other.sent if each.is_insert and written_table(each.text) == table)


def _duplicate(look: Sent, other: Unit, theirs: Sent, failed: Sent) -> Cause:
    table = written_table(failed.text)
    return Cause(
        NAME,
        f"{failed.actor} looked for a row of {table} and found none (#{look.answered}), {other.actor} inserted it "
        f"(#{theirs.answered}) and committed (#{other.end}), and the INSERT of {failed.actor} met its key "
        f"(#{failed.answered}, SQLSTATE {DUPLICATE})",
        tuple(sorted({look.answered, theirs.answered, failed.answered})),
        "INSERT … ON CONFLICT DO NOTHING, then SELECT the row; or INSERT inside a savepoint (session.begin_nested()), "
        "roll it back on the error and read the row again",
    )


def inserted_twice(seen: Observed) -> Cause | None:
    """Two actors looked for the same, found nothing, and both inserted: no unique key kept them apart."""
    if seen.anomaly is not None and ((found := _by_cycle(seen)) is not None or _is_known(seen)):
        return found
    for unit, insert in seen.sent:
        if not unit.committed or not insert.is_insert:
            continue
        table = written_table(insert.text)
        for look in _twins_of(seen, insert):
            for other, theirs in _inserts_of_others(seen, unit.actor, table):
                for there in _twins_of(seen, theirs):
                    same = (look.text, look.values) == (there.text, there.values)
                    if same and look.answered < other.end < unit.end:
                        return _both(look, insert, there, theirs)
    return None


def _twins_of(seen: Observed, insert: Sent) -> Iterator[Sent]:
    table = written_table(insert.text)
    for _, each in seen.of(insert.actor):
        if each.answered < insert.number and each.found_no_row and tables_of(each.text) == {table}:
            yield each


def _by_cycle(seen: Observed) -> Cause | None:
    """The same where the history knows the condition: what each inserted matches what the other had looked for."""
    anomaly = seen.anomaly
    assert anomaly is not None
    if anomaly.name is not AnomalyName.G2 or len(anomaly.cycle) != 2:  # noqa: PLR2004 - two transactions
        return None
    pairs = []
    for edge in anomaly.cycle:
        look, insert = seen.answered_in(edge.source_step), seen.answered_in(edge.target_step)
        if look is None or insert is None:
            return None
        same = written_table(insert.text) in tables_of(look.text)
        if not (edge.predicate and edge.matches and look.found_no_row and insert.is_insert and same):
            return None
        if any(each.error for _, each in seen.of(look.actor)):
            return None  # it went another way after an error
        pairs.append((look, insert))
    (first, theirs), (there, insert) = sorted(pairs, key=lambda each: each[0].answered)
    return _both(first, insert, there, theirs)


def _is_known(seen: Observed) -> bool:
    """Whether the history knows what each read of the cycle looked for; of text SQL it knows the table only."""
    assert seen.anomaly is not None
    return all(edge.matches or not edge.predicate for edge in seen.anomaly.cycle)


def _both(look: Sent, insert: Sent, there: Sent, theirs: Sent) -> Cause:
    if look.answered > there.answered:
        look, insert, there, theirs = there, theirs, look, insert
    table = written_table(insert.text)
    return Cause(
        NAME,
        f"{look.actor} looked for a row of {table} and found none (#{look.answered}), so did {there.actor} "
        f"(#{there.answered}) before that of the other was committed, and both inserted one "
        f"(#{min(insert.answered, theirs.answered)}, #{max(insert.answered, theirs.answered)})",
        tuple(sorted({look.answered, there.answered, insert.answered, theirs.answered})),
        "let a unique key or an exclusion constraint decide and INSERT … ON CONFLICT; or lock a row that both have "
        "in common (the parent's) FOR UPDATE before looking; FOR UPDATE on no row locks nothing",
    )


def parent_deleted(seen: Observed) -> Cause | None:
    """The row that a foreign key asks for was there when it was looked for, and deleted before the INSERT."""
    actor = seen.raised
    for _, failed in seen.of(actor)[-1:]:
        if failed.error != NO_PARENT or failed.verb not in ("INSERT", "UPDATE"):
            continue
        for _, look in seen.of(actor):
            for other in seen.others(actor):
                gone = _deleted(look, other, failed) if look.answered < failed.number else None
                if gone is not None and look.answered < other.end <= failed.answered:
                    item, delete = gone
                    return Cause(
                        "check-then-insert of a child",
                        f"{actor} found {item} (#{look.answered}), {other.actor} deleted it (#{delete.answered}) and "
                        f"committed (#{other.end}), and the {failed.verb} of {actor} that refers to it was refused "
                        f"(#{failed.answered}, SQLSTATE {NO_PARENT})",
                        tuple(sorted({look.answered, delete.answered, failed.answered})),
                        "look for the parent with SELECT … FOR KEY SHARE, or take the error for the answer that it is "
                        "gone",
                    )
    return None


def _deleted(look: Sent, other: Unit, child: Sent) -> tuple[str, Sent] | None:
    """The row that a statement read and another transaction deleted, and whose key the child has."""
    items = [item for item, absent in look.looks if not absent and item.rpartition(" ")[2] in child.values]
    deletes = [each for each in other.sent if each.verb == "DELETE"]
    return next(((item, each) for each in deletes for item in items if item in each.changes), None)


def parent_referenced(seen: Observed) -> Cause | None:
    """A DELETE of a row to which a row refers that came after the look for such rows."""
    actor = seen.raised
    for _, failed in seen.of(actor)[-1:]:
        if failed.error != NO_PARENT or failed.verb != "DELETE":
            continue
        for other in seen.others(actor):
            inserts = [each for each in other.sent if each.is_insert and each.answered < failed.answered]
            for insert in inserts if other.end < failed.answered else ():
                looks = _looks_at(seen, actor, written_table(insert.text))
                looks = (each for each in looks if failed.values <= each.values & insert.values)
                if look := next((each for each in looks if each.answered < other.end), None):
                    return _child_came(look, insert, other, failed)
    return None


def _looks_at(seen: Observed, actor: str, table: str) -> Iterator[Sent]:
    """What an actor sent to look for rows of a table."""
    return (each for _, each in seen.of(actor) if each.verb == "SELECT" and table in tables_of(each.text))


def _child_came(look: Sent, insert: Sent, other: Unit, failed: Sent) -> Cause:
    table = written_table(insert.text)
    return Cause(
        "check-then-delete of a parent",
        f"{failed.actor} looked for rows of {table} (#{look.answered}), {other.actor} inserted one "
        f"(#{insert.answered}) and committed (#{other.end}), and the DELETE of {failed.actor} was refused for a row "
        f"that refers to it (#{failed.answered}, SQLSTATE {NO_PARENT})",
        tuple(sorted({look.answered, insert.answered, failed.answered})),
        "lock the parent FOR UPDATE before its children are looked for, or let the foreign key cascade",
    )
