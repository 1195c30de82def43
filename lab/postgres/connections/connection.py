"""Connections that the engine can see: what is under way on them, what they wait for, what they answered.

Statements park in SQLAlchemy's engine events (`watch`), where they are the statements that the user wrote. What
happens on the wire is seen one layer below, because only there an operation has a beginning and an end: SQLAlchemy
has no event after a COMMIT, nor around the fetches of a streamed result. Every operation of an asyncpg connection
goes through the coroutine methods of its protocol object, so a connection class of our own, which asyncpg's
`connection_class` allows, puts `Wire` in front of it. That the protocol is an attribute named `_protocol` is
private to asyncpg; a contract test fails if that ever changes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import asyncpg

from lab.engine.gate import Actor, arrive, current_actor
from lab.model.trace import Action, ActionKind, Result
from lab.postgres.connections.journal import Journal, Line
from lab.postgres.connections.triggers import ALTERED, WRITTEN
from lab.postgres.locks.freeze import ServerProcess
from lab.postgres.locks.names import readable, wait_of
from lab.postgres.statements.footprints import TransactionFootprint

__all__ = ["ACTOR_SETTINGS", "PRIVILEGED_SETTINGS", "LabConnection"]

ACTOR_SETTINGS = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_custom_plan",
    "synchronize_seqscans": "off",
    "timezone": "UTC",
    "application_name": "concurrency-lab actor",
}
"""Settings of an actor's connection that keep plans and scans the same in every run of a schedule."""

PRIVILEGED_SETTINGS = {
    "deadlock_timeout": "1ms",
    "log_lock_waits": "on",
    "client_min_messages": "log",
    "log_min_messages": "fatal",
    "lc_messages": "C",
}
"""Settings that make a backend report each lock wait to its own client, right after its one deadlock check.
All but `client_min_messages` need a superuser or GRANT SET ON PARAMETER."""

_OWN_ROLE = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE;"
"""Before all else: another role may not reset what the lab has set, and resetting all does not reset the role."""
_ISOLATE = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}"

_ENDS = {"COMMIT;": ActionKind.COMMIT, "ROLLBACK;": ActionKind.ROLLBACK}
"""How asyncpg ends a transaction. An actor parks here and not in SQLAlchemy's events for it: SQLAlchemy sends those
before its clean-up begins, so a cancellation that strikes in one would leave the session's transaction open."""

ROWS_KEPT = 20
"""Rows of a result that a trace keeps; more would make traces of bulk reads heavy."""


class LabConnection(asyncpg.Connection):  # type: ignore[misc]
    """An asyncpg connection whose operations the engine sees."""

    def __init__(self, protocol: Any, *args: Any) -> None:
        super().__init__(protocol, *args)
        self.process = ServerProcess(protocol.get_server_pid(), may_freeze=False)
        self.isolation = ""
        """The default isolation level that was last set on this session, "" for that of its first moment."""
        self.notices_pauses = False
        """Its settings make it notice when a statement pauses, so none is paused."""
        self.relations: MutableMapping[int, str] = {}
        """Names of the tables and indexes of this database, by object id."""
        self.level = ""
        """The isolation level of the transaction that is open, or was last."""
        self.transaction_footprint = TransactionFootprint()
        self.journal = Journal()
        """Records what is sent and answered here; replaced by that of the database."""
        self.line = Line()
        self.in_use = False
        """It is set up for whoever has it now; what it answers before that is not part of a step."""
        self._protocol = Wire(protocol, self)
        self._waiting_for: Actor | None = None
        self.add_log_listener(_heard)

    @property
    def socket(self) -> Any:
        """The socket to the server."""
        return self._transport.get_extra_info("socket")

    async def isolate(self, level: str) -> None:
        """Make `level` the default of this session's transactions, and record what it writes if that is wanted.

        Part of setting the connection up: `in_use` is false meanwhile.
        """
        await self.execute(f"{_ISOLATE.format(level)}; {self.journal.setting}")
        self.isolation = level

    async def forget_session_state(self) -> None:
        """Give up advisory locks, settings, cursors, sequences' values and temporary tables; the level stays."""
        self.notices_pauses = False
        self.line = Line()
        again = f"{_ISOLATE.format(self.isolation)};" if self.isolation else ""
        forget = f"{_OWN_ROLE} {self.get_reset_query()} DISCARD SEQUENCES; DISCARD TEMP;"
        await self.execute(f"{forget} {again} {self.journal.setting}")

    def _cleanup(self) -> None:
        """asyncpg's, for a connection that was closed in whatever way. Private there, hence a contract test."""
        if (actor := current_actor()) is not None:
            actor.execution.leaves(self.process)
        self.process.thaw()
        self.journal.refused(self.line)
        self.journal.ended(self.line, 0, committed=False)
        super()._cleanup()

    @property
    def busy_for(self) -> Actor | None:
        """The actor whose operation is under way here."""
        return self._waiting_for

    def answers(self, actor: Actor, result: Result) -> None:
        """Hand an answer on to the step of an actor."""
        if self.in_use:
            self.journal.commanded(result.tag)
            actor.execution.answered(actor, result)

    async def during(self, actor: Actor, operation: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        """Run one operation as the flight of an actor, and hold its answer back if the engine says so."""
        actor.execution.serves(self.process, actor)
        outer, self._waiting_for = self._waiting_for, actor
        try:
            with actor.flight(self.process):
                answer = await operation(*args, **named)
        except asyncio.CancelledError:
            self.process.interrupt_if_frozen()
            raise
        except Exception as error:
            self.journal.refused(self.line)
            if detail := getattr(error, "detail", None):
                error.detail = readable(detail, self.relations)  # type: ignore[attr-defined]
            if isinstance(error, asyncpg.DeadlockDetectedError):
                actor.execution.refused(error.detail or "")
            await actor.hold()
            self.answers(actor, Result(error=getattr(error, "sqlstate", None) or type(error).__name__))
            raise
        finally:
            self._waiting_for = outer
        if actor.is_taken_for_waiting:
            await actor.hold()
        return answer


class Wire:
    """Stands before an asyncpg protocol and reports each operation of an actor on it."""

    __slots__ = ("_connection", "_protocol", "get_settings", "is_connected", "is_in_transaction")

    def __init__(self, protocol: Any, connection: LabConnection) -> None:
        self._protocol = protocol
        self._connection = connection
        # asyncpg asks these several times a statement; all else goes through `__getattr__`.
        self.get_settings = protocol.get_settings
        self.is_connected = protocol.is_connected
        self.is_in_transaction = protocol.is_in_transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def query(self, query: str, timeout: Any) -> Any:
        actor = current_actor()
        if actor is None:
            return await self._protocol.query(query, timeout)
        journal = self._connection.journal
        if (ends := _ENDS.get(query)) is not None:
            connection = self._connection
            await arrive(Action(ends, touches=connection.transaction_footprint.end(connection.level)))
        committed = False
        try:
            status = await self._connection.during(actor, self._protocol.query, query, timeout)
            committed = status == "COMMIT"
        finally:
            if ends is not None:
                journal.ended(self._connection.line, actor.execution.step, committed=committed)
        if status != "BEGIN":
            self._connection.answers(actor, Result(tag=status or ""))
        elif journal.open:
            journal.began(self._connection.line, actor.name)
        return status

    async def prepare(self, *args: Any, **named: Any) -> Any:
        return await self._through(self._protocol.prepare, *args, **named)

    async def bind_execute(self, *args: Any, **named: Any) -> Any:
        actor = current_actor()
        if actor is None:
            return await self._protocol.bind_execute(*args, **named)
        answer = await self._connection.during(actor, self._protocol.bind_execute, *args, **named)
        rows, tag = (answer[0], answer[1].decode()) if isinstance(answer, tuple) else (answer, "")
        self._answered(actor, rows, tag)
        return answer

    def _answered(self, actor: Actor, rows: Any, tag: str) -> None:
        connection = self._connection
        connection.answers(actor, _result(rows, tag))
        if connection.journal.open:
            connection.journal.answered(connection.line, actor.name, connection.level, actor.execution.step, rows or ())

    async def execute(self, *args: Any, **named: Any) -> Any:
        """The next rows of a streamed result: a scheduling point, since it can lock and wait like any other."""
        actor = current_actor()
        if actor is None:
            return await self._protocol.execute(*args, **named)
        await arrive(Action(ActionKind.FETCH, str(args[2])))
        answer = await self._connection.during(actor, self._protocol.execute, *args, **named)
        rows = answer[0] if isinstance(answer, tuple) else answer
        self._answered(actor, rows, "FETCH")
        return answer

    async def bind_execute_many(self, *args: Any, **named: Any) -> Any:
        answer = await self._through(self._protocol.bind_execute_many, *args, **named)
        if (actor := current_actor()) is not None:
            self._answered(actor, answer, "executed for each row")
        return answer

    async def bind(self, *args: Any, **named: Any) -> Any:
        return await self._through(self._protocol.bind, *args, **named)

    async def copy_in(self, *args: Any, **named: Any) -> Any:
        return await self._through(self._protocol.copy_in, *args, **named)

    async def copy_out(self, *args: Any, **named: Any) -> Any:
        return await self._through(self._protocol.copy_out, *args, **named)

    async def close_statement(self, *args: Any, **named: Any) -> Any:
        return await self._through(self._protocol.close_statement, *args, **named)

    async def close_portal(self, *args: Any, **named: Any) -> Any:
        return await self._through(self._protocol.close_portal, *args, **named)

    async def close(self, timeout: Any) -> Any:
        return await self._through(self._protocol.close, timeout)

    async def _through(self, operation: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        actor = current_actor()
        if actor is None:
            return await operation(*args, **named)
        return await self._connection.during(actor, operation, *args, **named)


def _result(rows: Any, tag: str) -> Result:
    if not rows:
        return Result(tag=tag)
    kept = rows[:ROWS_KEPT]
    return Result(
        tag=tag,
        rows=tuple(tuple(map(repr, row.values())) for row in kept),
        columns=tuple(kept[0].keys()),
    )


def _heard(connection: Any, message: Any) -> None:
    """A log message from a backend; one of them says that its statement waits for a lock."""
    if message.message == WRITTEN:
        connection.line.written.append(message.detail)
        return
    if message.message == ALTERED:
        connection.journal.altered = True
        made = {int(number): name.removeprefix("public.") for number, name in json.loads(message.detail).items()}
        connection.relations.update(made)
        return
    actor = connection.busy_for
    if actor is None or "still waiting" not in message.message:
        return
    actor.waits(wait_of(message.message, getattr(message, "context", None) or "", connection.relations))
