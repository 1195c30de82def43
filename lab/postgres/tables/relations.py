"""Reads from the catalog what statements on its relations may rest on."""

from __future__ import annotations

from collections import defaultdict

from lab.postgres.connections.triggers import SCHEMA, TRIGGER
from lab.postgres.server.monitor import Monitor
from lab.postgres.statements.met import notices_pauses
from lab.postgres.statements.shapes import ANY, Reference, Relations, Shape
from lab.postgres.statements.tame import tame_functions
from lab.postgres.statements.tidy import keeps_tidy

__all__ = ["learn_relations"]

_SHORT = "CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"
_OURS = f"('pg_catalog', 'information_schema', 'pg_toast', '{SCHEMA}')"
_FIRST_OF_USERS = 16384
"""The first object id that PostgreSQL gives to what was not there after initdb."""

_RELATIONS = f"""
SELECT c.oid::bigint, {_SHORT} AS name, c.relkind::text AS kind,
  c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relrowsecurity AND NOT EXISTS (
    SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)) AS own,
  NOT c.relhasrules
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> '{TRIGGER}')
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)
    AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR NOT i.indimmediate OR i.indisexclusion OR NOT i.indisvalid))
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE c.oid IN (k.conrelid, k.confrelid) AND k.condeferrable)
  AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'd')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    AND d.refobjid >= {_FIRST_OF_USERS} AND (
      d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid)
      OR d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = c.oid)
      OR d.classid = 'pg_class'::regclass AND d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid)))
  AND NOT EXISTS (SELECT FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.relkind = 'S'
    WHERE f.adrelid = c.oid AND (SELECT count(*) FROM pg_depend o WHERE o.classid = 'pg_attrdef'::regclass
      AND o.refclassid = 'pg_class'::regclass AND o.refobjid = s.oid) > 1) AS plain,
  c.relkind = 'S' AND (SELECT count(*) FROM pg_depend o WHERE o.classid = 'pg_attrdef'::regclass
      AND o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid) > 1 AS shared
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN {_OURS}
"""
_UNIQUES = f"""
SELECT {_SHORT} AS name, array_agg(a.attname::text) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
WHERE i.indisunique AND k.place <= i.indnkeyatts AND i.indpred IS NULL AND i.indexprs IS NULL
  AND n.nspname NOT IN {_OURS}
GROUP BY i.indexrelid, 1
"""
_INDEXED = f"""
SELECT {_SHORT} AS name,
  CASE WHEN i.indexprs IS NOT NULL OR a.attgenerated <> '' THEN '{ANY}' ELSE a.attname::text END AS column
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int[])
WHERE n.nspname NOT IN {_OURS}
"""
_REFERENCES = """
SELECT k.conname, k.conrelid::bigint AS child, k.confrelid::bigint AS parent, k.confupdtype::text AS on_update,
  k.confdeltype::text AS on_delete, array_agg(mine.attname::text ORDER BY place) AS mine,
  array_agg(theirs.attname::text ORDER BY place) AS theirs
FROM pg_constraint k
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS pair(own, other, place)
JOIN pg_attribute mine ON mine.attrelid = k.conrelid AND mine.attnum = own
JOIN pg_attribute theirs ON theirs.attrelid = k.confrelid AND theirs.attnum = other
WHERE k.contype = 'f' GROUP BY k.oid
"""
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_APART = f"""
SELECT {_SHORT} AS name, a.attname::text AS column
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r' AND coalesce(l.collisdeterministic, true)
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype, 'varchar'::regtype,
    'uuid'::regtype, 'date'::regtype)
  AND n.nspname NOT IN {_OURS}
"""
_FUNCTIONS = f"""
SELECT p.proname::text AS name, p.provolatile <> 'v' AS steady,
  CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN pg_get_functiondef(p.oid) ELSE '' END AS source
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.oid >= {_FIRST_OF_USERS} AND p.prokind <> 'a' AND n.nspname <> '{SCHEMA}'
"""
_KNOWN = f"SELECT proname::text, bool_and(provolatile <> 'v') FROM pg_proc WHERE oid < {_FIRST_OF_USERS} GROUP BY 1"
_HIDDEN = f"""
SELECT pg_get_expr(d.adbin, d.adrelid), false FROM pg_attrdef d WHERE d.oid >= {_FIRST_OF_USERS}
UNION ALL SELECT pg_get_expr(k.conbin, k.conrelid), false FROM pg_constraint k
  WHERE k.conbin IS NOT NULL AND k.oid >= {_FIRST_OF_USERS}
UNION ALL SELECT pg_get_viewdef(r.ev_class), true FROM pg_rewrite r
  WHERE r.oid >= {_FIRST_OF_USERS} AND r.rulename = '_RETURN'
UNION ALL SELECT NULL, true FROM pg_rewrite r WHERE r.oid >= {_FIRST_OF_USERS} AND r.rulename <> '_RETURN'
UNION ALL SELECT NULL, true FROM pg_policy
UNION ALL SELECT NULL, true FROM pg_trigger t
  WHERE t.oid >= {_FIRST_OF_USERS} AND t.tgname <> '{TRIGGER}' AND t.tgqual IS NOT NULL
UNION ALL SELECT NULL, true FROM pg_foreign_table
"""
"""What may call a function behind a statement: (expression, false) or (query of a view, true). NULL stands for what is
not looked into."""
_known: dict[object, tuple[tuple[str, bool], ...]] = {}
"""PostgreSQL's own functions, by version: there are three thousand."""


async def learn_relations(monitor: Monitor, relations: Relations) -> None:
    """Read the catalog anew into `relations`."""
    relations.clear()
    rows = await monitor.fetch(_RELATIONS)
    names = {row["oid"]: row["name"] for row in rows}
    uniques: dict[str, set[frozenset[str]]] = defaultdict(set)
    for name, columns in await monitor.fetch(_UNIQUES):
        uniques[name].add(frozenset(columns))
    references: dict[str, set[Reference]] = defaultdict(set)
    for row in await monitor.fetch(_REFERENCES):
        each = Reference(
            names.get(row["child"], ""),
            names.get(row["parent"], ""),
            frozenset(zip(row["mine"], row["theirs"], strict=True)),
            _ACTIONS[row["on_update"]],
            _ACTIONS[row["on_delete"]],
        )
        references[each.child].add(each)
        references[each.parent].add(each)
    apart: dict[str, set[str]] = defaultdict(set)
    for name, column in await monitor.fetch(_APART):
        apart[name].add(column)
    indexed: dict[str, set[str]] = defaultdict(set)
    for name, column in await monitor.fetch(_INDEXED):
        indexed[name].add(column or ANY)
    for row in rows:
        oid, name, kind = row["oid"], row["name"], row["kind"]
        if kind in ("r", "p", "m") or row["shared"]:
            relations.names[oid] = name
        elif kind in ("i", "I", "v", "S", "c", "t"):
            relations.silent.add(oid)
        if row["own"]:
            relations.shapes[name] = Shape(
                frozenset(uniques[name]),
                frozenset(references[name]),
                row["plain"],
                frozenset(apart[name]),
                frozenset(indexed[name]),
            )
    await _learn_functions(monitor, relations)


async def _learn_functions(monitor: Monitor, relations: Relations) -> None:
    version = monitor.get_server_version()
    if version not in _known:
        _known[version] = tuple(map(tuple, await monitor.fetch(_KNOWN)))
    own = [(row["name"], row["source"], row["steady"]) for row in await monitor.fetch(_FUNCTIONS)]
    relations.functions, relations.tame = tame_functions(_known[version], own)
    relations.notices = any(notices_pauses(source) for _, source, _ in own)
    hidden = [tuple(row) for row in await monitor.fetch(_HIDDEN)]
    views = [text for text, is_view in hidden if is_view]
    expressions = [text for text, is_view in hidden if not is_view]
    sources = [source for _, source, _ in own]
    relations.tidy = relations.tame and keeps_tidy(relations.functions, sources, expressions, views)
