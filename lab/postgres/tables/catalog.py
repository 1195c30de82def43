"""Reads from the catalog what the columns of the tables are, and which of them a sequence fills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import asyncpg
from sqlalchemy import MetaData, Sequence

from lab.model.layout import Column, Layout, Position
from lab.postgres.server.monitor import Monitor

__all__ = ["layout_of", "positions_of"]

_COLUMNS = """
SELECT a.attrelid, a.attnum, a.attname,
       CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS short,
       coalesce(a.attnum = ANY (k.indkey), false) AS key,
       a.attidentity <> '' AS identity,
       coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS made,
       (SELECT quote_ident(sn.nspname) || '.' || quote_ident(s.relname)
        FROM pg_depend p JOIN pg_class s ON s.relkind = 'S'
          AND s.oid = CASE WHEN a.attidentity <> '' THEN p.objid ELSE p.refobjid END
        JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE CASE WHEN a.attidentity <> ''
              THEN p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
                   AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i'
              ELSE p.classid = 'pg_attrdef'::regclass AND p.refclassid = 'pg_class'::regclass AND p.objid = d.oid END
        ORDER BY 1 LIMIT 1) AS sequence
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index k ON k.indrelid = c.oid AND k.indisprimary
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY n.nspname, c.relname, a.attnum
"""
_REFERENCES = """
SELECT f.conrelid, child.attnum AS attnum, f.confrelid, parent.attnum AS parent_attnum
FROM pg_constraint f
CROSS JOIN LATERAL unnest(f.conkey) WITH ORDINALITY AS child(attnum, place)
JOIN LATERAL unnest(f.confkey) WITH ORDINALITY AS parent(attnum, place) USING (place)
WHERE f.contype = 'f'
ORDER BY f.conname, place
"""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

Place = tuple[int, int]
"""A column by table and number."""


async def layout_of(monitor: Monitor, metadata: Mapping[str, MetaData | None]) -> Layout:
    """The layout of the existing tables. `metadata`, by schema, adds the sequences that SQLAlchemy draws from."""
    rows = await monitor.fetch(_COLUMNS)
    parents: dict[Place, list[Place]] = {}
    for child, number, parent, parent_number in map(tuple, await monitor.fetch(_REFERENCES)):
        parents.setdefault((child, number), []).append((parent, parent_number))
    asked_for = _asked_for(metadata)
    sequences: dict[str, str] = {}
    origins: dict[Place, str] = {}
    for row in rows:
        name = f"{row['short']}.{row['attname']}"
        if (sequence := _sequence(row, asked_for.get(name))) is not None:
            sequences[name] = sequence
            origins[row["attrelid"], row["attnum"]] = name
    columns: dict[str, list[Column]] = {}
    for row in rows:
        origin = _origin((row["attrelid"], row["attnum"]), origins, parents, set())
        columns.setdefault(row["short"], []).append(Column(row["attname"], row["key"], origin))
    return Layout({table: tuple(each) for table, each in columns.items()}, sequences)


def _sequence(row: asyncpg.Record, asked_for: str | None) -> str | None:
    """The sequence that fills a column; "" for one whose values are made from one, None where there is none."""
    if row["identity"]:
        return row["sequence"] or ""
    made: str = row["made"]
    if "nextval(" in made:
        plain = made.startswith("nextval('") and made.endswith("'::regclass)")
        return (row["sequence"] or "") if plain else ""
    return asked_for


def _asked_for(metadata: Mapping[str, MetaData | None]) -> Mapping[str, str]:
    """Column -> its sequence, for those that SQLAlchemy fills: the catalog has no default for them."""
    found = {}
    tables = [(place, table) for place, each in metadata.items() if each is not None for table in each.tables.values()]
    for place, table in tables:
        within = table.schema or place
        short = table.name if within in ("", "public") else f"{within}.{table.name}"
        for column in table.columns:
            if isinstance(column.default, Sequence):
                schema = column.default.schema or place or "public"
                found[f"{short}.{column.name}"] = f"{_quoted(schema)}.{_quoted(column.default.name)}"
    return found


def _quoted(name: str) -> str:
    """A name as `quote_ident` gives it, but for keywords; a sequence that is not found counts as always drawn from."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _origin(place: Place, origins: Mapping[Place, str], parents: Mapping[Place, list[Place]], seen: set[Place]) -> str:
    """Where a column's values are drawn: a foreign key has them from the column that it leads to."""
    seen.add(place)
    for parent in parents.get(place, ()):
        if parent not in seen and (origin := _origin(parent, origins, parents, seen)):
            return origin
    return origins.get(place, "")


async def positions_of(monitor: Monitor, sequences: Iterable[str]) -> dict[str, Position]:
    """Where each sequence stands."""
    if not (names := list(sequences)):
        return {}
    parts = [f"SELECT {place}, last_value, is_called FROM {name}" for place, name in enumerate(names)]
    rows = await monitor.fetch(" UNION ALL ".join(parts))
    return {names[place]: Position(last, called) for place, last, called in sorted(map(tuple, rows))}
