"""Connections that the engine can see: what is under way on them, what they wait for, what they answered.

Statements park in SQLAlchemy's engine events (`watch`), where they are the statements that the user wrote; those that
are given to asyncpg itself park in `Wire`. What
happens on the wire is seen one layer below, because only there an operation has a beginning and an end: SQLAlchemy
has no event after a COMMIT, nor around the fetches of a streamed result. Every operation of an asyncpg connection
goes through the coroutine methods of its protocol object, so a connection class of our own, which asyncpg's
`connection_class` allows, puts `Wire` in front of it. That the protocol is an attribute named `_protocol` is
private to asyncpg; a contract test fails if that ever changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import asyncpg

from lab.engine.flight import Flight
from lab.engine.gate import Actor, current_actor
from lab.engine.hearing import hear
from lab.model.trace import Result, Taken
from lab.postgres.connections.heard import heard
from lab.postgres.connections.journal import Journal, Line
from lab.postgres.connections.leftovers import Leftovers
from lab.postgres.connections.lock_timeout import read_as_lock_timeout
from lab.postgres.connections.notified import Notified
from lab.postgres.connections.ping import Ping
from lab.postgres.connections.points import announced_by_driver
from lab.postgres.connections.refusing import refuse
from lab.postgres.connections.uses import Uses
from lab.postgres.connections.wire import Wire
from lab.postgres.locks.freeze import ServerProcess
from lab.postgres.locks.names import readable
from lab.postgres.statements.held import HeldRows
from lab.postgres.statements.shapes import Relations
from lab.postgres.statements.transaction import TransactionFootprint

__all__ = ["LabConnection"]

_OWN_ROLE = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE;"
"""Before all else: another role may not reset what the lab has set, and resetting all does not reset the role."""
_ISOLATE = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}"


class LabConnection(Notified):
    """An asyncpg connection whose operations the engine sees."""

    _protocol = vars(asyncpg.Connection)["_protocol"]
    """The attribute of asyncpg's, also while something else stands there for connections that are not the lab's."""

    def __init__(self, protocol: Any, *args: Any) -> None:
        super().__init__(protocol, *args)
        self.process = ServerProcess(protocol.get_server_pid(), may_freeze=False)
        self.schema = ""
        """Where tables are that it names without a schema, where databases are told apart; "" for the first."""
        self.isolation = ""
        """The default isolation level that was last set on this session, "" for that of its first moment."""
        self.notices_pauses = False
        """Its settings make it notice when a statement pauses, so none is paused."""
        self.relations: MutableMapping[int, str] = {}  # names of tables and indexes of this database, by object id
        self.catalog = Relations()
        """What the catalog says of what statements touch; replaced by that of the database."""
        self.level = ""  # the isolation level of the transaction that is open, or was last
        self.transaction_footprint = TransactionFootprint()
        self.journal = Journal()
        """Records what is sent and answered here; replaced by that of the database."""
        self.line = Line()
        self.uses = Uses()
        """Where it is noticed who uses it; replaced by that of the database."""
        self.in_use = False
        """It is set up for whoever has it now; what it answers before that is not part of a step."""
        self.announced = False  # the statement that comes next on the wire has parked already
        self.taken: Taken | None = None  # how, if no statement was sent since
        self.asks = False  # asyncpg asks what it must know of a type
        self.ping = Ping()
        self.levels: Callable[[str | None], str] | None = None
        """Name of a root actor -> the level of its transactions, where no pool of SQLAlchemy's hands this one out."""
        self.notices: Callable[[str, int, str], None] = lambda actor, pid, statement: None
        """Called with an actor, its backend and the statement that it is about to give to the driver itself."""
        self.adapted: Any = None  # what SQLAlchemy's dialect wraps this in, if it does
        self.left = Leftovers(self)  # what former executions left in the session
        self._savepoints = 0
        self._raw = protocol
        self._wire = self._protocol = Wire(protocol, self)
        self.lock_times_out: asyncio.Event | None = None  # its statement is cancelled for that; set at its end
        self.waits_for_a_transaction: object | None = None
        """The message that said so, of the statement that is under way or was last."""
        self.add_log_listener(heard)

    async def isolate(self, level: str) -> None:
        """Make `level` the default of this session's transactions, and record what it writes if that is wanted.

        Part of setting the connection up: `in_use` is false meanwhile.
        """
        await self.quietly(f"{_ISOLATE.format(level)}; {self.journal.setting}")
        self.isolation, self.left.records = level, self.journal.open

    def get_reset_query(self) -> str:
        """asyncpg's, and what it would forget: the isolation level of this session, and whether it is recorded."""
        again = f"{_ISOLATE.format(self.isolation)};" if self.isolation else ""
        return f"{super().get_reset_query()} {again} {self.journal.setting}"

    async def reset(self, *, timeout: float | None = None) -> None:
        """What a pool of asyncpg's does with a connection that comes back; it takes all listeners away."""
        await super().reset(timeout=timeout)
        self.add_log_listener(heard)

    def _on_release(self, stacklevel: int = 1) -> None:
        """Before a pool of asyncpg's looks whether somebody still listens; `reset` comes after it."""
        self.remove_log_listener(heard)
        super()._on_release(stacklevel + 1)

    async def suits(self, actor: Actor) -> None:
        """Give a session that lay in a pool of asyncpg's, or in a variable, the level of the actor that uses it."""
        if self.levels is None or self.transaction_open or self.isolation == (level := self.levels(actor.root.name)):
            return
        self.in_use = False
        await self.isolate(level)
        self.in_use = True

    async def forget_session_state(self, *, tidy: bool = False) -> None:
        """Give up advisory locks, settings, cursors, sequences' values, temporary tables and prepared statements.

        The isolation level stays. Where all was `tidy`, there is nothing but what sequences gave, and that has time.
        """
        self.notices_pauses = self.announced = False
        self.line, self._savepoints = Line(), 0
        self._listeners.clear()  # the server forgets them with the next line
        if tidy and self.left.keep(records=self.journal.open):
            return
        await self.quietly(f"{_OWN_ROLE} {self.get_reset_query()} {self.left.forget(records=self.journal.open)}")

    def cut(self) -> None:
        """Break the connection on this side, without a farewell."""
        self._transport.abort()

    async def quietly(self, script: str) -> None:
        """Send what is the lab's own doing."""
        if self.is_closed():
            raise asyncpg.InterfaceError("connection is closed")
        await self._wire.quietly(script)

    async def _get_statement(self, query: str, timeout: Any, **named: Any) -> Any:
        """Behind all that prepares. Private, hence a contract test."""
        if not self.asks:
            await self._wire.settled(self.left.before(query))
            if (kept := self.left.again(query, **named)) is not None:
                return kept
        statement = await super()._get_statement(query, timeout, **named)
        self.left.prepared.known.append(statement)
        return statement

    def _drop_local_statement_cache(self) -> None:
        """A codec was changed, or the schema. Private, hence a contract test."""
        self.left.prepared.stale = True
        super()._drop_local_statement_cache()

    def is_driven(self, text: str) -> bool:
        """Whether a statement on the wire is one that somebody gave to asyncpg itself.

        Not before the connection is set up, nor what asyncpg sends for itself: a ping, a reset.
        """
        if self.announced or self.asks or not self.in_use:
            return False
        return bool(text.strip(" ;\n")) and text != self.get_reset_query()

    async def _execute(self, query: str, args: Any, *more: Any, **named: Any) -> Any:
        """Behind `fetch` and its kind; parks before anything is prepared. Private, hence a contract test."""
        return await self._driven(super()._execute, query, args, *more, **named)

    async def _executemany(self, query: str, args: Any, *more: Any, **named: Any) -> Any:
        """Behind `executemany`, and `fetchmany`."""
        if current_actor() is not None and self.is_driven(query):
            args = list(args)
        return await self._driven(super()._executemany, query, args, *more, several=True, **named)

    async def _driven(
        self,
        operation: Callable[..., Awaitable[Any]],
        query: str,
        args: Any,
        *more: Any,
        several: bool = False,
        **named: Any,
    ) -> Any:
        actor = current_actor()
        if actor is None or not self.is_driven(query):
            return await operation(query, args, *more, **named)
        with self.uses.of(self):
            await announced_by_driver(self, actor, query, args, several=several)
            try:
                return await operation(query, args, *more, **named)
            finally:
                self.announced = False

    async def _introspect_types(self, *args: Any) -> Any:
        with self._asking():
            return await super()._introspect_types(*args)

    async def _introspect_type(self, *args: Any) -> Any:
        with self._asking():
            return await super()._introspect_type(*args)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        before, self.asks = self.asks, True
        try:
            yield
        finally:
            self.asks = before

    def _get_unique_id(self, prefix: str) -> str:
        """Count by connection: asyncpg counts all names of a process; those of savepoints stand in traces."""
        if prefix != "savepoint":
            return str(super()._get_unique_id(prefix))
        self._savepoints += 1
        return f"savepoint_{self._savepoints}"

    def _cleanup(self) -> None:
        """asyncpg's, for a connection that was closed in whatever way. Private there, hence a contract test."""
        if (actor := current_actor()) is not None:
            actor.execution.leaves(self.process)
        self.process.thaw()
        self.journal.refused(self.line)
        self.journal.ended(self.line, 0, committed=False)
        super()._cleanup()

    @property
    def transaction_open(self) -> bool:
        """Whether a transaction is open here. asyncpg's own question fails on a connection that was closed."""
        return not self.is_closed() and self.is_in_transaction()

    def reports(self, message: Any) -> None:
        """Its statement waits for a lock. A method, since a pool of asyncpg's puts another object in its place."""
        self.waits_for_a_transaction = message if " on transaction " in message.message else None

    @property
    def pid(self) -> int:
        """Process id of its server process."""
        return self.process.pid

    @property
    def held(self) -> HeldRows:
        """What its open transaction is known to have locked."""
        return self.transaction_footprint.held

    @property
    def busy_for(self) -> Actor | None:
        """The actor whose operation is under way here."""
        return self._waiting_for

    def answers(self, actor: Actor, result: Result) -> None:
        """Hand an answer on to the step of an actor."""
        if self.in_use:
            self.journal.commanded(result.tag)
            self.held.answered(result.tag)
            actor.execution.answered(actor, result)
            hear(result)

    async def during(self, actor: Actor, operation: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        """Run one operation as the flight of an actor, and hold its answer back if the engine says so."""
        if self.in_use:  # opening it is no work of the actor: whether one is open already depends on former executions
            actor.execution.serves(self.process, actor)
        outer, self._waiting_for, self.waits_for_a_transaction = self._waiting_for, actor, None
        try:
            with Flight(actor, self.process):
                if (refused := actor.refused) is not None:
                    actor.refused = None
                    await refuse(self._raw, refused, args)
                answer = await operation(*args, **named)
        except asyncio.CancelledError:
            self.announced = self.journal.tidy = False
            self.process.interrupt_if_frozen()
            raise
        except Exception as error:
            self.announced = False
            self.held.forget()  # an error gives locks back
            if self.lock_times_out is not None:
                read_as_lock_timeout(error, self.lock_times_out)
                self.lock_times_out = None
            self.left.failed(error)
            self.journal.refused(self.line)
            if detail := getattr(error, "detail", None):
                error.detail = readable(detail, self.relations)  # type: ignore[attr-defined]
            if isinstance(error, asyncpg.DeadlockDetectedError) and error.detail:  # none where a fault refused it
                actor.execution.refused(error.detail)
            await actor.hold()
            self.answers(actor, Result(error=getattr(error, "sqlstate", None) or type(error).__name__))
            raise
        finally:
            self._waiting_for = outer
            if self._notified:
                self.hand_on()
        if actor.is_taken_for_waiting:
            await actor.hold()
        return answer
