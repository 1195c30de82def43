"""A row was read, changed by somebody else, and then written as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.checkers.causes.grammar import asked_columns, assigned, computes, locks
from lab.checkers.causes.observed import Observed, Sent, Unit
from lab.model.cause import Cause

__all__ = ["overtaken"]


@dataclass(frozen=True, slots=True)
class _Overtaken:
    """`look` read a row, `theirs` changed it and was committed, `write` wrote it. `again` read it under a lock."""

    item: str
    reader: Unit
    look: Sent
    writer: Unit
    write: Sent
    other: Unit
    theirs: Sent
    again: Sent | None = None


def overtaken(seen: Observed) -> Cause | None:
    """Read-modify-write, a check before an UPDATE, a stale object after a lock or in a retry, two transactions."""
    found = sorted(_overtaken(seen), key=lambda each: (each.reader is not each.writer, each.write.answered))
    return next(map(_cause, found), None)


def _overtaken(seen: Observed) -> Iterator[_Overtaken]:
    for writer, write in seen.sent:
        if not writer.committed or write.verb not in ("UPDATE", "DELETE") or write.error or _is_checked(write):
            continue
        for item in dict.fromkeys(write.changes):
            yield from _of(seen, item, writer, write)


def _is_checked(write: Sent) -> bool:
    """Whether its condition asks for what it changes, as a version check does."""
    return bool(assigned(write.text) & asked_columns(write.text))


def _of(seen: Observed, item: str, writer: Unit, write: Sent) -> Iterator[_Overtaken]:
    mine = [(unit, each) for unit, each in seen.of(writer.actor) if each.answered < write.number]
    if any(item in each.changes and unit.committed for unit, each in mine):
        return
    looks = [(unit, each) for unit, each in mine if (item, False) in each.looks]
    if not looks:
        return
    again = None
    if len(looks) > 1 and looks[-1][0] is writer is looks[-2][0] and locks(looks[-1][1].text):
        again = looks.pop()[1]
        if computes(write.text):
            return
    reader, look = looks[-1]
    for other in seen.others(writer.actor):
        theirs = other.changed(item)
        until = again if again is not None else write
        if theirs is not None and look.answered < other.end < until.answered and theirs.verb != "INSERT":
            yield _Overtaken(item, reader, look, writer, write, other, theirs, again)
            return


def _cause(each: _Overtaken) -> Cause:
    if each.reader is not each.writer:
        return _apart(each)
    if each.again is not None:
        return _stale(each)
    columns, others = assigned(each.write.text), assigned(each.theirs.text)
    lost = not computes(each.write.text) and (columns & others or each.theirs.verb == "DELETE")
    return _read_modify_write(each) if lost else _check_then_update(each)


def _steps(*sent: Sent) -> tuple[int, ...]:
    return tuple(sorted({each.answered for each in sent}))


def _between(each: _Overtaken) -> str:
    return f"{each.other.actor}'s change (#{each.theirs.answered}) had been committed between (#{each.other.end})"


def _did(write: Sent) -> str:
    return "deleted" if write.verb == "DELETE" else "wrote"


def _read_modify_write(each: _Overtaken) -> Cause:
    actor, read, wrote = each.look.actor, each.look.answered, each.write.answered
    return Cause(
        "read-modify-write",
        f"{actor} read {each.item} (#{read}) and wrote it without reading it again (#{wrote}), while {_between(each)}",
        _steps(each.look, each.theirs, each.write),
        "read the row with SELECT … FOR UPDATE, or let the UPDATE compute the value (SET n = n + …), or put what was "
        "read into its WHERE and look at the row count",
    )


def _check_then_update(each: _Overtaken) -> Cause:
    actor, read, wrote = each.look.actor, each.look.answered, each.write.answered
    return Cause(
        "check-then-update",
        f"{actor} read {each.item} (#{read}) and {_did(each.write)} it later (#{wrote}), while {_between(each)}: what "
        "it had read was no longer so",
        _steps(each.look, each.theirs, each.write),
        f"put the check into the WHERE of the {each.write.verb} and look at the row count, or read the row with "
        "SELECT … FOR UPDATE",
    )


def _stale(each: _Overtaken) -> Cause:
    assert each.again is not None
    actor = each.look.actor
    return Cause(
        "stale object after a lock",
        f"{actor} read {each.item} (#{each.look.answered}) before it locked it (#{each.again.answered}) and wrote it "
        f"(#{each.write.answered}), while {_between(each)}",
        _steps(each.look, each.theirs, each.again, each.write),
        "lock with the first read, or decide by what the locking SELECT returns; for an object that the ORM has loaded "
        "before, that takes execution_options(populate_existing=True)",
    )


def _apart(each: _Overtaken) -> Cause:
    actor, read, wrote = each.look.actor, each.look.answered, each.write.answered
    steps = _steps(each.look, each.theirs, each.write)
    if each.reader.refused:
        return Cause(
            "retry with stale objects",
            f"{actor} read {each.item} (#{read}) in a transaction that was refused, and wrote it in the next attempt "
            f"(#{wrote}) without reading it again, while {_between(each)}",
            steps,
            "let each attempt begin with a new session and read everything again; a rollback expires the session's "
            "objects, not detached ones or values in variables",
        )
    return Cause(
        "two transactions where one is meant",
        f"{actor} read {each.item} (#{read}) in a transaction that ended (#{each.reader.end}), and {_did(each.write)} "
        f"it in another (#{wrote}), while {_between(each)}",
        steps,
        "read with SELECT … FOR UPDATE in the transaction that writes, or put what was read into the WHERE of the "
        "write and look at the row count",
    )
