"""Brings the tables back to what `setup` made, in the same physical state each time.

The physical state matters: dead rows that a DELETE leaves change the order in which unsorted scans and bulk
updates meet rows, and with it who locks first. TRUNCATE leaves none, and on the tables of a scenario it is
also the fastest way that does (about 0.8 ms for one small table, 3 ms for ten).

`setup` runs once for each set of parameters. Its rows are read back as texts and kept here as one script of plain
statements, so restoring them costs one round trip and fires no trigger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
from sqlalchemy import MetaData

from lab.model.layout import Layout, Position
from lab.postgres.connections.triggers import TRIGGER, install, install_on_catalog
from lab.postgres.server.monitor import Monitor
from lab.postgres.statements.beyond import NOTHING_BEYOND
from lab.postgres.statements.shapes import Relations
from lab.postgres.tables.beyond import learn_beyond
from lab.postgres.tables.catalog import layout_of, positions_of
from lab.postgres.tables.changes import CATALOG, EVENT_TRIGGERS
from lab.postgres.tables.relations import learn_relations

__all__ = ["Snapshot", "Tables"]

VACUUM_EVERY = 500
"""Resets between two vacuums of the catalogs, where each TRUNCATE leaves dead rows. A fixed count, so that it
falls at the same place in every run."""

CHECKPOINT_EVERY = 100
"""Resets between two checkpoints of a server of our own, at a fixed count for the same reason. The files of a truncated
table go only then: twelve files and 60 kB for each reset of one small table, so that 5,000 made 61,760 files. At 100,
a data folder stays below 3,200 files and 60 MB, and checkpoints take 0.3 to 0.6 % of the time."""

_SHORT = "CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"
"""A table's name for people: tables of one name in two schemas must not be taken for one."""

_TABLES = f"""
SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, {_SHORT} AS short,
       array_agg(quote_ident(a.attname) ORDER BY a.attnum)
         FILTER (WHERE a.attgenerated = '') AS columns
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
GROUP BY c.oid, n.nspname, c.relname
ORDER BY n.nspname, c.relname
"""
_RELATIONS = f"""
SELECT c.oid, CASE WHEN n.nspname = 'pg_catalog' THEN c.relname ELSE {_SHORT} END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('information_schema', 'pg_toast')
"""
_MATERIALIZED = """
SELECT c.oid::regclass::text, c.relispopulated FROM pg_class c
WHERE c.relkind = 'm' ORDER BY c.oid
"""
_WITH_TRIGGERS = f"""
SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgname <> '{TRIGGER}' ORDER BY 1
"""
_FOREIGN_KEYS = "SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid <> confrelid"
_KEYS = f"""
SELECT {_SHORT}, array_agg(a.attname::text ORDER BY k.place)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
WHERE i.indisprimary AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') GROUP BY 1
"""
_SEQUENCES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename) AS name, start_value FROM pg_sequences
ORDER BY schemaname, sequencename
"""
_LARGE_OBJECTS = "SELECT oid, encode(lo_get(oid), 'hex') FROM pg_largeobject_metadata ORDER BY oid"
_UNLINK = "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE pg_has_role(lomowner, 'MEMBER');"
"""Large objects belong to no table."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `setup` made: the script that restores it, its rows as one text, and where it left each sequence."""

    script: str
    text: str
    positions: Mapping[str, Position] = field(default_factory=dict)
    rows: tuple[tuple[str, str], ...] = ()
    """The rows as (table, JSON object), for histories."""


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    short: str
    columns: Sequence[str]


class Tables:
    """The tables of one database of the lab."""

    def __init__(self, monitor: Monitor, *, privileged: bool, own_server: bool = False) -> None:
        self._monitor = monitor
        self._privileged = privileged
        self._own_server = own_server
        self._tables: list[_Table] = []
        self._sequences: list[str] = []
        self._read_back = self._read_rows = ""
        self._lines: Sequence[asyncpg.Record] | None = None
        """What the tables held when the catalog was looked at last, as long as nothing can have changed it."""
        self._empty = ""
        self._restart = ""
        self._refresh = ""
        """For materialized views, those that others are made of first."""
        self._ground: Snapshot | None = None
        """What a schema hook left in the tables, where it is not nothing."""
        self._catalog: str | None = None
        self._triggers_off = self._triggers_on = ""
        """For a role that may not turn all triggers off: statements for those that do not belong to foreign keys."""
        self._resets = 0
        self.names: set[str] = set()
        """Names of the tables, as people say them."""
        self.catalog = Relations()
        """What statements on the relations may rest on."""
        self.keys: dict[str, tuple[str, ...]] = {}
        """The columns of each table's primary key, where it has one."""
        self.beyond = NOTHING_BEYOND
        """What statements reach by other names than these."""
        self.relations: dict[int, str] = {}
        """Names of tables, indexes and the like by object id, for messages that name them by number."""
        self.quoted: dict[str, tuple[str, Sequence[str]]] = {}
        """The name of each table and of its columns but those that are generated, as SQL wants them."""
        self.layout = Layout()
        """Columns, keys, and which of them a sequence fills."""

    async def learn(self, metadata: Mapping[str, MetaData | None] | None = None, *, installs: bool = True) -> None:
        """Read from the catalog which tables and sequences there are. Call it whenever the schema was made or changed.

        `metadata`, by schema, adds what the catalog does not know: the sequences that SQLAlchemy itself draws from.
        Without `installs` the database is only looked at.
        """
        self._lines = None
        self.layout = await layout_of(self._monitor, metadata or {})
        rows = await self._monitor.fetch(_TABLES)
        parents = await self._monitor.fetch(_FOREIGN_KEYS)
        order = _parents_first([row["oid"] for row in rows], parents)
        by_oid = {row["oid"]: _Table(row["name"], row["short"], row["columns"] or ()) for row in rows}
        self._tables = [by_oid[oid] for oid in order]
        for known in (self.names, self.relations, self.keys):
            known.clear()  # others hold these very sets
        self.names.update(table.short for table in self._tables)
        self.quoted = {table.short: (table.name, table.columns) for table in self._tables}
        self.relations.update(map(tuple, await self._monitor.fetch(_RELATIONS)))
        self.keys.update({name: tuple(columns) for name, columns in await self._monitor.fetch(_KEYS)})
        sequences = await self._monitor.fetch(_SEQUENCES)
        self._sequences = [row["name"] for row in sequences]
        restart = "".join(f"SELECT setval({_literal(name)}, {start}, false);" for name, start in sequences)
        with_triggers = await self._monitor.fetch(_WITH_TRIGGERS)
        await learn_relations(self._monitor, self.catalog)
        self.beyond = await learn_beyond(self._monitor, self.names)
        self._triggers_off = "".join(f"ALTER TABLE {name} DISABLE TRIGGER USER;" for (name,) in with_triggers)
        self._triggers_on = "".join(f"ALTER TABLE {name} ENABLE TRIGGER USER;" for (name,) in with_triggers)
        names = ", ".join(table.name for table in self._tables)
        self._empty = f"TRUNCATE {names} RESTART IDENTITY CASCADE;" if names else ""
        self._restart = restart
        self._read_back = " UNION ALL ".join(
            f"(SELECT {_literal(table.short)}, (t.*)::text FROM ONLY {table.name} t ORDER BY (t.*)::text)"
            for table in self._tables
        )
        self._read_rows = " UNION ALL ".join(
            f"(SELECT {_literal(table.short)}, to_jsonb(t.*)::text FROM ONLY {table.name} t)" for table in self._tables
        )
        self._refresh = "".join(
            f"REFRESH MATERIALIZED VIEW {name}{'' if populated else ' WITH NO DATA'};"
            for name, populated in await self._monitor.fetch(_MATERIALIZED)
        )
        if installs:
            script = install([table.name for table in self._tables])
            await self._monitor.execute(script + (install_on_catalog() if self._privileged else ""))
            self._catalog = await self._monitor.fetchval(self._identity)

    async def differs(self) -> bool:
        """Whether the catalog changed since the lab installed its own.

        For a superuser event triggers say so, as long as nobody touches these. The same question brings what the
        tables hold, which the next `rows` returns.
        """
        question = f"SELECT ''::text, ({self._identity})"
        if self._read_back:
            question += f" UNION ALL {self._read_back}"
        try:
            (_, catalog), *self._lines = await self._monitor.fetch(question)
        except asyncpg.SyntaxOrAccessError:  # a table is gone, or no longer ours
            return True
        return bool(catalog != self._catalog)

    @property
    def _identity(self) -> str:
        """The query for what changes with the catalog."""
        return EVENT_TRIGGERS if self._privileged else CATALOG

    async def keep_ground(self) -> None:
        """From now on the tables are empty when they hold what they hold now."""
        self._ground = await self.capture()

    async def empty(self) -> None:
        """Truncate every table and restart every sequence; what a schema hook inserted stays."""
        if self._ground is not None:
            await self._run(self._ground.script)
            return
        await self._run(self._prelude() + self._empty + _UNLINK + self._restart + self._postlude())

    async def capture(self) -> Snapshot:
        """Read what is in the tables now, as a script that restores it."""
        script, texts = [self._prelude(), self._empty, _UNLINK], []
        for table in self._tables:
            if not table.columns:
                continue
            columns = ", ".join(table.columns)
            casts = ", ".join(f"{column}::text" for column in table.columns)
            rows = await self._monitor.fetch(f"SELECT {casts} FROM ONLY {table.name} ORDER BY ctid")
            if rows:
                values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
                script.append(f"INSERT INTO {table.name} ({columns}) OVERRIDING SYSTEM VALUE VALUES {values};")
                texts.append(values)
        for number, content in await self._monitor.fetch(_LARGE_OBJECTS):
            script.append(f"SELECT lo_from_bytea({number}, '\\x{content}');")
        positions = await self.positions()
        for name, (last, called) in positions.items():
            script.append(f"SELECT setval({_literal(name)}, {last}, {str(called).lower()});")
        script += [self._refresh, self._postlude()]
        rows = await self._monitor.fetch(self._read_rows) if self._read_rows else ()
        return Snapshot("\n".join(script), "\n".join(texts), positions, tuple(map(tuple, rows)))

    async def positions(self) -> Mapping[str, Position]:
        """Where each sequence stands."""
        return await positions_of(self._monitor, self._sequences)

    async def restore(self, snapshot: Snapshot) -> None:
        """Bring the tables back to a snapshot."""
        self._lines = None
        await self._run(snapshot.script)
        self._resets += 1
        if self._resets % VACUUM_EVERY == 0:
            await self._monitor.execute("VACUUM pg_catalog.pg_class")
        if self._own_server and self._resets % CHECKPOINT_EVERY == 0:
            await self._monitor.execute("CHECKPOINT")

    async def rows(self) -> Mapping[str, tuple[str, ...]]:
        """The rows of every table as PostgreSQL composite texts, sorted."""
        found: dict[str, list[str]] = {table.short: [] for table in self._tables}
        lines, self._lines = self._lines, None
        if lines is None and self._read_back:
            lines = await self._monitor.fetch(self._read_back)
        for name, text in lines or ():
            found[name].append(text)
        return {name: tuple(rows) for name, rows in found.items()}

    async def _run(self, script: str) -> None:
        """Run a script, which asyncpg must not be given empty."""
        if script.strip():
            await self._monitor.execute(script)

    def _prelude(self) -> str:
        return "SET session_replication_role = replica;" if self._privileged else self._triggers_off

    def _postlude(self) -> str:
        return "" if self._privileged else self._triggers_on


def _parents_first(oids: Sequence[int], references: Sequence[asyncpg.Record]) -> list[int]:
    """Tables in an order in which inserted rows find their parents; cycles fall back to name order."""
    parents = {oid: {p for child, p in references if child == oid} for oid in oids}
    ordered: list[int] = []
    remaining = list(oids)
    while remaining:
        ready = [oid for oid in remaining if not parents[oid] - set(ordered)] or remaining[:1]
        ordered += ready
        remaining = [oid for oid in remaining if oid not in ready]
    return ordered


def _literal(text: str | None) -> str:
    if text is None:
        return "NULL"
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"
