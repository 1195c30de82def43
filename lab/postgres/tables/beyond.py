"""Reads from the catalog what statements reach by other names than a table's."""

from __future__ import annotations

from collections.abc import Collection

from lab.postgres.connections.triggers import SCHEMA, TRIGGER
from lab.postgres.server.monitor import Monitor
from lab.postgres.statements.beyond import Beyond, words_of
from lab.postgres.statements.several import closed, reads, reads_later

__all__ = ["learn_beyond"]

_SHORT = "CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"
_OURS = f"('pg_catalog', 'information_schema', '{SCHEMA}')"
_NAMED = f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN {_OURS}"

_PARTS = f"""
SELECT (SELECT {_SHORT} {_NAMED} WHERE c.oid = i.inhrelid) AS part,
       (SELECT {_SHORT} {_NAMED} WHERE c.oid = pg_partition_root(i.inhrelid)) AS whole
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid AND p.relispartition AND p.relkind IN ('r', 'p')
"""
_VIEWS = f"SELECT {_SHORT}, c.relkind::text, pg_get_viewdef(c.oid) {_NAMED} WHERE c.relkind IN ('v', 'm')"
_FUNCTIONS = f"""
SELECT p.proname::text, p.prosrc, p.provolatile = 'v', p.prorettype = 'trigger'::regtype
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN {_OURS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""
_TRIGGERS = f"""
SELECT {_SHORT}, p.prosrc, p.proname::text {_NAMED}
JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> '{TRIGGER}'
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
"""


async def learn_beyond(monitor: Monitor, tables: Collection[str]) -> Beyond:
    """What there is beside `tables`, by the names that people use for them."""
    wholes = dict(map(tuple, await monitor.fetch(_PARTS)))
    views = list(map(tuple, await monitor.fetch(_VIEWS)))
    made = [(name.lower(), *more) for name, *more in map(tuple, await monitor.fetch(_FUNCTIONS))]
    functions = frozenset(name for name, _, _, by_trigger in made if not by_trigger)
    several = closed(
        {name: source for name, source, _, _ in made},
        (name for name, source, volatile, _ in made if volatile and reads_later(source)),
    )
    reading = closed(
        {name: source for name, source, volatile, _ in made if volatile},
        (name for name, source, volatile, by_trigger in made if volatile and not by_trigger and reads(source)),
    )
    triggers = list(map(tuple, await monitor.fetch(_TRIGGERS)))
    names = frozenset(map(_last, (*wholes, *(name for name, _, _ in views))))
    looked_at = {*names, *functions, *map(_last, (*tables, *wholes.values())), "execute"}
    return Beyond(
        wholes,
        {name: query.strip().rstrip(";") for name, kind, query in views if kind == "v" and "." not in name},
        names,
        functions,
        frozenset(
            wholes.get(table, table) for table, source, _ in triggers if not looked_at.isdisjoint(words_of(source))
        ),
        several,
        reading,
        frozenset(_last(wholes.get(table, table)) for table, _, name in triggers if name.lower() in several),
    )


def _last(name: str) -> str:
    return name.rpartition(".")[2].lower()
