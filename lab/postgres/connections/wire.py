"""What stands before the protocol of a connection: each operation of an actor begins and ends here."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from asyncpg import InFailedSQLTransactionError

from lab.engine.gate import Actor, arrive, current_actor
from lab.model.text import reprs
from lab.model.trace import Action, ActionKind, Result
from lab.postgres.connections.cut import broken_off
from lab.postgres.connections.joined import sends_later
from lab.postgres.connections.points import announced_by_driver, begins, commits_within, ends_of
from lab.postgres.statements.held import FOR_EACH

__all__ = ["Wire"]

ROWS_KEPT = 20
"""Rows of a result that a trace keeps; more would make traces of bulk reads heavy."""


def _used(operation: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """An operation in which an actor uses the connection, from before it parks until it is answered."""

    @wraps(operation)
    async def method(self: Wire, *args: Any, **named: Any) -> Any:
        if current_actor() is None:
            return await operation(self, *args, **named)
        with self._connection.uses.of(self._connection):
            return await operation(self, *args, **named)

    return method


class Wire:
    """Stands before an asyncpg protocol and reports each operation of an actor on it."""

    __slots__ = ("_connection", "_protocol", "get_settings", "is_connected", "is_in_transaction")

    def __init__(self, protocol: Any, connection: Any) -> None:
        self._protocol = protocol
        self._connection = connection
        # asyncpg asks these several times a statement; all else goes through `__getattr__`.
        self.get_settings = protocol.get_settings
        self.is_connected = protocol.is_connected
        self.is_in_transaction = protocol.is_in_transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    @_used
    async def query(self, query: str, timeout: Any) -> Any:
        """A statement without parameters, or several: also BEGIN, COMMIT, ROLLBACK and what asyncpg calls a reset."""
        actor, connection, level, ends = current_actor(), self._connection, begins(query), ends_of(query)
        if level is None and ends is None:
            await self.settled(connection.left.before(query))
        sent = query if level is None else connection.left.begin(query)
        if actor is None:
            return await self._sent_for_nobody(query, sent, timeout)
        if connection.ping.only(query, begins=level is not None, ends=ends):
            status = await connection.during(actor, self._protocol.query, sent, timeout)
            if ends is not None:
                connection.journal.ended(connection.line, actor.execution.step, committed=False)
            return status
        if level is not None and connection.announced and (begun := await self._begun_later(query, sent, timeout)):
            self._began(actor)
            return begun
        driven = level is None and ends is None and connection.is_driven(query)
        await self._before(actor, query, level, ends, driven=driven)
        committed = False
        try:
            query_of_driver = self._protocol.query if actor.cut is None or ends is None else self._cutting(actor)
            status = await connection.during(actor, query_of_driver, sent, timeout)
            committed = status == "COMMIT"
        finally:
            if ends is not None:
                connection.journal.ended(connection.line, actor.execution.step, committed=committed)
        if ends is not None or driven:
            self._commits(actor, status or "", within=commits_within(query))
        if driven:
            connection.announced = False
            self._answered(actor, (), status or "")
        elif level is None:
            connection.answers(actor, Result(tag=status or ""))
        else:
            self._began(actor)
        return status

    def _commits(self, actor: Actor, tag: str, *, within: bool = False) -> None:
        """An answer came: it is a COMMIT's where it says so, and where the statement was its own transaction."""
        ended = tag != "ROLLBACK" and not self.is_in_transaction()
        if self._connection.in_use and (ended or within or tag.startswith("COMMIT")):
            self._connection.journal.committed = actor.name

    def _cutting(self, actor: Actor) -> Callable[..., Awaitable[Any]]:
        """A query at which the connection breaks, as a fault has it."""
        cut, connection, step = actor.cut, self._connection, actor.execution.step
        assert cut is not None
        actor.cut = None

        def ended(committed: bool) -> None:
            connection.journal.ended(connection.line, step, committed=committed)
            if committed and connection.in_use:
                connection.journal.committed = actor.name  # whatever its client knows of it

        async def query(sent: str, timeout: Any) -> Any:
            try:
                return await broken_off(cut, self._protocol, connection._transport, ended, sent)  # noqa: SLF001 - asyncpg's
            finally:
                actor.execution.leaves(connection.process)

        return query

    def _began(self, actor: Actor) -> None:
        if self._connection.journal.open:
            self._connection.journal.began(self._connection.line, actor.name)

    async def _sent_for_nobody(self, query: str, sent: str, timeout: Any) -> Any:
        begun = "" if begins(query) is None else await self._begun_later(query, sent, timeout)
        return begun or await self._protocol.query(sent, timeout)

    async def _begun_later(self, query: str, sent: str, timeout: Any) -> str:
        """The tag of a BEGIN, `sent` in these words, that goes out with what comes next; "" for one that must go now.

        Not for an actor that opens a transaction itself: when it began shows in `now()`, and it may sleep meanwhile.
        """
        if timeout is not None or self.is_in_transaction() or not self.is_connected():
            return ""
        transport = self._connection._transport  # noqa: SLF001 - asyncpg's own
        return await sends_later(self._protocol, transport, query, script="" if sent == query else sent)

    async def quietly(self, script: str) -> None:
        """What the lab sends for itself, to set the connection up or to reset it."""
        await self._through(self._protocol.query, script, None)

    async def settled(self, script: str) -> None:
        """What the lab sends before a statement of somebody else's, if anything."""
        if not script:
            return
        actor = current_actor()
        failed = contextlib.suppress(InFailedSQLTransactionError)  # then what comes next fails as well
        with failed, contextlib.nullcontext() if actor is None else actor.busy():
            await self._protocol.query(script, None)

    async def _before(
        self, actor: Actor, query: str, level: str | None, ends: ActionKind | None, *, driven: bool
    ) -> None:
        connection = self._connection
        if ends is not None and connection.in_use:  # what SQLAlchemy does with a new connection is no step
            touches = connection.transaction_footprint.end(connection.level)
            await arrive(Action(ends, touches=touches, database=connection.schema))
        elif driven:
            await announced_by_driver(connection, actor, query)
        elif level is not None and not connection.announced:
            await connection.suits(actor)
            connection.transaction_footprint.begins()
            connection.level = level or connection.isolation

    async def prepare(self, *args: Any, **named: Any) -> Any:
        """No step of its own: the statement is one once it is executed."""
        return await self._through(self._protocol.prepare, *args, **named)

    @_used
    async def bind_execute(self, state: Any, args: Any, *more: Any, **named: Any) -> Any:
        """A statement with its parameters."""
        actor = current_actor()
        if actor is None:
            return await self._protocol.bind_execute(state, args, *more, **named)
        connection = self._connection
        if connection.asks:
            return await connection.during(actor, self._protocol.bind_execute, state, args, *more, **named)
        if connection.ping.only(state.query):
            return await connection.during(actor, self._protocol.bind_execute, state, args, *more, **named)
        await self._announced(actor, state.query, args)
        answer = await connection.during(actor, self._protocol.bind_execute, state, args, *more, **named)
        rows, tag = (answer[0], (answer[1] or b"").decode()) if isinstance(answer, tuple) else (answer, "")
        self._commits(actor, tag)
        self._answered(actor, rows, tag)
        return answer

    async def _announced(self, actor: Actor, text: str, parameters: Any = (), *, several: bool = False) -> None:
        """Park the actor, unless that was done for this statement."""
        connection = self._connection
        connection.ping.only(text)
        if connection.is_driven(text):
            await announced_by_driver(connection, actor, text, parameters, several=several)
        connection.announced = False

    def _answered(self, actor: Actor, rows: Any, tag: str) -> None:
        connection = self._connection
        connection.answers(actor, _result(rows, tag))
        if connection.journal.open:
            connection.journal.answered(connection.line, actor.name, connection.level, actor.execution.step, rows or ())

    @_used
    async def execute(self, *args: Any, **named: Any) -> Any:
        """The next rows of a streamed result: a scheduling point, since it can lock and wait like any other."""
        actor = current_actor()
        if actor is None:
            return await self._protocol.execute(*args, **named)
        await arrive(Action(ActionKind.FETCH, str(args[2]), database=self._connection.schema))
        answer = await self._connection.during(actor, self._protocol.execute, *args, **named)
        rows = answer[0] if isinstance(answer, tuple) else answer
        self._answered(actor, rows, "FETCH")
        return answer

    @_used
    async def bind_execute_many(self, state: Any, args: Any, *more: Any, **named: Any) -> Any:
        """A statement for several sets of parameters, in one go."""
        actor = current_actor()
        if actor is None:
            return await self._protocol.bind_execute_many(state, args, *more, **named)
        if self._connection.is_driven(state.query):
            args = list(args)
        await self._announced(actor, state.query, args, several=True)
        many = self._protocol.bind_execute_many
        answer = await self._connection.during(actor, many, state, args, *more, **named)
        self._commits(actor, "")
        self._answered(actor, answer, FOR_EACH)
        return answer

    @_used
    async def bind(self, state: Any, args: Any, *more: Any, **named: Any) -> Any:
        """A statement whose rows are fetched by and by is begun."""
        actor = current_actor()
        if actor is None:
            return await self._protocol.bind(state, args, *more, **named)
        await self._announced(actor, state.query, args)
        self._connection.transaction_footprint.held.forget()  # it locks as it is fetched
        return await self._connection.during(actor, self._protocol.bind, state, args, *more, **named)

    @_used
    async def copy_in(self, statement: str, *args: Any, **named: Any) -> Any:
        """COPY FROM."""
        return await self._copied(self._protocol.copy_in, statement, *args, **named)

    @_used
    async def copy_out(self, statement: str, *args: Any, **named: Any) -> Any:
        """COPY TO."""
        return await self._copied(self._protocol.copy_out, statement, *args, **named)

    async def _copied(self, copy: Callable[..., Awaitable[Any]], statement: str, *args: Any, **named: Any) -> Any:
        actor = current_actor()
        await self.settled(self._connection.left.before(statement))
        if actor is None:
            return await copy(statement, *args, **named)
        await self._announced(actor, statement)
        status = await self._connection.during(actor, copy, statement, *args, **named)
        self._commits(actor, "")
        self._answered(actor, (), str(status or ""))
        return status

    async def close_statement(self, *args: Any, **named: Any) -> Any:
        """A prepared statement is given up."""
        return await self._through(self._protocol.close_statement, *args, **named)

    async def close_portal(self, *args: Any, **named: Any) -> Any:
        """A cursor is given up."""
        return await self._through(self._protocol.close_portal, *args, **named)

    async def close(self, timeout: Any) -> Any:
        """The connection is closed. A pool of asyncpg's closes several at once, so there is no answer to hold back."""
        actor = current_actor()
        if actor is None:
            return await self._protocol.close(timeout)
        with actor.busy():
            return await self._protocol.close(timeout)

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
        rows=tuple(reprs(row.values()) for row in kept),
        columns=tuple(kept[0].keys()),
    )
