"""What the lab rests on and no library documents: the table of docs/architecture.md, held against code and libraries.

For each row a check asks the real object, made in the way the lab makes it: the running event loop, a connection on
the embedded server, the context of a statement that was executed. Three kinds of tests look after the checks
themselves: for each attribute one shows that its check fails when the attribute is gone, one that it fails when
something else stands under that name.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextvars
import importlib.metadata
import inspect
import platform
import random
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio._backends._asyncio
import anyio.to_thread
import asyncpg
import hypothesis.internal.conjecture.data
import pytest
from helpers.kit import Account, Base
from helpers.private import Code, Row, Touch, rows
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.control import current_build_context
from hypothesis.strategies import SearchStrategy
from sqlalchemy import Connection, Select, distinct, event, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.ext.asyncio import engine as async_engine
from sqlalchemy.ext.asyncio import session as async_session
from sqlalchemy.orm import aliased
from sqlalchemy.pool import QueuePool

from lab.explore import Explorer
from lab.postgres.connections.apart import Apart
from lab.postgres.connections.connection import LabConnection
from lab.postgres.connections.pool import ActorPool
from lab.postgres.connections.wire import Wire
from lab.postgres.database import Database

ROOT = Path(__file__).parents[2]
TABLE = rows(ROOT / "docs/architecture.md")
CODE = Code(ROOT, "lab")
NAME = contextvars.ContextVar("NAME", default="")


# ------------------------------------------------------------------ the real objects


@dataclass
class World:
    """The objects of which attributes are asked; `owner` finds the one for a row."""

    loop: Any
    database: Any
    fairy: Any
    driver: LabConnection
    protocol: Any
    calls: set[str]
    """Methods of the protocol that asyncpg called on what stood under `Connection._protocol`."""
    contexts: dict[str, Any]
    """The execution context of each statement, by a name."""
    drawn: Any
    context: Any
    decorated: Any
    waiting: asyncio.Task[Any]
    """It awaits a future."""

    def statement(self, name: str) -> Any:
        return self.contexts[name].invoked_statement


class Recorder:
    """Stands before a protocol as the lab's `Wire` does, and notes what is called."""

    def __init__(self, real: Any, calls: set[str]) -> None:
        self.__dict__.update(real=real, calls=calls)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if callable(value):
            self.calls.add(name)
        return value


@pytest.fixture(scope="module")
async def world(server, anyio_backend) -> AsyncIterator[World]:
    explorer = Explorer(server)
    database = await Database.create(await explorer.open(), Apart({"": Base.metadata}))
    waiting = asyncio.create_task(asyncio.Event().wait())
    try:
        calls = await _operations(database)
        async with database.engine.connect() as connection:
            contexts = await _executed(connection)
            fairy = await connection.get_raw_connection()
            driver = fairy.driver_connection
            drawn, context = _drawn()
            yield World(
                asyncio.get_running_loop(),
                database,
                fairy,
                driver,
                driver._protocol._protocol,
                calls,
                contexts,
                drawn,
                context,
                settings(max_examples=3, deadline=None)(given(st.integers())(lambda number: None)),
                waiting,
            )
    finally:
        waiting.cancel()
        await database.close()
        await explorer.aclose()


async def _operations(database: Database) -> set[str]:
    """What asyncpg calls on the protocol while it does everything once."""
    calls: set[str] = set()
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver._protocol, Wire)
        driver._protocol = Recorder(driver._protocol._protocol, calls)
        await driver.execute("SELECT 1")
        await driver.execute("CREATE TEMPORARY TABLE one (number int)")
        await driver.executemany("INSERT INTO one VALUES ($1)", [(1,), (2,)])
        statement = await driver.prepare("SELECT number FROM one")
        async with driver.transaction():
            cursor = await statement.cursor()
            await cursor.fetch(1)
            async for _ in statement.cursor(prefetch=1):
                pass
        del cursor, statement
        await driver.copy_records_to_table("one", records=[(3,)])
        await driver.copy_from_query("SELECT number FROM one", output=_nowhere)
        await driver.reload_schema_state()
        await driver.fetch("SELECT 2")
        await driver.close()
        await connection.invalidate()
    return calls


async def _nowhere(data: bytes) -> None: ...


async def _executed(connection: Any) -> dict[str, Any]:
    """Executes one statement of each kind and gives their contexts."""
    contexts: dict[str, Any] = {}
    other = aliased(Account)
    table = Account.__table__
    statements = {
        "locking": select(Account).where(Account.id == 1).order_by(Account.id).limit(1).offset(0).with_for_update(),
        "plain": select(Account.id).where(Account.id == 1),
        "grouped": select(func.count(distinct(Account.id)))
        .join(other, other.id == Account.id)
        .group_by(Account.balance)
        .having(func.count() > 0)
        .suffix_with(text("/* at its end */"), dialect="*"),
        "distinct": select(Account.balance).distinct(),
        "fetched": select(Account.id).fetch(1),
        "insert": table.insert().values(id=1, balance=1),
        "several": table.insert().values([{"id": 2, "balance": 1}, {"id": 3, "balance": 1}]),
        "upsert": insert(table)
        .values(id=1, balance=2)
        .on_conflict_do_update(index_elements=["id"], set_={"balance": 2}),
        "update": table.update().where(table.c.id == 1).values(balance=table.c.balance + 1),
        "delete": table.delete().where(table.c.id == 1),
    }
    name = ""

    def note(*arguments: Any) -> None:
        contexts.setdefault(name, arguments[4])

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    for name, statement in statements.items():  # noqa: B007 - `note` reads it
        await connection.execute(statement)
    name = "streamed"
    async with connection.stream(statements["plain"]) as result:
        await result.all()
    event.remove(connection.sync_connection, "before_cursor_execute", note)
    await connection.rollback()
    return contexts


def _drawn() -> tuple[Any, Any]:
    """The test case and the context that Hypothesis hands to a strategy of one's own."""
    found = []

    class Probe(SearchStrategy):
        def do_draw(self, data: Any) -> int:
            found.append((data, current_build_context()))
            data.draw_boolean(forced=False)
            return data.draw_integer(0, 3, weights={2: 0.99})

    @settings(max_examples=1, database=None, phases=[Phase.generate])
    @given(Probe())
    def once(number: int) -> None:
        assert 0 <= number <= 3

    once()
    return found[-1]


# ------------------------------------------------------------------ what each attribute must do


@dataclass(frozen=True)
class Check:
    """How to find the owner of an attribute, and whether its value does what the lab needs."""

    owner: Callable[[World], object]
    behaves: Callable[[World, Any], Any]
    """(the objects, the attribute's value) -> whether it does; may be a coroutine."""


async def _ready(world: World, value: Any) -> bool:
    world.loop.call_soon(lambda: None)
    return isinstance(value, deque) and len(value) > 0


def _failed(world: World) -> Any:
    future = world.loop.create_future()
    future.set_exception(ValueError("nobody has asked for it"))
    world.loop.call_soon(future.exception)  # later, so that nothing complains
    return future


async def _selector(world: World, value: Any) -> bool:
    asked, real = [], value.select

    def counted(timeout: float | None = None) -> Any:
        asked.append(timeout)
        return real(timeout)

    value.select = counted
    try:
        await asyncio.sleep(0.001)
    finally:
        del value.select
    return any(timeout is None or timeout > 0 for timeout in asked) and len(value.get_map()) > 0


def _wakes_the_loop(world: World, value: Any) -> bool:
    """The loop calls it for a socket that is there from the beginning."""
    found = [key.data[0] for key in world.loop._selector.get_map().values()]
    return any(handle is not None and handle._callback == value for handle in found)


def _with_tls(world: World) -> Any:
    """What asyncio puts between a socket and its protocol; it is not begun, so it need not be ended."""
    between = asyncio.sslproto.SSLProtocol.__new__(asyncio.sslproto.SSLProtocol)
    between._set_app_protocol(world.protocol)
    return between


async def _sleep0(world: World, value: Any) -> bool:
    """`asyncio.sleep(0)` asks for it by name each time, and it gives the loop one round."""
    asked, rounds = [], []

    async def counted() -> None:
        asked.append(1)
        await value()

    before = vars(asyncio.tasks)["__sleep0"]
    vars(asyncio.tasks)["__sleep0"] = counted
    try:
        world.loop.call_soon(rounds.append, 1)
        await asyncio.sleep(0)
    finally:
        vars(asyncio.tasks)["__sleep0"] = before
    return asked == [1] and rounds == [1]


async def _wakes_sleepers(world: World, value: Any) -> bool:
    """What `asyncio.sleep` gives to the loop's `call_later`, with the future and its result."""
    seen, real = [], world.loop.call_later

    def noted(delay: float, callback: Any, *arguments: Any, **named: Any) -> Any:
        seen.append((callback, arguments))
        return real(delay, callback, *arguments, **named)

    world.loop.call_later = noted
    try:
        answer = await asyncio.sleep(0.001, "woken")
    finally:
        del world.loop.call_later
    return any(callback is value and given[1] == answer for callback, given in seen)


async def _in_thread(world: World, value: Any) -> bool:
    """anyio's `run_sync` comes through it, and it takes what the lab hands on."""
    backend, asked = anyio._backends._asyncio.AsyncIOBackend, []
    own = vars(backend)["run_sync_in_worker_thread"]

    async def counted(cls: Any, *arguments: Any, **named: Any) -> Any:
        asked.append(1)
        return await value.__func__(cls, *arguments, **named)

    backend.run_sync_in_worker_thread = classmethod(counted)
    try:
        return await anyio.to_thread.run_sync(lambda: 7) == 7 and asked == [1]
    finally:
        backend.run_sync_in_worker_thread = own


async def _stands_between(world: World, value: Any) -> bool:
    """asyncpg asks for it at each operation, so that what stands there sees all of them."""
    calls: set[str] = set()
    before = world.driver._protocol
    world.driver._protocol = Recorder(value, calls)
    try:
        answer = await world.driver.fetchval("SELECT 1")
    finally:
        world.driver._protocol = before
    return answer == 1 and {"prepare", "bind_execute"} <= calls


def _operation(name: str) -> Callable[[World, Any], bool]:
    return lambda world, value: callable(value) and name in world.calls


async def _cleans_up(world: World, value: Any) -> bool:
    """Every way of closing a connection comes through it."""
    ended = []
    if not callable(value):
        return False

    class Watched(LabConnection):
        def _cleanup(self) -> None:
            ended.append(self)
            value(self)

    connect = partial(asyncpg.connect, **world.database._route.address.connect, connection_class=Watched)
    closed, terminated = await connect(), await connect()
    await closed.close()
    terminated.terminate()
    return ended == [closed, terminated]


def _comes_through(name: str, use: Callable[[Any], Any]) -> Callable[[World, Any], Any]:
    """Whether asyncpg calls a method of that name for a use of the connection, and it does as it did."""

    async def behaves(world: World, value: Any) -> bool:
        asked = []

        def method(self: Any, *arguments: Any, **named: Any) -> Any:
            asked.append(name)
            return value(self, *arguments, **named)

        if not callable(value):
            return False
        watched = type("Watched", (asyncpg.Connection,), {name: method})
        connection = await asyncpg.connect(**_address(world), connection_class=watched)
        try:
            await use(connection)
        finally:
            await connection.close()
        return bool(asked)

    return behaves


async def _fetched(connection: Any) -> None:
    assert await connection.fetchval("SELECT 1") == 1


async def _executed_for_each(connection: Any) -> None:
    await connection.execute("CREATE TEMPORARY TABLE each_one (number int)")
    await connection.executemany("INSERT INTO each_one VALUES ($1)", [(1,), (2,)])
    assert await connection.fetchval("SELECT count(*) FROM each_one") == 2


async def _asked_for_a_type(connection: Any) -> None:
    await connection.execute("CREATE TYPE pg_temp.two AS (a int, b int)")
    assert await connection.fetchval("SELECT ROW(1, 2)::pg_temp.two") == (1, 2)


async def _given_a_codec(connection: Any) -> None:
    await connection.execute("CREATE TYPE pg_temp.short AS ENUM ('a')")
    schema = await connection.fetchval("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()")
    await connection.set_type_codec("short", schema=schema, encoder=str, decoder=str)


async def _nested(connection: Any) -> None:
    async with connection.transaction(), connection.transaction():
        await connection.execute("SELECT 1")


async def _pooled_by_asyncpg(connection: Any) -> None:
    parameters = connection._params
    address = {"host": connection._addr.rpartition("/")[0], "user": parameters.user, "database": parameters.database}
    async with asyncpg.create_pool(**address, min_size=1, connection_class=type(connection)) as pool:
        assert await pool.fetchval("SELECT 1") == 1


async def _notified(connection: Any) -> None:
    heard = asyncio.Event()
    await connection.add_listener("here", lambda *given: heard.set())
    await connection.execute("NOTIFY here")
    await heard.wait()


async def _listens(world: World, value: Any) -> bool:
    """It is empty before, and once it is emptied, nobody listens any more as far as asyncpg knows."""
    before = dict(value)
    await world.driver.add_listener("here", lambda *given: None)
    during = list(value)
    value.clear()
    await world.driver.execute("UNLISTEN *")
    return (before, during) == ({}, ["here"])


async def _terminated(connection: Any) -> None:
    connection.terminate()


async def _opens_all(world: World, value: Any) -> bool:
    """A name that was imported long ago, a pool and SQLAlchemy ask for it by name each time they open a connection."""
    seen: list[Any] = []
    real = asyncpg.connect_utils._connect

    async def counted(**named: Any) -> Any:
        seen.append(named["connection_class"])
        return await value(**named)

    engine = create_async_engine("postgresql+asyncpg://", connect_args=_address(world))
    asyncpg.connect_utils._connect = counted
    try:
        await (await asyncpg.connect(**_address(world))).close()
        async with asyncpg.create_pool(**_address(world), min_size=1) as pool:
            assert await pool.fetchval("SELECT 1") == 1
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
    finally:
        asyncpg.connect_utils._connect = real
        await engine.dispose()
    return seen == [asyncpg.Connection] * 3


def _is_its_engine(world: World, value: Any) -> bool:
    return value is world.database.engine.sync_engine


async def _pooled(world: World, value: Any) -> bool:
    """A pool of one's own is asked for each connection, gets it back, and is said to be asynchronous."""
    asked: list[str] = []

    class Watched(ActorPool):
        def _do_get(self) -> Any:
            asked.append("_do_get")
            return super()._do_get()

        def _do_return_conn(self, record: Any) -> None:
            asked.append("_do_return_conn")
            super()._do_return_conn(record)

        def _invalidate(self, connection: Any, exception: Any = None, _checkin: bool = True) -> None:
            asked.append("_invalidate")
            super()._invalidate(connection, exception, _checkin)

    engine = create_async_engine("postgresql+asyncpg://", poolclass=Watched, connect_args=_address(world))
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            driver, gone = (await connection.get_raw_connection()).driver_connection, asyncio.Event()
            driver.add_termination_listener(lambda _: gone.set())
            await world.driver.fetchval("SELECT pg_terminate_backend($1, 5000)", driver.get_server_pid())
            await gone.wait()  # what the next statement meets must not depend on how soon its client knows
            with pytest.raises(Exception, match=r"closed|terminat"):
                await connection.execute(text("SELECT 1"))
    finally:
        await engine.dispose()
    return callable(value) and {"_do_get", "_do_return_conn", "_invalidate"} <= set(asked)


def _asked_for_asyncio(world: World, value: Any) -> bool:
    """An asynchronous engine refuses a pool that does not say so."""

    class Silent(ActorPool):
        _is_asyncio = False

    with pytest.raises(ArgumentError, match="Silent"):
        create_async_engine("postgresql+asyncpg://", poolclass=Silent)
    return value is True


def _spawned(module: Any) -> Callable[[World, Any], Any]:
    """A session's or connection's methods ask for it by name each time, with a method of what stands behind them."""

    async def behaves(world: World, value: Any) -> bool:
        owners: list[Any] = []

        async def counted(function: Any, *arguments: Any, **named: Any) -> Any:
            owners.append(function.__self__)
            return await value(function, *arguments, **named)

        before, module.greenlet_spawn = module.greenlet_spawn, counted
        try:
            async with AsyncSession(world.database.engine) as session:
                await session.execute(text("SELECT 1"))
                connection = await session.connection()
                await connection.execute(text("SELECT 1"))
        finally:
            module.greenlet_spawn = before
        return (session.sync_session if module is async_session else connection.sync_connection) in owners

    return behaves


def _address(world: World) -> dict[str, Any]:
    route = world.database._route.address.connect
    return {name: value for name, value in route.items() if name != "server_settings"}


def _takes(*names: str) -> Callable[[World, Any], bool]:
    return lambda world, value: list(inspect.signature(value).parameters)[1:] == list(names)


def _method_of_pool(*names: str) -> Callable[[World, Any], Any]:
    async def behaves(world: World, value: Any) -> bool:
        return _takes(*names)(world, value) and await _pooled(world, value)

    return behaves


async def _level_is_the_sessions(world: World, value: Any) -> bool:
    """Nothing is set, and then a transaction has the level that the session was given."""
    if value is not None:
        return False
    async with world.database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        await driver.isolate("SERIALIZABLE")
        found = await connection.scalar(text("SHOW transaction_isolation"))
        await connection.rollback()
        await driver.isolate("READ COMMITTED")
    return found == "serializable"


def _columns_of_the_result(world: World, value: Any) -> bool:
    table = Account.__table__
    return [entry[0] for entry in value] == ["id"] and table.c.id in value[0][2]


def _clause(name: str, empty: str = "plain") -> Callable[[World, Any], bool]:
    """There where a statement has the clause, and empty where another has not."""

    def behaves(world: World, value: Any) -> bool:
        if isinstance(value, tuple):
            return len(value) > 0 and not getattr(world.statement(empty), f"_{name}")
        return value is True or (
            hasattr(value, "__visit_name__") and getattr(world.statement(empty), f"_{name}") is None
        )

    return behaves


def _lock_asked_for(world: World, value: Any) -> bool:
    flags = (value.read, value.nowait, value.skip_locked, value.key_share)
    return not any(flags) and world.statement("plain")._for_update_arg is None


def _copies(world: World, value: Any) -> bool:
    """A copy from which the lock can be taken off, while the original keeps it."""
    copy = value()
    copy._for_update_arg = None
    return "FOR UPDATE" not in str(copy) and world.statement("locking")._for_update_arg is not None


def _values(world: World, value: Any) -> bool:
    (column,) = value
    return str(getattr(column, "key", column)) == "balance"


def _settings(world: World, value: Any) -> bool:
    """A test takes its settings from there."""
    ran = []

    @settings(max_examples=3, deadline=None, database=None)
    @given(st.integers())
    def test(number: int) -> None:
        ran.append(number)

    test._hypothesis_internal_use_settings = settings(value, max_examples=1)
    test()
    return value.max_examples == 3 and len(ran) == 1


def _draws_a_number(world: World, value: Any) -> bool:
    return {"min_value", "max_value", "weights"} <= set(inspect.signature(value).parameters)


async def _keeps_what_was_fetched(world: World, value: Any) -> bool:
    value.clear()
    await world.driver.fetch("SELECT 1")
    return [each.query for each in value.iter_statements()] == ["SELECT 1"]


async def _forgets_statements(world: World, value: Any) -> bool:
    cache = world.driver._stmt_cache
    await world.driver.fetch("SELECT 1")
    kept = list(cache.iter_statements())
    value()
    return bool(kept) and all(each.closed for each in kept) and not len(cache) and not world.driver._stmts_to_close


async def _keeps_what_was_executed(world: World, value: Any) -> bool:
    value.clear()
    async with world.database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        kept = (await connection.get_raw_connection()).dbapi_connection._prepared_statement_cache
    return type(kept) is type(value) and "SELECT 1" in kept and not value


def _is_a_time(world: World, value: Any) -> bool:
    return isinstance(value, (int, float))


def _adapted(world: World) -> object:
    return world.fairy.dbapi_connection


PROTOCOL = {
    f"BaseProtocol.{name}": Check(lambda world: world.protocol, _operation(name))
    for name in (
        *("query", "prepare", "bind_execute", "bind_execute_many", "bind", "execute", "copy_in", "copy_out"),
        *("close_statement", "close_portal", "close", "get_settings", "is_connected", "is_in_transaction"),
    )
}


def _select(name: str, of: str, empty: str = "plain") -> tuple[str, Check]:
    return f"Select._{name}", Check(lambda world: world.statement(of), _clause(name, empty))


RAN: list[str] = []


def _handle(world: World) -> asyncio.Handle:
    return asyncio.Handle(RAN.append, ("ran",), world.loop, contextvars.copy_context())


def _runs(world: World, value: Any) -> bool:
    """What a handle holds is called."""
    RAN.clear()
    value()
    return RAN == ["ran"]


def _has_the_scope_around(world: World, value: Any) -> bool:
    with anyio.CancelScope() as outer, anyio.CancelScope() as inner:  # noqa: ASYNC100 - they are only looked at
        return value is None and inner._parent_scope is outer


def _knows_the_scope(world: World, value: Any) -> bool:
    with anyio.CancelScope() as scope:  # noqa: ASYNC100 - it is only looked at
        known = value[asyncio.current_task()].cancel_scope
    return known is scope


def _wraps_what_connecting_raises(world: World, value: Any) -> bool:
    dialect, engine = world.database.engine.dialect, world.database.engine.sync_engine
    kinds = dialect.loaded_dbapi
    raised = kinds.OperationalError("no connection")
    with pytest.raises(DBAPIError) as wrapped:
        value(raised, dialect, engine)
    return wrapped.value.orig is raised


CHECKS: Mapping[str, Check] = {
    "Handle._run": Check(_handle, _runs),
    "Handle._context": Check(_handle, lambda world, value: isinstance(value, contextvars.Context)),
    "Handle._callback": Check(_handle, lambda world, value: value == RAN.append),
    "Handle._args": Check(_handle, lambda world, value: value == ("ran",)),
    "BaseEventLoop._ready": Check(lambda world: world.loop, _ready),
    "Future._log_traceback": Check(_failed, lambda world, value: value is True),
    "asyncio.TaskGroup._tasks": Check(lambda world: asyncio.TaskGroup(), lambda world, value: value == set()),
    "Task._fut_waiter": Check(
        lambda world: world.waiting, lambda world, value: asyncio.isfuture(value) and not value.done()
    ),
    "_GatheringFuture._children": Check(
        lambda world: asyncio.gather(world.loop.create_future()), lambda world, value: len(value) == 1
    ),
    "BaseSelectorEventLoop._selector": Check(lambda world: world.loop, _selector),
    "BaseSelectorEventLoop._read_from_self": Check(lambda world: world.loop, _wakes_the_loop),
    "SSLProtocol._app_protocol": Check(_with_tls, lambda world, value: value is world.protocol),
    "asyncio.tasks.__sleep0": Check(lambda world: asyncio.tasks, _sleep0),
    "asyncio.futures._set_result_unless_cancelled": Check(lambda world: asyncio.futures, _wakes_sleepers),
    "random._inst": Check(lambda world: random, lambda world, value: random.randint.__self__ is value),
    "random._urandom": Check(lambda world: random, lambda world, value: len(value(4)) == 4),
    "sys._getframe": Check(lambda world: sys, lambda world, value: value(0).f_code.co_filename == __file__),
    "anyio._backends._asyncio.AsyncIOBackend": Check(
        lambda world: anyio._backends._asyncio, lambda world, value: hasattr(value, "run_sync_in_worker_thread")
    ),
    "anyio._backends._asyncio._task_states": Check(lambda world: anyio._backends._asyncio, _knows_the_scope),
    "CancelScope._parent_scope": Check(lambda world: anyio.CancelScope(), _has_the_scope_around),
    "anyio.TaskGroup._tasks": Check(
        lambda world: anyio._backends._asyncio.TaskGroup(), lambda world, value: value == set()
    ),
    "AsyncIOBackend.run_sync_in_worker_thread": Check(
        lambda world: SimpleNamespace(**vars(anyio._backends._asyncio.AsyncIOBackend)), _in_thread
    ),
    "Connection._protocol": Check(lambda world: world.driver, _stands_between),
    **PROTOCOL,
    "BaseProtocol.get_server_pid": Check(
        lambda world: world.protocol, lambda world, value: value() == world.driver.process.pid
    ),
    "Connection._transport": Check(
        lambda world: world.driver, lambda world, value: value.get_protocol() is world.protocol
    ),
    "Connection._listeners": Check(lambda world: world.driver, _listens),
    "Connection._cleanup": Check(lambda world: LabConnection.__mro__[1], _cleans_up),
    "asyncpg.connect_utils._connect": Check(lambda world: asyncpg.connect_utils, _opens_all),
    **{
        f"Connection.{name}": Check(lambda world: asyncpg.Connection, _comes_through(name, use))
        for name, use in {
            "_execute": _fetched,
            "_executemany": _executed_for_each,
            "_introspect_types": _asked_for_a_type,
            "_introspect_type": _given_a_codec,
            "_get_unique_id": _nested,
            "_get_statement": _fetched,
            "_drop_local_statement_cache": _given_a_codec,
            "_abort": _terminated,
            "_on_release": _pooled_by_asyncpg,
            "_process_notification": _notified,
        }.items()
    },
    "Connection._stmt_cache": Check(lambda world: world.driver, _keeps_what_was_fetched),
    "Connection._mark_stmts_as_closed": Check(lambda world: world.driver, _forgets_statements),
    "Connection._addr": Check(
        lambda world: world.driver, lambda world, value: isinstance(value, (str, tuple)) and len(value) > 1
    ),
    "Connection._params": Check(
        lambda world: world.driver, lambda world, value: value.database == world.database.name and bool(value.user)
    ),
    "Connection._proxy": Check(lambda world: world.driver, lambda world, value: value is None),  # it is of no pool
    "OptionEngine._proxied": Check(
        lambda world: world.database.engine.sync_engine.execution_options(mine=1), _is_its_engine
    ),
    "QueuePool._max_overflow": Check(
        lambda world: QueuePool(lambda: None, max_overflow=3), lambda world, value: value == 3
    ),
    "Connection._handle_dbapi_exception_noconnection": Check(lambda world: Connection, _wraps_what_connecting_raises),
    "Pool._is_asyncio": Check(lambda world: ActorPool, _asked_for_asyncio),
    "Pool._do_get": Check(lambda world: ActorPool.__mro__[1], _method_of_pool()),
    "Pool._do_return_conn": Check(lambda world: ActorPool.__mro__[1], _method_of_pool("record")),
    "Pool._invalidate": Check(
        lambda world: ActorPool.__mro__[1], _method_of_pool("connection", "exception", "_checkin")
    ),
    "Pool._create_connection": Check(lambda world: ActorPool.__mro__[1], _method_of_pool()),
    "AsyncAdapt_asyncpg_connection._isolation_setting": Check(_adapted, _level_is_the_sessions),
    "AsyncAdapt_asyncpg_connection.isolation_level": Check(_adapted, _level_is_the_sessions),
    "AsyncAdapt_asyncpg_connection._prepared_statement_cache": Check(_adapted, _keeps_what_was_executed),
    "AsyncAdapt_asyncpg_connection._invalidate_schema_cache_asof": Check(_adapted, _is_a_time),
    "PGDialect_asyncpg._invalidate_schema_cache_asof": Check(lambda world: world.database.engine.dialect, _is_a_time),
    "AsyncAdapt_dbapi_cursor.server_side": Check(
        lambda world: world.contexts["streamed"].cursor,
        lambda world, value: value is True and not world.contexts["plain"].cursor.server_side,
    ),
    **{
        f"sqlalchemy.ext.asyncio.{module.__name__.rpartition('.')[2]}.greenlet_spawn": Check(
            lambda world, module=module: module, _spawned(module)
        )
        for module in (async_session, async_engine)
    },
    "CompileState.statement": Check(
        lambda world: world.contexts["plain"].compiled.compile_state,
        lambda world, value: isinstance(value, Select) and value.get_final_froms() == [Account.__table__],
    ),
    "SQLCompiler._result_columns": Check(lambda world: world.contexts["plain"].compiled, _columns_of_the_result),
    "Select._for_update_arg": Check(lambda world: world.statement("locking"), _lock_asked_for),
    **dict(
        [
            _select("group_by_clauses", "grouped"),
            _select("having_criteria", "grouped"),
            _select("setup_joins", "grouped"),
            _select("suffixes", "grouped"),
            _select("order_by_clauses", "locking"),
            _select("limit_clause", "locking"),
            _select("fetch_clause", "fetched"),
            _select("offset_clause", "locking"),
        ]
    ),
    "Select._distinct": Check(
        lambda world: world.statement("distinct"),
        lambda world, value: value is True and not world.statement("plain")._distinct,
    ),
    "Select._generate": Check(lambda world: world.statement("locking"), _copies),
    "Insert._post_values_clause": Check(
        lambda world: world.statement("upsert"),
        lambda world, value: hasattr(value, "__visit_name__") and world.statement("insert")._post_values_clause is None,
    ),
    "Insert._multi_values": Check(
        lambda world: world.statement("several"),
        lambda world, value: len(value[0]) == 2 and not world.statement("insert")._multi_values,
    ),
    "UpdateDMLState._dict_parameters": Check(lambda world: world.contexts["update"].compiled.compile_state, _values),
    "hypothesis.internal.conjecture.data.ConjectureData": Check(
        lambda world: hypothesis.internal.conjecture.data, lambda world, value: isinstance(world.drawn, value)
    ),
    "SearchStrategy.do_draw": Check(lambda world: SearchStrategy, _takes("data")),
    "ConjectureData.draw_integer": Check(lambda world: world.drawn, _draws_a_number),
    "ConjectureData.draw_boolean": Check(
        lambda world: world.drawn, lambda world, value: "forced" in inspect.signature(value).parameters
    ),
    "BuildContext.is_final": Check(lambda world: world.context, lambda world, value: value is False),
    "Test._hypothesis_internal_use_settings": Check(lambda world: world.decorated, _settings),
}


# ------------------------------------------------------------------ the judgement


def version_of(library: str) -> str:
    return platform.python_version() if library == "Python" else importlib.metadata.version(library.lower())


async def objection(row: Row, world: World, owner: object) -> str:
    """One sentence on what is wrong with an attribute of this object, "" if nothing is."""
    where = f"{row.library} {version_of(row.library)}: `{row.attribute}`"
    need = f"the lab needs it for this: {row.purpose}; without it: {row.loss}"
    name = row.attribute.rpartition(".")[2]
    try:
        value = getattr(owner, name)
    except AttributeError:
        return f"{where} is gone; {need}"
    try:
        good = CHECKS[row.attribute].behaves(world, value)
        if inspect.isawaitable(good):
            good = await good
    except Exception as error:  # noqa: BLE001 - whatever it says, the attribute is not what the lab needs
        return f"{where} does not behave as it did ({type(error).__name__}: {error}); {need}"
    return "" if good else f"{where} does not behave as it did; {need}"


class Without:
    """An object as it would be in a version that renamed one of its attributes, or gave the name to something else."""

    def __init__(self, real: object, name: str, *instead: object) -> None:
        self.__dict__.update(_real=real, _name=name, _instead=instead)

    def __getattr__(self, name: str) -> object:
        if name == self._name:
            if not self._instead:
                raise AttributeError(name)
            return self._instead[0]
        return getattr(self._real, name)


every_attribute = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.attribute)


@every_attribute
async def test_the_attribute_is_there_and_does_what_the_lab_needs(row, world):
    found = await objection(row, world, CHECKS[row.attribute].owner(world))
    assert not found, found


@every_attribute
async def test_the_check_fails_and_names_an_attribute_that_is_gone(row, world):
    name = row.attribute.rpartition(".")[2]
    found = await objection(row, world, Without(CHECKS[row.attribute].owner(world), name))
    assert found.startswith(f"{row.library} {version_of(row.library)}: `{row.attribute}` is gone; ")


@every_attribute
async def test_the_check_fails_and_names_an_attribute_that_means_something_else(row, world):
    name = row.attribute.rpartition(".")[2]
    found = await objection(row, world, Without(CHECKS[row.attribute].owner(world), name, object()))
    assert found.startswith(f"{row.library} {version_of(row.library)}: `{row.attribute}` does not behave as it did")


# ------------------------------------------------------------------ the table and the code


def test_every_attribute_that_is_touched_is_in_the_table():
    unlisted = [str(touch) for touch in CODE.touches() if not any(row.covers(touch) for row in TABLE)]
    assert not unlisted, "\n".join(unlisted)


@every_attribute
def test_every_attribute_in_the_table_is_touched_and_has_a_check(row):
    assert CODE.mentions(row.name, row.folders), (
        f"nothing in {', '.join(row.folders)} names `{row.attribute}` any more: take it out of the table "
        '"Private attributes" in docs/architecture.md'
    )
    assert row.attribute in CHECKS, f"write a check for `{row.attribute}` in {Path(__file__).name}"


def test_no_attribute_is_listed_twice_and_every_check_belongs_to_a_row():
    listed = [row.attribute for row in TABLE]
    assert sorted(listed) == sorted(CHECKS)
    assert all(row.purpose and row.loss and row.folders for row in TABLE)


TOUCHING = """
import asyncpg
from anyio._core._eventloop import get_cancelled_exc_class

class Mine(asyncpg.Connection):
    __slots__ = ("_own",)

    def _cleanup(self):
        self._own = self._con_release_ctr

    def ask(self, other):
        return other._own, self._mine(), other.__class__, f(_secret=1), getattr(other, "_hidden")

    def _mine(self): ...

def reads(statement):
    return statement._memoized, statement._mine, statement._values

def _values(): ...
"""


def test_the_finder_sees_every_spelling_and_leaves_the_codes_own_names_alone(tmp_path):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/made.py").write_text(TOUCHING)
    found = {(touch.name, touch.line) for touch in Code(tmp_path, "lab").touches()}
    assert found == {
        ("anyio._core._eventloop.get_cancelled_exc_class", 3),
        ("_cleanup", 8),
        ("_con_release_ctr", 9),
        ("_secret", 12),
        ("_hidden", 12),
        ("_memoized", 17),
        ("_values", 17),
    }


def test_a_touch_that_is_not_listed_is_named_with_its_file_and_line():
    assert str(Touch("lab/engine/gate.py", 7, "_ready")).startswith("lab/engine/gate.py:7: `_ready` is private")


def test_a_row_covers_its_folder_only():
    row = next(each for each in TABLE if each.attribute == "BaseEventLoop._ready")
    assert row.covers(Touch("lab/engine/gate.py", 7, "_ready"))
    assert not row.covers(Touch("lab/search/hunt.py", 7, "_ready"))
    assert not row.covers(Touch("lab/engine/gate.py", 7, "_scheduled"))


def test_the_wheel_of_the_embedded_server_is_met_in_one_file():
    """Another wheel with PostgreSQL's programs in it is a change of that file."""
    met = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "lab").rglob("*.py"))
        if "pgserver" in path.read_text().lower()
    ]
    assert met == ["lab/postgres/server/install.py"]
