"""Reads from the catalog what statements reach by other names than a table's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lab.postgres.connections.triggers import SCHEMA, TRIGGER
from lab.postgres.server.monitor import Monitor
from lab.postgres.statements.beyond import Beyond
from lab.postgres.statements.firing import ANY, WRITES, Firing, with_what_leads_there
from lab.postgres.statements.several import called_in, closed, reads, reads_later, reads_rows
from lab.postgres.statements.words import words_of

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
_CODE = "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)"
_FUNCTIONS = f"""
SELECT p.proname::text, {_CODE}, p.provolatile = 'v', p.prorettype = 'trigger'::regtype
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN {_OURS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""
_TRIGGERS = f"""
SELECT {_SHORT}, {_CODE}, p.proname::text, p.provolatile = 'v', t.tgtype::int, t.tginitdeferred, t.tgdeferrable
{_NAMED}
JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> '{TRIGGER}'
    AND t.tgenabled IN ('O', 'A')
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
"""


_HIDDEN = f"""
WITH behind AS (SELECT classid, objid, refobjid FROM pg_depend WHERE refclassid = 'pg_proc'::regclass),
found (relation, function) AS (
    SELECT d.adrelid, b.refobjid FROM pg_attrdef d
    JOIN behind b ON (b.classid, b.objid) = ('pg_attrdef'::regclass, d.oid)
    UNION SELECT k.conrelid, b.refobjid FROM pg_constraint k
    JOIN behind b ON (b.classid, b.objid) = ('pg_constraint'::regclass, k.oid)
    UNION SELECT a.attrelid, b.refobjid FROM pg_attribute a LEFT JOIN pg_constraint k ON k.contypid = a.atttypid
    JOIN behind b ON (b.classid, b.objid) IN (('pg_constraint'::regclass, k.oid), ('pg_type'::regclass, a.atttypid))
)
SELECT {_SHORT}, {_CODE} {_NAMED} JOIN found f ON f.relation = c.oid JOIN pg_proc p ON p.oid = f.function
"""
"""The functions behind defaults, checks and domains of columns."""
_TABLES = f"WITH named AS (SELECT c.oid, {_SHORT} AS name {_NAMED} WHERE c.relkind IN ('r', 'p', 'f'))"
_CASCADES = f"""
{_TABLES} SELECT a.name, b.name, k.confdeltype::text, k.confupdtype::text
FROM pg_constraint k JOIN named a ON a.oid = k.confrelid JOIN named b ON b.oid = k.conrelid WHERE k.contype = 'f'
"""
_CHILDREN = f"""
{_TABLES} SELECT a.name, b.name
FROM pg_inherits i JOIN named a ON a.oid = i.inhparent JOIN named b ON b.oid = i.inhrelid
"""
_RULES = f"""
SELECT {_SHORT}, CASE r.ev_type WHEN '2' THEN 'update' WHEN '3' THEN 'insert' WHEN '4' THEN 'delete' END,
       pg_get_ruledef(r.oid)
{_NAMED} JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'
"""
_EVENTS = {4: ("insert", "copy"), 8: ("delete",), 16: ("update",), 32: ("truncate",)}
"""Bit of `pg_trigger.tgtype` -> words of statements."""
_CASCADED = {"c": "", "n": "update", "d": "update"}
"""The action of a foreign key -> what it does to the rows that refer; "" for the same as was done."""


async def learn_beyond(monitor: Monitor, tables: Collection[str]) -> Beyond:
    """What there is beside `tables`, by the names that people use for them."""
    wholes = dict(map(tuple, await monitor.fetch(_PARTS)))
    views = list(map(tuple, await monitor.fetch(_VIEWS)))
    made = [(name.lower(), *more) for name, *more in map(tuple, await monitor.fetch(_FUNCTIONS))]
    functions = frozenset(name for name, _, _, by_trigger in made if not by_trigger)
    sources = {name: source for name, source, _, _ in made}
    several = closed(sources, (name for name, source, volatile, _ in made if volatile and reads_later(source)))
    reading = closed(
        {name: source for name, source, volatile, _ in made if volatile},
        (name for name, source, volatile, by_trigger in made if volatile and not by_trigger and reads(source)),
    )
    triggers = list(map(tuple, await monitor.fetch(_TRIGGERS)))
    hidden = list(map(tuple, await monitor.fetch(_HIDDEN)))
    names = frozenset(map(_last, (*wholes, *(name for name, _, _ in views))))
    looked_at = {*names, *functions, *map(_last, (*tables, *wholes.values())), "execute"}
    firings = [_firing(table, wholes, kind, *when) for table, _, _, _, kind, *when in triggers]
    code = [*zip(firings, (source for _, source, *_ in triggers), strict=True), *await _leads(monitor, wholes, views)]
    code += [(Firing(name, ANY, called=True), source) for name, source, _, by_trigger in made if not by_trigger]
    code += [(Firing(_last(table), frozenset(("insert", "copy", "update"))), source) for table, source in hidden]
    late = _late(zip(firings, triggers, strict=True), sources, looked_at)
    counting = [each for each, (_, _, name, *_) in zip(firings, triggers, strict=True) if name.lower() in several]
    return Beyond(
        wholes,
        {name: query.strip().rstrip(";") for name, kind, query in views if kind == "v" and "." not in name},
        names,
        functions,
        frozenset(
            wholes.get(table, table)
            for table, source, *_ in (*triggers, *hidden)
            if not looked_at.isdisjoint(words_of(source))
        ),
        several,
        reading,
        with_what_leads_there(counting, code),
        with_what_leads_there(late, code),
    )


def _late(
    triggers: Iterable[tuple[Firing, Sequence[Any]]], sources: Mapping[str, str], relations: Collection[str]
) -> Iterator[Firing]:
    """Those that read rows of these relations once their own row is locked, by themselves or by functions they call."""
    reading = closed(sources, (name for name, source in sources.items() if reads_rows(source, relations)))
    for each, (_, source, _, volatile, kind, *_) in triggers:
        reads_any = reads_rows(source, relations) or not called_in(source).isdisjoint(reading)
        if reads_any and (volatile or each.deferrable) and _is_late(kind):
            yield each


async def _leads(
    monitor: Monitor, wholes: Mapping[str, str], views: Iterable[Sequence[str]]
) -> list[tuple[Firing, str]]:
    """What writes to another table than a statement names, and what it does there."""
    found = [(name, word, f"{word} {query}") for name, _, query in views for word in (*WRITES, "")]
    # A row that moves to another partition is deleted here and inserted there.
    found += [(whole, "update", f'insert delete "{_last(whole)}"') for whole in set(wholes.values())]
    for referenced, child, *kinds in map(tuple, await monitor.fetch(_CASCADES)):
        found.append((referenced, "truncate", f'truncate "{_last(child)}"'))
        for word, kind in zip(("delete", "update"), kinds, strict=True):
            if kind in _CASCADED:
                found.append((referenced, word, f'{_CASCADED[kind] or word} "{_last(child)}"'))
    for parent, child in map(tuple, await monitor.fetch(_CHILDREN)):
        both = [(parent, child), (child, wholes[child])] if child in wholes else [(parent, child)]
        found += [(name, word, f'{word} "{_last(other)}"') for name, other in both for word in WRITES]
    found += map(tuple, await monitor.fetch(_RULES))
    return [(Firing(_last(name), frozenset({word}) if word else ANY), text) for name, word, text in found]


def _firing(table: str, wholes: Mapping[str, str], kind: int, *when: bool) -> Firing:
    return Firing(_last(wholes.get(table, table)), frozenset(_events(kind)), *when)


def _events(kind: int) -> Iterator[str]:
    """The words that fire a trigger of this `pg_trigger.tgtype`."""
    for bit, words in _EVENTS.items():
        if kind & bit:
            yield from words


def _is_late(kind: int) -> bool:
    """Whether it runs once its row is locked: AFTER, or BEFORE an UPDATE or DELETE of a row."""
    before, instead, row, changed = kind & 2, kind & 64, kind & 1, kind & (8 | 16)
    return not instead and not (before and not (row and changed))


def _last(name: str) -> str:
    return name.rpartition(".")[2].strip('"').lower()
