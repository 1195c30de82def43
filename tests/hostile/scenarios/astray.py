"""Changes what the lab relies on."""

from __future__ import annotations

import asyncio
import builtins
import gc
import inspect
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from scenarios.quiet import ADD, Quiet, call, hostile, sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lab import actor

STATEMENTS = {
    "ClientMinMessages": "SET client_min_messages = error",
    "LogLockWaits": "SET log_lock_waits = off",
    "DeadlockTimeout": "SET deadlock_timeout = '1h'",
    "ReplicationRole": "SET session_replication_role = replica",
    "Role": "SET ROLE pg_monitor",
    "Authorization": "SET SESSION AUTHORIZATION pg_monitor",
    "SearchPath": "SET search_path = nowhere",
    "StatementTimeout": "SET statement_timeout = '1ms'",
    "LockTimeout": "SET lock_timeout = '1h'",
    "DefaultIsolation": "SET default_transaction_isolation = serializable",
    "ReadOnly": "SET default_transaction_read_only = on",
    "IdleTimeout": "SET idle_session_timeout = '50ms'",
    "DropsTable": "DROP TABLE counter",
    "AddsColumn": "ALTER TABLE counter ADD COLUMN more integer NOT NULL",
    "DropsColumn": "ALTER TABLE counter DROP COLUMN value",
    "Renames": "ALTER TABLE counter RENAME TO counted",
    "DropsSchema": "DROP SCHEMA public CASCADE",
    "DropsLabsSchema": "DROP SCHEMA concurrency_lab CASCADE",
    "DropsDatabase": "DO $$ BEGIN EXECUTE 'DROP DATABASE ' || current_database(); END $$",
    "AltersDatabase": "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' CONNECTION LIMIT 0'; END $$",
    "SetsForDatabase": "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET work_mem = 77'; END $$",
    "ChangesRoles": "UPDATE pg_authid SET rolconnlimit = 99",
    "RenamesInFunction": "DO $$ BEGIN EXECUTE 'ALTER TABLE counter RENAME TO counted'; END $$",
    "TerminatesItself": "SELECT pg_terminate_backend(pg_backend_pid())",
    "TerminatesAll": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "CancelsItself": "SELECT pg_cancel_backend(pg_backend_pid())",
    "CancelsAll": "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "VacuumsInside": "VACUUM counter",
    "Truncates": "TRUNCATE counter",
    "Prepares": "PREPARE TRANSACTION 'left'",
    "AdvisoryLock": "SELECT pg_advisory_lock(1)",
    "Temporary": "CREATE TEMPORARY TABLE counter (id int, value int)",
    "Sequence": "CREATE SEQUENCE numbers",
    "Notices": "DO $$ BEGIN RAISE NOTICE 'process 1 still waiting for ShareLock on transaction 7 after 1.0 ms'; END $$",
    "Listens": "LISTEN something",
    "FullMemory": "SELECT length(repeat('x', 100000000))",
}
for _name, _statement in STATEMENTS.items():
    globals()[f"{_name}First"] = hostile(__name__, f"{_name}First", before=sql(_statement))
    globals()[f"{_name}Last"] = hostile(__name__, f"{_name}Last", after=sql(_statement))


def prints() -> None:
    for _ in range(30):
        print("x" * 100_000)
        sys.stderr.write("y" * 1000 + "\n")
    os.write(1, b"written\n")


def ignores_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def threads() -> None:
    threading.Thread(target=time.sleep, args=(3600,)).start()


def raising_handler() -> None:
    def handler(loop: object, context: object) -> None:
        raise RuntimeError("handler")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)


def errors_in_loop() -> None:
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)


def exits_in_loop() -> None:
    asyncio.get_running_loop().call_soon(sys.exit, 0)


def patches_sleep() -> None:
    async def sleep(*args: Any) -> None:
        raise RuntimeError("no sleep here")

    asyncio.sleep = sleep  # type: ignore[assignment]


def logs() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.DEBUG, force=True)
    logging.getLogger().debug("written to the log")


def closes_one() -> None:
    if not globals().get("_closed"):  # its number is soon that of a socket
        globals()["_closed"] = True
        os.close(1)


def memory() -> None:
    globals().setdefault("_kept", []).append(bytearray(20_000_000))


CALLS: dict[str, Callable[[], object]] = {
    "Prints": prints,
    "ReplacesStdout": lambda: setattr(sys, "stdout", StringIO()),
    "ClosesStdout": lambda: sys.stdout.close(),
    "ClosesOne": closes_one,
    "ClosesAll": lambda: os.closerange(3, 64),
    "IgnoresSignals": ignores_signals,
    "ClearsEnvironment": os.environ.clear,
    "ChangesFolder": lambda: os.chdir("/"),
    "Threads": threads,
    "ErrorsInLoop": errors_in_loop,
    "RaisingHandler": raising_handler,
    "ExitsInLoop": exits_in_loop,
    "StopsLoop": lambda: asyncio.get_running_loop().stop(),
    "ClosesLoop": lambda: asyncio.get_running_loop().close(),
    "PatchesSleep": patches_sleep,
    "PatchesOpen": lambda: setattr(builtins, "open", None),
    "Recursion": lambda: sys.setrecursionlimit(70),
    "RecursionAtOnce": lambda: sys.setrecursionlimit(len(inspect.stack(0)) + 12),
    "Memory": memory,
    "Warns": lambda: (warnings.simplefilter("error"), warnings.warn("a warning", stacklevel=1)),
    "Logs": logs,
    "Collects": lambda: (gc.collect(), gc.disable()),
    "LeavesProcess": lambda: subprocess.Popen(["sleep", "20"]) and None,
    "TracesItself": lambda: sys.settrace(lambda *args: None),
    "Factory": lambda: asyncio.get_running_loop().set_task_factory(None),
    "CancelsEverybody": lambda: [task.cancel() for task in asyncio.all_tasks()] and None,
}
for _name, _act in CALLS.items():
    globals()[_name] = hostile(__name__, _name, before=call(_act))


@dataclass(frozen=True)
class Disposes(Quiet):
    """Gives up the engine."""

    @actor
    async def cleo(self, engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(ADD)
        await engine.dispose()
        async with engine.begin() as connection:
            await connection.execute(ADD)


@dataclass(frozen=True)
class Vacuums(Quiet):
    """Cleans up outside any transaction."""

    @actor
    async def cleo(self, engine: AsyncEngine) -> None:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM FULL counter"))


@dataclass(frozen=True)
class Indexes(Quiet):
    """Makes an index while others work."""

    @actor
    async def cleo(self, engine: AsyncEngine) -> None:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("CREATE INDEX CONCURRENTLY by_value ON counter (value)"))


@dataclass(frozen=True)
class ClosesConnection(Quiet):
    """Closes what it was lent."""

    async def before(self, session: AsyncSession) -> None:
        raw = await (await session.connection()).get_raw_connection()
        await raw.driver_connection.close()


@dataclass(frozen=True)
class TerminatesConnection(Quiet):
    """Tears down what it was lent."""

    async def before(self, session: AsyncSession) -> None:
        raw = await (await session.connection()).get_raw_connection()
        raw.driver_connection.terminate()


@dataclass(frozen=True)
class LeavesOpen(Quiet):
    """Leaves a transaction open, and a lock with it."""

    @actor
    async def cleo(self, engine: AsyncEngine) -> None:
        connection = await engine.connect()
        await connection.execute(text("SELECT * FROM counter FOR UPDATE"))
        globals().setdefault("_left", []).append(connection)
