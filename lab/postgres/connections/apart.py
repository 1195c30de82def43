"""Keeps the databases of one application apart in the one database of the lab.

Reset, journal, row versions and snapshots are those of one database, so each database of the application is a schema
of it: the first that a scenario names is `public`, each other one a schema of its name, and a connection whose URL
names it finds that schema alone on its search path. The search path is given with the connection, so RESET keeps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy import MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["ALL_ONE", "Apart", "quoted"]

_NO_SCHEMA = "3F000"
_PATH = re.compile(r"\bsearch_path\b", re.IGNORECASE)
_FIRST = re.compile(r"(?<![\w.])(?:public|\"public\")\s*\.\s*[\w\"]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Apart:
    """The databases of an application that are told apart, in the order of the scenario."""

    metadata: Mapping[str, MetaData | None] = field(default_factory=dict)
    """What is to be made, by schema; the first is "", where the lab makes everything if nothing is told apart."""
    names: tuple[str, ...] = ()
    """What URLs call them; none where all are one."""

    async def create(self, engine: AsyncEngine) -> None:
        """Make the schemas, and the tables in each."""
        for schema, metadata in self.metadata.items():
            if metadata is None and not schema:
                continue
            try:
                await _make(engine, schema, metadata)
            except DBAPIError as error:
                # Where nobody makes the schemas that its tables name, a migration does, or whoever set up the database.
                if metadata is None or getattr(error.orig, "sqlstate", "") != _NO_SCHEMA:
                    raise
                named = {each.schema for each in metadata.tables.values() if each.schema is not None}
                await _make(engine, schema, metadata, sorted(named))

    def place_of(self, options: Mapping[str, Any]) -> tuple[str, str]:
        """The schema of the database that a connection with these options is for, or the end of a sentence about it.

        `options` are those of `asyncpg.connect`.
        """
        if not self.names:
            return "", ""
        where = _Where.of(options)
        if "search_path" in (options.get("server_settings") or {}):
            return "", (
                f"opens {where} with a search_path of its own, by which the lab keeps the databases of a scenario "
                "apart; leave it out of server_settings, and name schemas in the tables"
            )
        if where.database not in self.names:
            known = ", ".join(map(repr, self.names))
            return "", (
                f"opens {where}, but databases of the scenario names only {known}; add the database "
                f"{where.database!r} there, with its MetaData, or None where schema or setup makes its tables"
            )
        return "" if where.database == self.names[0] else where.database, ""

    def objection(self, statement: str, schema: Callable[[], str]) -> str:
        """Why a statement would leave its database, as the end of a sentence; "" where it does not."""
        if _PATH.search(statement):
            return (
                "sets or asks for search_path, by which the lab keeps the databases of a scenario apart; leave it out, "
                "and name schemas in the tables"
            )
        if _FIRST.search(statement) and (place := schema()):
            return (
                f"names the schema public in the database {place!r}, which the lab has only in {self.names[0]!r}; "
                "name its tables without a schema"
            )
        return ""


ALL_ONE = Apart()


@dataclass(frozen=True, slots=True)
class _Where:
    """Where a connection is to lead, by what code says of it and by the environment, as asyncpg reads both."""

    user: str
    host: str
    database: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> _Where:
        url = urlsplit(options.get("dsn") or "")
        asked = dict(parse_qsl(url.query))

        def said(*candidates: object) -> str:
            return next((str(each) for each in candidates if each), "")

        user = said(options.get("user"), unquote(url.username or ""), asked.get("user"), os.environ.get("PGUSER"))
        in_url = unquote(url.path.removeprefix("/")), asked.get("dbname"), asked.get("database")
        database = said(options.get("database"), *in_url, os.environ.get("PGDATABASE"), user)
        host = said(options.get("host"), url.netloc.rpartition("@")[2], asked.get("host"))
        port = options.get("port")
        return cls(user, f"{host}:{port}" if port and ":" not in host else host, database)

    def __str__(self) -> str:
        return f"postgresql://{self.user}{'@' if self.user else ''}{self.host}/{self.database}"


def quoted(name: str) -> str:
    """A name of a schema as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


async def _make(engine: AsyncEngine, schema: str, metadata: MetaData | None, missing: Sequence[str] = ()) -> None:
    """Make the tables in a schema of their own, or in "", the first; `missing` are schemas that they name."""
    async with engine.begin() as connection:
        if schema:
            await connection.execute(text(f"CREATE SCHEMA {quoted(schema)}".replace(":", "\\:")))
            await connection.execute(text(f"SET LOCAL search_path = {quoted(schema)}".replace(":", "\\:")))
        for each in missing:
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quoted(each)}".replace(":", "\\:")))
        if metadata is not None:
            await connection.run_sync(metadata.create_all)
