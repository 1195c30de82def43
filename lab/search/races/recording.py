"""Records what tests ask of applications: through httpx's ASGITransport, Starlette's TestClient, and actions.

A test runs as it does without the lab, but that its connections lead to the lab's server. Before each request the
database is read, which is the state that its races begin with; after it, which tables its statements named.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import asyncpg
from sqlalchemy import Engine, event

from lab.engine.replaced import replaced
from lab.errors import ScenarioError, first_line
from lab.postgres.recording.described import described
from lab.postgres.server.server import Server
from lab.search.races.actions import Action, Actions
from lab.search.races.calls import call_of, told, unflushed, watching
from lab.search.races.keeping import flush
from lab.search.races.leading import ADMIN, Leading
from lab.search.races.named import touched_by
from lab.search.races.overrides import carrier, shared_sessions
from lab.search.races.sent import Recording, Request, Sent
from lab.search.races.states import State, States, read_over
from lab.search.races.touched import Touched

__all__ = ["Recorder"]

_TEST_CLIENT = "starlette.testclient"
_ANSWER_KEPT = 2000
Left = Callable[[], bool]
"""Whether a request left tasks behind that still run."""
_UNFINISHED = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
_request: ContextVar[list[str] | None] = ContextVar("lab_recorded_request", default=None)
"""The statements of the request or call that runs."""


class Recorder:
    """Records the tests of a run. Its blocks are `on`, around all of them, and `test`, around each.

    Databases that tests ask for are made as copies of `begins_as`, a database to which nobody is connected.
    """

    def __init__(self, server: Server, begins_as: str = "") -> None:
        self._states = States(server)
        self._first = self._states.read_once(begins_as) if begins_as else None
        """What each database holds when it is made."""
        self._leading = Leading(server, self._opened, self._asked, begins_as)
        self._connections: WeakSet[asyncpg.Connection] = WeakSet()
        self._databases: dict[int, str] = {}
        """`id` of a connection -> its database."""
        self._current: Recording | None = None
        self._heard: list[list[str]] = []
        """The statements of each of its requests: a task that one left behind goes on to send some."""
        self._latest = ""
        """The database that was asked last."""

    def close(self) -> None:
        """Disconnect."""
        self._states.close()

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Lead connections, and watch clients, until the block ends."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._leading.on())
            if importlib.util.find_spec("httpx") is not None:  # an extra; who only calls actions needs none
                transport = importlib.import_module("httpx").ASGITransport
                asking = self._asynchronous(transport.handle_async_request)
                stack.enter_context(replaced(transport, "handle_async_request", asking))
            stack.enter_context(replaced(Actions, "called", staticmethod(self._called)))
            event.listen(Engine, "before_cursor_execute", _notes)
            stack.callback(event.remove, Engine, "before_cursor_execute", _notes)
            if _TEST_CLIENT in sys.modules:
                client = sys.modules[_TEST_CLIENT].TestClient
                stack.enter_context(replaced(client, "send", self._synchronous(client.send)))
                stack.enter_context(replaced(client, "__enter__", self._entering(client.__enter__)))
            yield

    @contextlib.contextmanager
    def test(self, name: str) -> Iterator[Recording]:
        """Record what is sent in the block."""
        self._current, self._heard = Recording(name), []
        try:
            yield self._current
        finally:
            sent = self._current.sent
            sent[:] = [_in_the_end(*each) for each in zip(sent, self._heard, strict=True)]
            self._current = None

    def _asked(self, database: str) -> None:
        """Until a connection of asyncpg is open, the database of other drivers is the best guess."""
        if not self._connections and database != ADMIN:
            self._latest = database

    def _opened(self, connection: asyncpg.Connection, database: str) -> None:
        self._connections.add(connection)
        self._databases[id(connection)] = self._latest = database

        def heard(record: Any) -> None:
            if (statements := _request.get()) is not None:
                self._latest = database
                statements.append(record.query)

        connection.add_query_logger(heard)

    # ------------------------------------------------------------------ clients

    def _asynchronous(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_async_request(transport: Any, request: Any) -> Any:
            if (recording := self._current) is None:
                return await real(transport, request)
            await request.aread()
            sent = _sent(recording, request, transport.app)
            sent = replace(sent, **await self._seen(), shared=await shared_sessions(sent.overrides))
            left = _left_behind()
            with _statements() as statements:
                try:
                    answer = await real(transport, request)
                    await answer.aread()
                except Exception as error:
                    await self._add(recording, replace(sent, status=500, error=first_line(error)), statements, left)
                    raise
            await self._add(recording, _answered(sent, answer), statements, left)
            return answer

        return handle_async_request

    def _synchronous(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def send(client: Any, request: Any, **named: Any) -> Any:
            if (recording := self._current) is None:
                return real(client, request, **named)
            request.read()
            sent = replace(_sent(recording, request, client.app), **self._committed())
            with _statements() as statements:
                try:
                    answer = real(client, request, **named)
                    answer.read()
                except Exception as error:
                    self._add_at_once(recording, replace(sent, status=500, error=first_line(error)), statements)
                    raise
            self._add_at_once(recording, _answered(sent, answer), statements)
            return answer

        return send

    async def _called(self, action: Action, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """A call of an action; one that another one makes is part of that."""
        if (recording := self._current) is None or _request.get() is not None:
            return await action.function(*arguments, **named)
        await flush([action.receiver, *arguments, *named.values()])
        call = call_of(recording.test, action, arguments, named)
        if not call.trouble:
            call = replace(call, **await self._seen())
        left = _left_behind()
        with _statements() as statements, watching(call) as ended:
            try:
                value = await action.function(*arguments, **named)
            except Exception as error:
                raised: dict[str, Any] = {
                    "raised": type(error).__name__,
                    "error": first_line(error),
                    "ends": frozenset(ended),
                }
                await self._add(recording, replace(call, **raised), statements, left)
                raise
            statements.extend(unflushed(call))
        answer = described(value, lambda kind: None)[:_ANSWER_KEPT]
        call = replace(call, answer=answer, tells=told(value), ends=frozenset(ended))
        await self._add(recording, call, statements, left)
        return value

    def _entering(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def enter(client: Any) -> Any:
            if self._current is not None:
                self._current.lifespan = True
            return real(client)

        return enter

    async def _add(self, recording: Recording, sent: Sent, statements: list[str], left: Left) -> None:
        """What was asked, with its answer and what it touched; tasks that it left behind may touch anything."""
        sent = _numbered(recording, sent, statements)
        if left():
            sent = replace(sent, touched=replace(sent.touched, more=True))
        if sent.touched.only_reads:
            sent = _compared(sent, await self._seen())
        self._heard.append(statements)
        recording.sent.append(sent)

    def _add_at_once(self, recording: Recording, sent: Sent, statements: list[str]) -> None:
        """The same where nobody can wait."""
        sent = _numbered(recording, sent, statements)
        self._heard.append(statements)
        recording.sent.append(_compared(sent, self._committed()) if sent.touched.only_reads else sent)

    # ------------------------------------------------------------------ the database before a request

    async def _seen(self) -> dict[str, Any]:
        """State, or trouble, as fields of `Sent`, also where a transaction of the test's own is open."""
        writing = []
        for each in [each for each in self._connections if not each.is_closed() and each.is_in_transaction()]:
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, RuntimeError):
                if await each.fetchval(_UNFINISHED):
                    writing.append(each)
        if not writing:
            return self._committed()
        if len(writing) > 1:
            return {"trouble": "several transactions of the test were open when it was sent; commit them before"}
        try:
            database = self._databases[id(writing[0])]
            return {"state": await read_over(writing[0], database, uncommitted=True)}
        except (asyncpg.PostgresError, asyncpg.InterfaceError, RuntimeError, ScenarioError) as error:
            return {"trouble": f"the rows before it cannot be read: {first_line(error)}"}

    def _committed(self) -> dict[str, Any]:
        if not self._latest and self._first is not None:
            return {"state": self._first}
        if not self._latest:
            return {"trouble": "nothing had opened a connection with asyncpg when it was sent"}
        try:
            state: State = self._states.read(self._latest)
        except ScenarioError as error:
            return {"trouble": str(error)}
        return {"state": state}


@contextlib.contextmanager
def _statements() -> Iterator[list[str]]:
    """What the request of the block sends to a server; its tasks and threads inherit the list."""
    heard: list[str] = []
    token = _request.set(heard)
    try:
        yield heard
    finally:
        _request.reset(token)


def _left_behind() -> Left:
    """What tells later whether tasks that begin from now on still run."""
    try:
        before = asyncio.all_tasks()
    except RuntimeError:  # an event loop of another kind
        return lambda: False
    return lambda: any(not each.done() for each in asyncio.all_tasks() - before)


def _in_the_end(sent: Sent, statements: list[str]) -> Sent:
    """With the tables of what its tasks sent behind its answer as well."""
    if sent.state is None:
        return sent
    touched = touched_by(statements, sent.state)
    return replace(sent, touched=replace(touched, more=touched.more or sent.touched.more))


def _numbered(recording: Recording, sent: Sent, statements: list[str]) -> Sent:
    """With its place in the test, and the tables that its statements named."""
    touched = Touched() if sent.state is None else touched_by(statements, sent.state)
    return replace(sent, touched=touched, number=len(recording.sent) + 1)


def _compared(sent: Sent, after: Mapping[str, Any]) -> Sent:
    """What was heard of it only reads: COPY, and what another driver sends, are not heard, but change rows."""
    return replace(sent, touched=replace(sent.touched, more=after.get("state") != sent.state))


def _notes(connection: Any, cursor: Any, statement: str, *_: object) -> None:
    """SQLAlchemy's event: asyncpg's own logger is not told of prepared statements."""
    if (statements := _request.get()) is not None:
        statements.append(statement)


def _sent(recording: Recording, request: Any, app: Any) -> Request:
    return Request(
        test=recording.test,
        method=request.method,
        url=str(request.url),
        headers=tuple(request.headers.multi_items()),
        content=request.content,
        app=app,
        lifespan=recording.lifespan,
        overrides=dict(getattr(carrier(app), "dependency_overrides", {})),
    )


def _answered(sent: Request, answer: Any) -> Request:
    return replace(sent, status=answer.status_code, answer=answer.text[:_ANSWER_KEPT])
