"""Scheduling points of statements that an actor gives to the driver itself, and words of SQL that mean one.

`watch` parks a statement of SQLAlchemy's before it reaches the driver, and says so on the connection (`announced`).
What reaches the wire without that was given to asyncpg directly: `fetch`, `executemany`, a COPY, a cursor. It parks
here, by its text, which is never understood and so depends on everything.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lab.engine.gate import Actor, State
from lab.engine.ports import HELD
from lab.model.comments import AHEAD, BEHIND
from lab.model.footprint import Deferred
from lab.model.text import reprs
from lab.model.trace import Action, ActionKind
from lab.postgres.connections.unconnected import raise_if_unconnected
from lab.postgres.statements.footprints import footprint_of
from lab.postgres.statements.met import Met

__all__ = [
    "SAVEPOINT",
    "SAVEPOINT_KINDS",
    "announced_by_driver",
    "begins",
    "commits_within",
    "ends_of",
    "pausable",
    "sets_a_timer",
    "texts",
]

SAVEPOINT = re.compile(rf"{AHEAD}(SAVEPOINT|RELEASE|ROLLBACK TO)\s+(?:SAVEPOINT\s+)?([^\s;]+){BEHIND}", re.IGNORECASE)
"""SQLAlchemy sends these as statements like any other, so its events for them would be a second point each."""
SAVEPOINT_KINDS = {
    "SAVEPOINT": ActionKind.SAVEPOINT,
    "RELEASE": ActionKind.RELEASE,
    "ROLLBACK TO": ActionKind.ROLLBACK_TO,
}
_NOTICED = ("timeout", "serializable")
"""In a statement: the session sets itself up so that it would notice a pause between two rows."""
_ENDS = {"COMMIT;": ActionKind.COMMIT, "ROLLBACK;": ActionKind.ROLLBACK}
"""How asyncpg ends a transaction. An actor parks here and not in SQLAlchemy's events for it: SQLAlchemy sends those
before its clean-up begins, so a cancellation that strikes in one would leave the session's transaction open."""
_WRITTEN_END = re.compile(rf"{AHEAD}(COMMIT|END|ROLLBACK|ABORT)(\s+(WORK|TRANSACTION))?{BEHIND}", re.IGNORECASE)
_BEGIN = re.compile(rf"{AHEAD}(?:BEGIN|START\s+TRANSACTION)\b([^;]*){BEHIND}", re.IGNORECASE)
_LEVEL = re.compile(r"ISOLATION\s+LEVEL\s+(SERIALIZABLE|REPEATABLE\s+READ|READ\s+\w+)", re.IGNORECASE)


@lru_cache(maxsize=2000)
def ends_of(query: str) -> ActionKind | None:
    """How a statement ends its transaction, None if it does not."""
    if (known := _ENDS.get(query)) is not None:
        return known
    found = _WRITTEN_END.match(query)
    if found is None:
        return None
    return ActionKind.COMMIT if found[1].upper() in ("COMMIT", "END") else ActionKind.ROLLBACK


@lru_cache(maxsize=2000)
def commits_within(query: str) -> bool:
    """Whether it is several statements, of which one may be a COMMIT. Where none is, somebody looks for nothing."""
    return ";" in query.rstrip(" ;\n") and "COMMIT" in query.upper()


@lru_cache(maxsize=2000)
def begins(query: str) -> str | None:
    """The level that a BEGIN asks for, "" where it asks for none; None for any other statement."""
    found = _BEGIN.match(query)
    if found is None:
        return None
    level = _LEVEL.search(found[1])
    return "" if level is None else " ".join(level[1].upper().split())


@lru_cache(maxsize=2000)
def sets_a_timer(statement: str) -> bool:
    """Whether a session that has executed it may notice a pause."""
    lowered = statement.lower()
    return any(word in lowered for word in _NOTICED)


def pausable(connection: Any, level: str, text: str, parameters: Any) -> object | None:
    """The rows between which a statement can be paused that is not understood, but was seen before.

    `HELD` where its transaction has the first of them.
    """
    if connection.notices_pauses or "SERIALIZABLE" in (level, connection.isolation):
        return None
    met: Met | None = connection.catalog.rows_of(text, parameters)
    return HELD if met is not None and connection.transaction_footprint.held.has(met.rows[0]) else met


def texts(parameters: Any, *, several: bool) -> tuple[object, ...]:
    """The values of a statement; of one that is executed for several sets of them, each set's."""
    if not parameters:
        return ()
    if several:
        return tuple(map(reprs, parameters))
    return reprs(parameters)


async def announced_by_driver(
    connection: Any, actor: Actor, text: str, parameters: Sequence[Any] = (), *, several: bool = False
) -> None:
    """Park the actor before a statement that SQLAlchemy has not announced.

    Not in a task of the driver's own, which opens or resets a connection for an actor: that is no step.
    """
    if asyncio.current_task() not in (None, actor.task) or actor.state not in (State.RUNNING, State.STALLED):
        return
    await connection.suits(actor)
    if not connection.transaction_open:
        connection.transaction_footprint.begins()
        connection.level = connection.isolation
    connection.notices(actor.root.name, connection.process.pid, text)
    connection.notices_pauses |= sets_a_timer(text)
    found, taken = SAVEPOINT.match(text), connection.taken
    touches: Deferred | None = None
    met: object | None = None
    if found is None:
        met = pausable(connection, connection.level, text, parameters)
        touches = connection.transaction_footprint.statement(
            footprint_of(None, {}),
            connection.level,
            "" if connection.journal.altered else text,
            connection.catalog,
            connection.process.pid,
        )
        action = Action(
            ActionKind.STATEMENT, text, texts(parameters, several=several), touches, connection.schema, taken
        )
    else:
        kind = SAVEPOINT_KINDS[" ".join(found[1].upper().split())]
        if kind is not ActionKind.SAVEPOINT:
            touches = connection.transaction_footprint.end(connection.level, in_part=True)
        action = Action(kind, found[2], touches=touches, database=connection.schema, taken=taken)
    if (gate := actor.parks(action, met)) is not None:
        await actor.stay(gate)
    raise_if_unconnected(actor, connection, None)
    connection.announced, connection.taken = True, None
    if not connection.journal.open:
        return
    if found is None:
        connection.journal.sends(connection.line, None, text, parameters, connection.schema)
    else:
        connection.journal.marks(connection.line, action.kind, found[2])
